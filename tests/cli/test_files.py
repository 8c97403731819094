"""The command line over real files: info, run and chat, each backend, from a GGUF file and from a folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.tiny_file import write_tiny_directory, write_tiny_gguf
from mambino.cli.opening import default_context
from mambino.config import HybridConfig
from mambino.errors import FetchError, InputError
from mambino.load import open_model, open_tokenizer


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_directory(tmp_path_factory.mktemp("model") / "tiny")


def test_info_tells_what_the_model_is(mambino: Any, gguf: Path) -> None:
    code, out, err = mambino("info", str(gguf))
    assert (code, err) == (0, "")
    for said in (
        "nemotron_h",
        "7: 3 Mamba-2, 2 attention, 2 MLP, of uneven sizes",
        "M-*MM*-",
        "bits per weight",
        "F16",
        "at 4096 tokens",
        "266 ids, 4 control tokens",
        "yes, with a thinking switch",
        "temperature 0.6, top_p 0.9 (recommended by the model)",
    ):
        assert said in out


def test_info_json_agrees_with_the_file(mambino: Any, gguf: Path) -> None:
    report = json.loads(mambino("info", str(gguf), "--json")[1])
    assert sum(entry["nbytes"] for entry in report["types"]) == report["nbytes"]
    assert sum(entry["parameters"] for entry in report["types"]) == report["num_parameters"]
    assert report["bits_per_weight"] == pytest.approx(8 * report["nbytes"] / report["num_parameters"], abs=1e-3)
    assert report["state_nbytes"].keys() == {"4096"}


def test_info_kernels_is_a_table_of_ops(mambino: Any, gguf: Path) -> None:
    table = mambino("info", str(gguf), "--kernels")[1].partition("\n\n")[2]
    assert "reference" in table
    assert "ssm_scan" in table


@pytest.mark.native
def test_info_kernels_leaves_out_what_this_machine_lacks(
    mambino: Any, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mambino import _native

    def names(isa: str) -> dict[str, str]:
        if isa == "avx512":
            raise _native.NativeError("[kernels] this machine lacks avx512")
        return {"ssm_scan": "reference"}

    monkeypatch.setattr("mambino.engine.info._native.kernel_names", names)
    table = mambino("info", str(gguf), "--kernels")[1].partition("\n\n")[2]
    assert ("avx2" in table, "avx512" in table) == (True, False)


@pytest.mark.native
def test_run_answers_from_a_file(mambino: Any, gguf: Path) -> None:
    args = ("run", "-m", str(gguf), "hi", "-n", "5", "--seed", "1", "--json")
    code, out, _ = mambino(*args, "--threads", "1")
    assert code == 0
    report = json.loads(out)
    assert report["model"] == "tiny.gguf"
    assert 1 <= len(report["ids"]) <= 5
    assert (
        json.loads(mambino("run", "-m", str(gguf), "hi", "-n", "5", "--seed", "1", "--json")[1])["ids"] == report["ids"]
    )


@pytest.mark.native
def test_a_folder_and_a_file_of_the_same_weights_agree(mambino: Any, gguf: Path, folder: Path) -> None:
    greedy = ("hi", "-n", "5", "-t", "0", "--json")
    from_file = json.loads(mambino("run", "-m", str(gguf), *greedy)[1])
    from_folder = json.loads(mambino("run", "-m", str(folder), *greedy)[1])
    assert from_file["ids"] == from_folder["ids"]


@pytest.mark.torch
def test_the_torch_backend_answers_the_same(mambino: Any, gguf: Path) -> None:
    greedy = ("hi", "-n", "4", "-t", "0", "--json")
    torch = json.loads(mambino("run", "-m", str(gguf), "--backend", "torch", *greedy)[1])
    native = json.loads(mambino("run", "-m", str(gguf), *greedy)[1])
    assert torch["ids"] == native["ids"]


def test_a_context_beyond_the_training_is_refused(mambino: Any, gguf: Path) -> None:
    code, _, err = mambino("run", "-m", str(gguf), "hi", "--context", "5000")
    assert code == 1
    assert "trained for at most 4096 tokens" in err


def test_options_of_the_other_backend_are_refused(gguf: Path) -> None:
    with pytest.raises(InputError, match="device and dtype are for backend='torch'"):
        open_model(gguf, device="cuda")
    with pytest.raises(InputError, match="isa, activations and kv are for backend='native'"):
        open_model(gguf, backend="torch", isa="avx2")
    with pytest.raises(InputError, match="expected one of native, torch"):
        open_model(gguf, backend="cuda")  # type: ignore[arg-type]


@pytest.mark.torch
def test_a_device_that_is_not_here_is_one_line(mambino: Any, gguf: Path) -> None:
    code, _, err = mambino("run", "-m", str(gguf), "--backend", "torch", "--device", "abacus", "hi")
    assert code == 1
    assert err.startswith("mambino: [load] device 'abacus': ")
    assert err.count("\n") == 1


def test_a_name_opens_an_installed_model(gguf: Path, home: Path) -> None:
    place = home / "models/zoo/ape/ape-F16.gguf"
    place.parent.mkdir(parents=True)
    place.symlink_to(gguf)
    assert open_tokenizer("ape").encode("hello") == open_tokenizer(gguf).encode("hello")
    with pytest.raises(FetchError, match="no bundled model"):
        open_tokenizer()


def test_the_default_context_fits_the_memory(tiny_config: HybridConfig) -> None:
    assert default_context(tiny_config, None) == 1024
    large = HybridConfig(
        architecture=tiny_config.architecture,
        layers=tiny_config.layers,
        hidden_size=tiny_config.hidden_size,
        vocab_size=tiny_config.vocab_size,
        norm_eps=tiny_config.norm_eps,
        tie_embeddings=False,
        max_context=262144,
    )
    assert default_context(large, 10**12) == 32768
    small = default_context(large, 4 * large.state_nbytes(8192))
    assert small == 8192
    assert default_context(large, 1) == 2048
