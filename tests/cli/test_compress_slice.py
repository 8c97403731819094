"""What `mambino compress slice` writes opens where it says, and what cannot be is said before the work."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mambino as package
from cli.tiny_file import write_tiny_directory
from compress_models import write_offer
from hard_texts import HARD_TEXTS
from mambino.cli.tuning import write_tuned
from mambino.compress.offered import offered_subs
from mambino.compress.sub import SubSizes, sub_config, uneven_sub
from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.export.gguf import export_gguf, matrices_as
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES
from mambino.tokenizer.files import tokenizer_from_directory, tokenizer_from_gguf
from tiny_models import tiny_weights

Run = Callable[..., tuple[int, str, str]]

BUNDLED = Path(package.__file__).parent / "bundled/mambino-tiny-q8_0.gguf"
LAYERS = layers_from_pattern(
    "M-*M-",
    mamba=MambaSpec(num_heads=4, head_dim=32, state_size=16, num_groups=2, conv_kernel=4),
    attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=32),
    mlp=MlpSpec(intermediate_size=96, activation="relu2"),
)


def nested_config(folder: Path) -> HybridConfig:
    return replace(open_checkpoint(folder).config, layers=LAYERS, hidden_size=64)


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A folder that offers an even size, one of uneven MLP layers and one of uneven Mamba layers."""
    tokenizer, folder = write_tiny_directory(tmp_path / "tokenizer"), tmp_path / "nested"
    config = nested_config(tokenizer)
    write_checkpoint_directory(folder, config, tiny_weights(config).values(), tokenizer_from=tokenizer)
    whole = dict.fromkeys(range(5), SubSizes())
    write_offer(folder, {
        "even": sub_config(config, SubSizes(intermediate_size=64)),
        "mlp": uneven_sub(config, whole | {1: SubSizes(intermediate_size=64)}),
        "mamba": uneven_sub(config, whole | {0: SubSizes(mamba_heads=2)}),
    })  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("budget", "is_said", "llama_cpp"),
    [("even", False, ""), ("mlp", True, "llama.cpp opens it as a .gguf"), ("mamba", True, "nor does llama.cpp")],
)
def test_a_folder_that_other_programs_do_not_open_is_announced(
    mambino: Run, nested: Path, tmp_path: Path, budget: str, is_said: bool, llama_cpp: str
) -> None:
    code, _, err = mambino("compress", "slice", str(nested), "--budget", budget, "--out", str(tmp_path / "out"))
    assert code == 0, err
    assert ("transformers does not open" in err) == is_said
    assert llama_cpp in err
    open_checkpoint(tmp_path / "out")


@pytest.mark.torch
@pytest.mark.parametrize("budget", ["even", "mlp"])
def test_the_announcement_is_true(mambino: Run, nested: Path, tmp_path: Path, budget: str) -> None:
    transformers = pytest.importorskip("transformers", reason="the outside oracle")
    assert mambino("compress", "slice", str(nested), "--budget", budget, "--out", str(tmp_path / "out"))[0] == 0
    if budget == "even":
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    else:
        with pytest.raises(RuntimeError, match="mismatched"):
            transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")


@pytest.fixture
def from_gguf(mambino: Run, tmp_path: Path) -> Path:
    code, _, err = mambino("compress", "slice", str(BUNDLED), "--budget", "50%", "--out", str(tmp_path / "folder"))
    assert code == 0, err
    return tmp_path / "folder"


def test_a_folder_made_from_a_gguf_has_its_tokenizer(from_gguf: Path) -> None:
    source = open_checkpoint(BUNDLED)
    ours, theirs = tokenizer_from_gguf(source.metadata), tokenizer_from_directory(from_gguf)
    spelled = "".join(ours.special_tokens)
    for text in [*HARD_TEXTS, spelled, f"<|im_start|>user\nHi{spelled} there<|im_end|>\n"]:
        for parse_special in (False, True):
            ids = ours.encode(text, parse_special=parse_special)
            assert theirs.encode(text, parse_special=parse_special) == ids
            assert theirs.decode(ids) == ours.decode(ids)
            assert theirs.decode(ids, skip_special=True) == ours.decode(ids, skip_special=True)
    for name in ("special_tokens", "vocab_size", "bos_token_id", "eos_token_ids", "wants_bos", "chat_template"):
        assert getattr(theirs, name) == getattr(ours, name), name
    assert open_checkpoint(from_gguf).chat_template == source.chat_template


def test_transformers_opens_that_tokenizer(from_gguf: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the outside oracle")
    theirs, ours = transformers.AutoTokenizer.from_pretrained(from_gguf), tokenizer_from_directory(from_gguf)
    for text in HARD_TEXTS:
        assert theirs(text, add_special_tokens=False)["input_ids"] == ours.encode(text, parse_special=True)
    chat = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    text = theirs.apply_chat_template(chat, tokenize=False)
    assert "Hello." in text
    assert theirs.decode(theirs(text)["input_ids"]) == text
    assert theirs.eos_token_id == ours.eos_token_ids[0]
    assert theirs.bos_token_id == ours.bos_token_id


@pytest.mark.torch
def test_every_folder_that_is_made_from_a_gguf_has_its_tokenizer(mambino: Run, nested: Path, tmp_path: Path) -> None:
    source, text = tmp_path / "x.gguf", tmp_path / "text.txt"
    export_gguf(open_checkpoint(nested), source, type_of=matrices_as("f16"), name="x", tokenizer_directory=nested)
    text.write_text("one two three four five six seven eight nine ten " * 20)
    data = ("--data", str(text), "--rows", "1", "--row-size", "48", "--batches", "1")
    code, _, err = mambino("compress", "rank", str(source), *data, "--out", str(tmp_path / "ranked"))
    assert code == 0, err
    checkpoint = open_checkpoint(source)
    write_tuned(tmp_path / "tuned", checkpoint, checkpoint.tensors("hf"))
    for name in ("ranked", "tuned"):
        theirs = tokenizer_from_directory(tmp_path / name)
        assert theirs.encode("hello<|im_end|>", parse_special=True) == tokenizer_from_directory(nested).encode(
            "hello<|im_end|>", parse_special=True
        )


def float8_folder(source: Path, out: Path) -> Path:
    """All projections in 8-bit floats with a scale each, as FP8 models are published."""
    config = nested_config(source)
    write_checkpoint_directory(out, config, tiny_weights(config).values(), tokenizer_from=source)
    tensors = open_safetensors(out)
    narrow: list[Tensor] = []
    for name, tensor in tensors.items():
        if not name.endswith("_proj.weight"):
            narrow.append(replace(tensor, data=tensor.data.copy()))
            continue
        codes = np.random.default_rng(0).integers(0x28, 0x48, tensor.rows * tensor.cols).astype(np.uint8)
        narrow.append(Tensor(name=name, type=TYPES["F8_E4M3"], shape=tensor.shape, data=codes))
        narrow.append(tensor_from_float32(f"{name}_scale", np.array([0.02], np.float32)))
    write_safetensors(out / "model.safetensors", narrow)
    return out


def test_8_bit_floats_become_bf16_in_a_gguf(mambino: Run, nested: Path, tmp_path: Path) -> None:
    folder, out = float8_folder(nested, tmp_path / "float8"), tmp_path / "x.gguf"
    code, _, err = mambino("compress", "slice", str(folder), "--budget", "100%", "--out", str(out))
    assert code == 0, err
    name = "layers.1.mixer.up_proj.weight"
    source, written = open_checkpoint(folder).stored[name], open_checkpoint(out).stored[name]
    assert (source.type.name, written.type.name) == ("F8_E4M3", "BF16")
    np.testing.assert_allclose(written.to_float32(), source.to_float32(), rtol=2**-8)


def test_number_formats_are_for_gguf_files(mambino: Run, nested: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, err = mambino("compress", "slice", str(nested), "--budget", "even", "--mix", "q8_0", "--out", str(out))
    assert code == 2
    assert "--mix is for a .gguf file" in err
    assert not out.exists()


@pytest.mark.parametrize("name", ["folder", "file.gguf"])
def test_a_place_that_cannot_be_written_is_refused_before_the_cut(
    mambino: Run, nested: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mambino.cli.compress_slice.slice_checkpoint", lambda *_: pytest.fail("it was cut"))
    (tmp_path / "in-the-way").write_text("a file")
    out = tmp_path / "in-the-way" / name
    code, _, err = mambino("compress", "slice", str(nested), "--budget", "even", "--out", str(out))
    assert code == 1
    assert f"{out}: cannot be written" in err


def test_a_gguf_without_a_tokenizer_makes_a_folder_without_one_and_says_so(
    mambino: Run, nested: Path, tmp_path: Path
) -> None:
    export_gguf(open_checkpoint(nested), tmp_path / "mute.gguf", type_of=matrices_as("f16"), name="mute")
    arguments = ("--budget", "100%", "--out", str(tmp_path / "out"))
    code, _, err = mambino("compress", "slice", str(tmp_path / "mute.gguf"), *arguments)
    assert code == 0, err
    assert "out has no tokenizer: " in err
    assert "carries no tokenizer" in err
    assert not (tmp_path / "out/tokenizer.json").exists()


def test_the_offer_of_the_source_is_not_that_of_the_slice(mambino: Run, nested: Path, tmp_path: Path) -> None:
    assert mambino("compress", "slice", str(nested), "--budget", "even", "--out", str(tmp_path / "out"))[0] == 0
    assert offered_subs(open_checkpoint(tmp_path / "out")) == {}
    assert json.loads((tmp_path / "out/config.json").read_text())["intermediate_size"] == 64
