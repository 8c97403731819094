"""Names of installed models: each finds its path, and a wrong one says what to type."""

from pathlib import Path

import pytest

from mambino.errors import FetchError, InputError
from mambino.hub import local


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBINO_HOME", str(tmp_path / "home"))
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    (bundled / "little.gguf").write_bytes(b"b" * 7)
    monkeypatch.setattr(local, "_BUNDLED_FOLDER", bundled)


def put(name: str, nbytes: int = 3) -> Path:
    path = local.models_folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * nbytes)
    return path


def test_the_bundled_model_is_listed_first_and_resolves() -> None:
    put("zoo/ape/ape.gguf")
    first = local.installed()[0]
    assert first.is_bundled
    assert first.nbytes == 7
    assert local.resolve("bundled") == first.path


def test_one_gguf_answers_to_its_repository_with_and_without_the_org() -> None:
    path = put("zoo/ape/ape-Q4_K_M.gguf")
    for name in ("zoo/ape", "ape", "zoo/ape:Q4_K_M", "ape:q4_k_m", "zoo/ape:ape-Q4_K_M.gguf", "ape:ape-Q4_K_M"):
        assert local.resolve(name) == path


def test_two_files_need_to_be_told_apart() -> None:
    small, large = put("zoo/ape/ape-Q4_K_M.gguf"), put("zoo/ape/sub/ape-Q8_0.gguf")
    with pytest.raises(FetchError, match=r"names 2 installed models: zoo/ape:ape-Q4_K_M.gguf, zoo/ape:sub/ape-Q8_0"):
        local.resolve("zoo/ape")
    assert local.resolve("zoo/ape:Q4_K_M") == small
    assert local.resolve("zoo/ape:Q8_0") == large
    assert local.resolve("zoo/ape:sub/ape-Q8_0.gguf") == large


def test_a_folder_of_safetensors_is_one_model() -> None:
    put("zoo/bee/config.json")
    put("zoo/bee/model-1.safetensors", 5)
    put("zoo/bee/model-2.safetensors", 6)
    (bee,) = [model for model in local.installed() if not model.is_bundled]
    assert (bee.name, bee.nbytes) == ("zoo/bee", 11)
    assert local.resolve("bee") == local.models_folder() / "zoo/bee"


def test_an_existing_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("zoo/ape/ape.gguf")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ape").write_bytes(b"")
    assert local.resolve("ape") == Path("ape")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./nothing.gguf", "no such file or folder: ./nothing.gguf"),
        ("a/b/c", "no such file or folder"),
        ("zoo/newt", "mambino pull zoo/newt"),
        ("newt", "installed: bundled, zoo/ape"),
        ("ape:Q8_0", "no installed model is called"),
    ],
)
def test_what_is_not_here_is_explained(name: str, said: str) -> None:
    put("zoo/ape/ape-Q4_K_M.gguf")
    with pytest.raises(FetchError, match=said):
        local.resolve(name)


def test_a_part_of_a_name_does_not_match() -> None:
    assert not local.matches_file("ape-Q4_K_M.gguf", "K_S")
    assert not local.matches_file("ape-Q4_K_M.gguf", "4_K_M")
    assert local.matches_file("ape.Q4_K_M.gguf", "q4_k_m")


def test_remove_deletes_one_model_and_its_empty_folders() -> None:
    put("zoo/ape/ape.gguf")
    assert local.remove("ape").name == "zoo/ape"
    assert [model.name for model in local.installed()] == ["bundled"]
    assert not (local.models_folder() / "zoo").exists()
    with pytest.raises(InputError, match="bundled"):
        local.remove("bundled")
    with pytest.raises(FetchError, match="it names nothing"):
        local.remove("ape")
