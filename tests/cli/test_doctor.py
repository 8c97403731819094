"""The doctor finds what was planted, says what to do, and its copy is well."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.tiny_file import write_tiny_directory, write_tiny_gguf
from compress_models import write_offer
from mambino.compress.offered import offered_subs
from mambino.compress.sub import SubConfig
from mambino.config import AttentionSpec, MambaSpec, MlpSpec, layers_from_pattern
from mambino.export.gguf import export_gguf, matrices_as
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES
from tiny_models import tiny_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Layers of one size a kind, which every program opens."""
    uneven = write_tiny_directory(tmp_path / "uneven")
    layers = layers_from_pattern(
        "M-*",
        mamba=MambaSpec(num_heads=4, head_dim=8, state_size=8, num_groups=2, conv_kernel=4),
        attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=8),
        mlp=MlpSpec(intermediate_size=48, activation="relu2"),
    )
    config = replace(open_checkpoint(uneven).config, layers=layers, hidden_size=32)
    write_checkpoint_directory(tmp_path / "tiny", config, tiny_weights(config).values(), tokenizer_from=uneven)
    return tmp_path / "tiny"


def changed(folder: Path, out: Path, tensors: dict[str, Tensor]) -> Path:
    """A copy with some tensors replaced."""
    source = open_checkpoint(folder)
    write_checkpoint_directory(
        out, source.config, {**source.stored, **tensors}.values(), generation_defaults=source.generation_defaults,
        tokenizer_from=folder,
    )  # fmt: skip
    return out


def findings(mambino: Any, *args: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code, out, err = mambino("doctor", *args, "--json")
    assert out, err
    return code, {finding["where"]: finding for finding in json.loads(out)}


def test_a_sound_model_has_nothing(mambino: Any, folder: Path, tmp_path: Path) -> None:
    assert mambino("doctor", str(folder))[:2] == (0, "nothing found\n")
    source, path = open_checkpoint(folder), tmp_path / "tiny.gguf"
    export_gguf(source, path, type_of=matrices_as("F16"), name="tiny", tokenizer_directory=folder)
    assert mambino("doctor", str(path))[:2] == (0, "nothing found\n")


def test_uneven_layers_are_named_with_what_opens_them(mambino: Any, folder: Path, tmp_path: Path) -> None:
    code, found = findings(mambino, str(tmp_path / "uneven"))
    assert (code, found["layers"]["level"]) == (0, "warning")
    assert "transformers does not open this model" in found["layers"]["what"]
    assert "nor does llama.cpp" in found["layers"]["what"]
    code, found = findings(mambino, str(write_tiny_gguf(tmp_path / "x" / "tiny.gguf")))
    assert (code, found["layers"]["level"]) == (0, "warning")
    assert "llama.cpp does not open this file" in found["layers"]["what"]


def test_dead_rows_are_found_and_filled(mambino: Any, folder: Path, tmp_path: Path) -> None:
    values = open_checkpoint(folder).stored["embeddings.weight"].to_float32()
    values[[3, 7]] *= 1e-8
    sick = changed(folder, tmp_path / "sick", {"embeddings.weight": tensor_from_float32("embeddings.weight", values)})
    code, found = findings(mambino, str(sick))
    assert code == 0
    assert "2 dead rows" in found["embeddings.weight"]["what"]
    assert "ids 3, 7" in found["embeddings.weight"]["what"]
    offered = {"100%": SubConfig.whole(open_checkpoint(sick).config)}
    write_offer(sick, offered)
    code, _, err = mambino("doctor", str(sick), "--repair", str(tmp_path / "well"))
    assert (code, "filled 2 dead rows" in err) == (0, True)
    assert mambino("doctor", str(tmp_path / "well"))[1] == "nothing found\n"
    assert offered_subs(open_checkpoint(tmp_path / "well")) == offered
    well = open_checkpoint(tmp_path / "well").stored["embeddings.weight"].to_float32()
    kept = np.delete(np.arange(len(values)), [3, 7])
    assert np.array_equal(well[kept], values[kept])
    assert np.linalg.norm(well[3]) == pytest.approx(np.median(np.linalg.norm(values, axis=1)), rel=0.5)


def test_damage_is_an_error(mambino: Any, folder: Path, tmp_path: Path) -> None:
    name = "layers.1.mixer.up_proj.weight"
    values = open_checkpoint(folder).stored[name].to_float32()
    tensor = tensor_from_float32(name, values)
    data = tensor.data.copy()
    data[:4] = np.array([np.nan], dtype="<f4").view(np.uint8)
    code, found = findings(mambino, str(changed(folder, tmp_path / "nan", {name: replace(tensor, data=data)})))
    assert code == 1
    assert "NaN" in found[name]["what"]
    code, _, err = mambino("doctor", str(tmp_path / "nan"), "--repair", str(tmp_path / "well"))
    assert code == 1
    assert f"well: not written, it would still be broken: {name}: holds NaN" in err
    assert not (tmp_path / "well").exists()


def test_dead_rows_are_found_where_most_are_dead(mambino: Any, folder: Path, tmp_path: Path) -> None:
    embeddings = open_checkpoint(folder).stored["embeddings.weight"]
    values = embeddings.to_float32()
    values[: int(0.9 * len(values))] *= 1e-8
    values[5] = 0
    sick = changed(folder, tmp_path / "sick", {embeddings.name: tensor_from_float32(embeddings.name, values)})
    assert f"{int(0.9 * len(values))} dead rows" in findings(mambino, str(sick))[1]["embeddings.weight"]["what"]
    assert mambino("doctor", str(sick), "--repair", str(tmp_path / "well"))[0] == 0
    assert mambino("doctor", str(tmp_path / "well"))[1] == "nothing found\n"


def test_rows_of_zeros_are_dead_whatever_the_others_are(mambino: Any, folder: Path, tmp_path: Path) -> None:
    embeddings = open_checkpoint(folder).stored["embeddings.weight"]
    values = embeddings.to_float32()
    values[1:] = 0
    tensor = tensor_from_float32(embeddings.name, values)
    code, found = findings(mambino, str(changed(folder, tmp_path / "sick", {embeddings.name: tensor})))
    assert (code, f"{len(values) - 1} dead rows" in found["embeddings.weight"]["what"]) == (0, True)
    values[0] = 0
    tensor = tensor_from_float32(embeddings.name, values)
    code, found = findings(mambino, str(changed(folder, tmp_path / "void", {embeddings.name: tensor})))
    assert (code, found["embeddings.weight"]["level"]) == (1, "error")


def test_a_repaired_copy_has_what_belongs_to_the_folder(mambino: Any, folder: Path, tmp_path: Path) -> None:
    write_offer(folder, {"100%": SubConfig.whole(open_checkpoint(folder).config)})
    kept = {"ranking/ranking.json": b"{}", "ranking/scores.safetensors": b"scores", "README.md": b"a model card"}
    for name, content in kept.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    assert mambino("doctor", str(folder), "--repair", str(tmp_path / "well"))[0] == 0
    assert {name: (tmp_path / "well" / name).read_bytes() for name in kept} == kept
    assert offered_subs(open_checkpoint(tmp_path / "well")) == offered_subs(open_checkpoint(folder))


def test_a_place_that_cannot_be_written_is_refused_before_the_look(
    mambino: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mambino.cli.doctor.examine", lambda *_: pytest.fail("it was examined"))
    (tmp_path / "in-the-way").write_text("a file")
    for out, message in ((folder, "already exists"), (tmp_path / "in-the-way" / "well", "cannot be written")):
        code, _, err = mambino("doctor", str(folder), "--repair", str(out))
        assert (code, f"{out}: {message}" in err) == (1, True)


def test_risky_number_formats_are_named(mambino: Any, folder: Path, tmp_path: Path) -> None:
    stored = open_checkpoint(folder).stored
    narrow = tensor_from_float32("layers.0.mixer.A_log", stored["layers.0.mixer.A_log"].to_float32(), TYPES["BF16"])
    large = stored["lm_head.weight"].to_float32()
    large[0, 0] = 50_000
    sick = changed(folder, tmp_path / "sick", {
        "layers.0.mixer.A_log": narrow, "lm_head.weight": tensor_from_float32("lm_head.weight", large, TYPES["F16"]),
    })  # fmt: skip
    code, found = findings(mambino, str(sick), "--repair", str(tmp_path / "well"))
    assert code == 0
    assert "1 delicate tensors" in found["layers.0.mixer.A_log"]["what"]
    assert "5e+04 in F16" in found["lm_head.weight"]["what"]
    assert open_checkpoint(tmp_path / "well").stored["layers.0.mixer.A_log"].type.name == "F32"


def test_a_template_whose_answers_do_not_end_is_found_and_repaired(mambino: Any, folder: Path, tmp_path: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = settings["chat_template"].replace("<|im_end|>", "<|im_start|>")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    code, found = findings(mambino, str(folder), "--repair", str(tmp_path / "well"))
    assert code == 1
    assert "which is no end token: answers run on" in found["chat template"]["what"]
    assert findings(mambino, str(tmp_path / "well"))[0] == 0


def test_a_template_of_another_model_is_found(mambino: Any, folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for template, message in (
        ("{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}", "turns look like plain text"),
        ("{{ messages[0].nothing.at.all }}", "template"),
    ):
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
        code, found = findings(mambino, str(folder))
        assert code == 1
        assert message in found["chat template"]["what"]


def test_a_tokenizer_that_does_not_belong_is_found(mambino: Any, folder: Path) -> None:
    vocabulary = json.loads((folder / "tokenizer.json").read_text())
    last = vocabulary["added_tokens"][-1]
    vocabulary["added_tokens"].append(last | {"id": last["id"] + 1, "content": "<|extra|>"})
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    code, found = findings(mambino, str(folder))
    assert code == 1
    assert "some text cannot be read" in found["tokenizer"]["what"]
    (folder / "tokenizer.json").unlink()
    assert findings(mambino, str(folder))[0] == 1


def test_what_does_not_open_is_a_finding_too(mambino: Any, folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    code, found = findings(mambino, str(folder))
    assert code == 1
    assert "file" in found


def test_a_gguf_file_is_not_repaired_in_place(mambino: Any, tmp_path: Path) -> None:
    code, _, err = mambino("doctor", str(write_tiny_gguf(tmp_path / "tiny.gguf")), "--repair", str(tmp_path / "well"))
    assert code == 1
    assert "export it again" in err
