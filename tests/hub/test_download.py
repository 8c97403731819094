"""Pulling from the hub: the right files, resumed when broken, refused when wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.stand_in import COMMIT, Hub, serve
from mambino.errors import FetchError, InputError, Unsupported
from mambino.hub import local
from mambino.hub.download import download
from mambino.hub.remote import RemoteFile, plan_pull

REPO = "zoo/ape"
WEIGHTS = bytes(range(256)) * 9000  # 2.3 MB: more than two chunks


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("MAMBINO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with serve(Hub(repo=REPO, files={"ape-Q4_K_M.gguf": WEIGHTS, "README.md": b"an ape"})) as running:
        yield running


def pull(hub: Hub, spec: str = REPO) -> Path:
    return download(plan_pull(spec, endpoint=hub.endpoint, token="none"), retry_wait_s=0.0)


def test_a_single_gguf_is_fetched_whole_and_installed(hub: Hub) -> None:
    seen: list[tuple[str, int]] = []
    plan = plan_pull(REPO, endpoint=hub.endpoint)
    path = download(plan, on_progress=lambda file, nbytes: seen.append((file.name, nbytes)))
    assert path.read_bytes() == WEIGHTS
    assert plan.commit == COMMIT
    assert seen[-1] == ("ape-Q4_K_M.gguf", len(WEIGHTS))
    assert [model.name for model in local.installed() if not model.is_bundled] == [REPO]
    assert local.resolve("ape") == path


def test_a_second_pull_fetches_nothing(hub: Hub) -> None:
    pull(hub)
    hub.requests.clear()
    pull(hub)
    assert [path for path, _ in hub.requests if "resolve" in path] == []


def test_a_changed_file_is_fetched_again(hub: Hub) -> None:
    path = pull(hub)
    path.write_bytes(WEIGHTS[:-1] + b"?")
    assert pull(hub).read_bytes() == WEIGHTS


def test_a_broken_connection_is_resumed_where_it_broke(hub: Hub) -> None:
    hub.cut_after = [1_200_000, 400_000]
    assert pull(hub).read_bytes() == WEIGHTS
    ranges = [wanted for path, wanted in hub.requests if "resolve" in path]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(wanted is not None for wanted in ranges[1:])


def test_an_interrupted_pull_goes_on_in_the_next_one(hub: Hub) -> None:
    def interrupt(file: RemoteFile, nbytes: int) -> None:
        if nbytes > len(WEIGHTS) // 2:
            raise KeyboardInterrupt

    plan = plan_pull(REPO, endpoint=hub.endpoint)
    with pytest.raises(KeyboardInterrupt):
        download(plan, on_progress=interrupt)
    assert not plan.model.exists()
    assert [model.name for model in local.installed() if not model.is_bundled] == []
    hub.requests.clear()
    assert pull(hub).read_bytes() == WEIGHTS
    assert hub.requests[-1][1] is not None
    assert list(plan.folder.glob(".*.part")) == []


def test_a_server_without_ranges_is_read_from_the_start(hub: Hub) -> None:
    hub.ignores_range = True
    hub.cut_after = [1_500_000]
    assert pull(hub).read_bytes() == WEIGHTS


def test_a_server_that_always_breaks_is_given_up(hub: Hub) -> None:
    hub.cut_after = [0] * 50
    with pytest.raises(FetchError, match="cannot reach"):
        pull(hub)


def test_a_wrong_checksum_is_refused_and_removed(hub: Hub) -> None:
    hub.wrong_checksums = {"ape-Q4_K_M.gguf"}
    with pytest.raises(FetchError, match="checksum"):
        pull(hub)
    folder = local.models_folder() / REPO
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_several_ggufs_are_listed_with_what_to_type(hub: Hub) -> None:
    hub.files = {"ape-Q4_K_M.gguf": b"4", "ape-Q8_0.gguf": b"8", "big/ape-BF16.gguf": b"16"}
    with pytest.raises(FetchError, match=r"(?s)holds 3 matching GGUF files.*zoo/ape:ape-Q8_0.gguf"):
        pull(hub)
    assert pull(hub, f"{REPO}:q8_0").read_bytes() == b"8"
    assert pull(hub, f"{REPO}:ape-Q4_K_M.gguf").read_bytes() == b"4"
    assert pull(hub, f"{REPO}:BF16") == local.models_folder() / REPO / "big/ape-BF16.gguf"
    with pytest.raises(FetchError, match=r"(?s)no GGUF file 'Q2_K'.*ape-Q4_K_M"):
        pull(hub, f"{REPO}:Q2_K")


def test_safetensors_come_with_their_companions_only(hub: Hub) -> None:
    hub.files = {
        "config.json": b"{}",
        "tokenizer.json": b"[]",
        "model.safetensors": b"weights",
        "pytorch_model.bin": b"pickle",
        "logo.png": b"png",
    }
    folder = pull(hub)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert local.resolve("ape") == folder


def test_a_small_file_is_checked_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {"config.json": b"{}", "model.safetensors": b"weights"}
    plan = plan_pull(REPO, endpoint=hub.endpoint)
    hub.files["config.json"] = b"[]"  # other bytes of the same size arrive
    with pytest.raises(FetchError, match=r"config.json arrived with a checksum"):
        download(plan)


def test_pickled_weights_are_refused_with_the_reason(hub: Hub) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(Unsupported, match="opening a pickle can run any code"):
        pull(hub)


def test_one_part_of_a_split_gguf_is_refused(hub: Hub) -> None:
    hub.files = {"ape-00001-of-00002.gguf": b"1"}
    with pytest.raises(Unsupported, match="split GGUF"):
        pull(hub)


@pytest.mark.parametrize("name", ["../../../escaped.gguf", "/etc/escaped.gguf", "a\\..\\b.gguf", "C:x.gguf"])
def test_a_name_that_leads_out_of_the_folder_is_refused(hub: Hub, name: str) -> None:
    hub.files = {name: b"evil"}
    with pytest.raises(FetchError, match="leads out of"):
        pull(hub)


def test_a_link_that_leads_out_of_the_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"sub/ape.gguf": b"evil"}
    folder = local.models_folder() / REPO
    folder.mkdir(parents=True)
    (folder / "sub").symlink_to(tmp_path)
    with pytest.raises(FetchError, match="leads out of"):
        pull(hub)


def test_a_full_disk_is_noticed_before_the_download(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("mambino.hub.download.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(FetchError, match=r"needs 0.00 GB more, but only 0.00 GB are free"):
        pull(hub)
    assert [path for path, _ in hub.requests if "resolve" in path] == []


def test_an_unknown_repository_and_revision_are_told_apart(hub: Hub) -> None:
    with pytest.raises(FetchError, match="no such model"):
        pull(hub, "zoo/newt")
    with pytest.raises(FetchError, match="no such revision"):
        plan_pull(REPO, revision="v9", endpoint=hub.endpoint)


def test_no_network_is_one_clear_line(hub: Hub) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchError, match=r"cannot reach http://127.0.0.1:\d+.*Check the network") as caught:
        plan_pull(REPO, endpoint=f"http://127.0.0.1:{port}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["ape", "a/b/c", "../x", "zoo/", "zoo/..", "", "zoo/ape name"])
def test_a_malformed_name_is_refused_before_any_request(hub: Hub, spec: str) -> None:
    with pytest.raises(InputError, match="ORG/REPO"):
        pull(hub, spec)
    assert hub.requests == []
