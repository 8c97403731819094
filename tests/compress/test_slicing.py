"""A sub-model cut out of a file is the nested one, in every kind of file, and opens elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress_models import (
    BLOCKY,
    EVERYTHING,
    ONE_AXIS_EACH,
    cuttable_config,
    some_tokens,
    strong_model,
    sub_of,
    write_offer,
)
from mambino.compress.nested import NestedLM
from mambino.compress.offered import chosen_sub, nested_text, offered_subs, sub_nbytes
from mambino.compress.slicing import column_grains, pick, slice_checkpoint
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.config import HybridConfig
from mambino.errors import FormatError, InputError, Unsupported
from mambino.export.gguf import export_gguf, matrices_as
from mambino.formats.checkpoint import Checkpoint, open_checkpoint, write_checkpoint_directory
from mambino.formats.tensor import tensor_from_float32
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights, weights_of
from mambino.quant.types import TYPES
from tiny_models import tiny_llama_config, tiny_weights

pytestmark = pytest.mark.torch

# transformers in float32 against ours in float32, as in tests/parity
FLOAT32_TOLERANCE = 1e-4

BLOCKY_SIZES = SubSizes(hidden_size=32, mamba_heads=2, attention_heads=2, intermediate_size=64, num_layers=4)
BLOCKY_SUB = sub_config(BLOCKY, BLOCKY_SIZES, depth_order=(2, 0, 1, 4, 3))


def saved(config: HybridConfig, folder: Path) -> Checkpoint:
    write_checkpoint_directory(folder, config, tiny_weights(config).values())
    return open_checkpoint(folder)


def written(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    write_checkpoint_directory(folder, checkpoint.config, checkpoint.tensors("hf").values())
    return open_checkpoint(folder)


@pytest.mark.parametrize("kind", ["hf", "gguf"])
@pytest.mark.parametrize("sizes", [*ONE_AXIS_EACH.values(), EVERYTHING])
def test_a_slice_of_a_file_has_the_weights_of_the_nested_model(kind: str, sizes: SubSizes, tmp_path: Path) -> None:
    sub, checkpoint = sub_of(sizes), saved(cuttable_config(), tmp_path / "hf")
    if kind == "gguf":
        export_gguf(checkpoint, tmp_path / "x.gguf", type_of=matrices_as("f32"), name="x")
        checkpoint = open_checkpoint(tmp_path / "x.gguf")
    expected = weights_of(NestedLM(strong_model()).extracted(sub))
    for name, tensor in slice_checkpoint(checkpoint, sub).tensors("hf").items():
        # A_log passes through exp and log on its way into a GGUF file
        tolerance = 1e-6 if name.endswith("A_log") else 0.0
        np.testing.assert_allclose(tensor.to_float32(), expected[name].to_float32(), atol=tolerance, rtol=0)


def test_a_llama_is_cut_inside_its_rotated_heads(tmp_path: Path) -> None:
    config = tiny_llama_config()
    sub = sub_config(config, SubSizes(hidden_size=20, attention_heads=4, intermediate_size=17))
    export_gguf(saved(config, tmp_path / "hf"), tmp_path / "x.gguf", type_of=matrices_as("f32"), name="x")
    expected = weights_of(NestedLM(strong_model(config)).extracted(sub))
    for name, tensor in slice_checkpoint(open_checkpoint(tmp_path / "x.gguf"), sub).tensors("hf").items():
        assert np.array_equal(tensor.to_float32(), expected[name].to_float32()), name


def test_a_slice_of_quantised_blocks_is_the_quantised_slice(tmp_path: Path) -> None:
    source = saved(BLOCKY, tmp_path / "hf")
    export_gguf(source, tmp_path / "whole.gguf", type_of=matrices_as("q8_0"), name="x")
    export_gguf(
        written(slice_checkpoint(source, BLOCKY_SUB), tmp_path / "part"), tmp_path / "part.gguf",
        type_of=matrices_as("q8_0"), name="x",
    )  # fmt: skip
    cut, exported = slice_checkpoint(open_checkpoint(tmp_path / "whole.gguf"), BLOCKY_SUB), tmp_path / "part.gguf"
    assert cut.config == open_checkpoint(exported).config
    for name, tensor in open_checkpoint(exported).stored.items():
        assert cut.stored[name].shape == tensor.shape
        assert np.array_equal(cut.stored[name].data, tensor.data), name
    assert cut.nbytes == sub_nbytes(open_checkpoint(tmp_path / "whole.gguf"), BLOCKY_SUB)


@pytest.mark.native
def test_the_engine_says_the_same_from_a_nested_file_and_from_an_exported_slice(tmp_path: Path) -> None:
    native = pytest.importorskip("mambino.engine.native", reason="needs the compiled engine")
    source = saved(BLOCKY, tmp_path / "hf")
    export_gguf(source, tmp_path / "whole.gguf", type_of=matrices_as("q8_0"), name="x")
    cut = slice_checkpoint(open_checkpoint(tmp_path / "whole.gguf"), BLOCKY_SUB)
    export_gguf(
        written(slice_checkpoint(source, BLOCKY_SUB), tmp_path / "part"), tmp_path / "part.gguf",
        type_of=matrices_as("q8_0"), name="x",
    )  # fmt: skip
    alone = open_checkpoint(tmp_path / "part.gguf")
    tokens = np.arange(30, dtype=np.int32)
    scores = [native.NativeLM(c.config, c.tensors("gguf"), threads=1).score(tokens) for c in (cut, alone)]
    assert np.array_equal(scores[0], scores[1])


def test_cutting_only_rows_copies_nothing(tmp_path: Path) -> None:
    checkpoint = saved(BLOCKY, tmp_path / "hf")
    cut = slice_checkpoint(checkpoint, sub_config(BLOCKY, SubSizes(intermediate_size=64)))
    for name in ("layers.1.mixer.up_proj.weight", "layers.0.mixer.in_proj.weight", "embeddings.weight"):
        assert np.shares_memory(cut.stored[name].data, checkpoint.stored[name].data), name


def test_a_cut_through_a_block_is_refused(tmp_path: Path) -> None:
    export_gguf(saved(BLOCKY, tmp_path / "hf"), tmp_path / "x.gguf", type_of=matrices_as("q8_0"), name="x")
    sub = sub_config(BLOCKY, SubSizes(hidden_size=48))
    with pytest.raises(Unsupported, match=r"48 of 64 columns do not keep whole Q8_0 blocks of 32; choose sizes"):
        slice_checkpoint(open_checkpoint(tmp_path / "x.gguf"), sub)


def test_columns_that_straddle_blocks_are_refused_even_if_they_are_as_many_as_a_block() -> None:
    tensor = tensor_from_float32("x", np.ones((2, 128), dtype=np.float32), TYPES["Q8_0"])
    assert pick(tensor, 1, np.arange(32, 96)).shape == (2, 64)
    for positions in (np.arange(16, 48), np.arange(0, 64, 2), np.r_[0:16, 32:48]):
        with pytest.raises(Unsupported, match="do not keep whole Q8_0 blocks"):
            pick(tensor, 1, positions)


@pytest.mark.parametrize("type_name", ["F16", "Q8_0"])
@pytest.mark.parametrize(
    "sizes",
    [
        SubSizes(), SubSizes(hidden_size=32), SubSizes(hidden_size=48), SubSizes(mamba_heads=2), EVERYTHING,
        SubSizes(mamba_head_dim=16), SubSizes(attention_heads=2), SubSizes(kv_heads=1), SubSizes(intermediate_size=80),
        SubSizes(num_layers=3),
    ],
)  # fmt: skip
def test_a_cut_works_exactly_where_the_block_divides_its_grain(sizes: SubSizes, type_name: str, tmp_path: Path) -> None:
    export_gguf(saved(BLOCKY, tmp_path / "hf"), tmp_path / "x.gguf", type_of=matrices_as(type_name), name="x")
    checkpoint, sub = open_checkpoint(tmp_path / "x.gguf"), sub_config(BLOCKY, sizes)
    can_be = all(grain % TYPES[type_name].block_size == 0 for grain in column_grains(BLOCKY, sub).values())
    if can_be:
        assert slice_checkpoint(checkpoint, sub).config == sub.config
    else:
        with pytest.raises(Unsupported, match="do not keep whole Q8_0 blocks"):
            slice_checkpoint(checkpoint, sub)


@pytest.mark.parametrize("is_tied", [False, True])
@torch.no_grad()
def test_a_slice_opens_in_transformers_with_the_same_logits(is_tied: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the outside oracle")
    config = replace(BLOCKY, tie_embeddings=is_tied)
    sub = sub_config(config, BLOCKY_SIZES, depth_order=(2, 0, 1, 4, 3))
    cut = written(slice_checkpoint(saved(config, tmp_path / "hf"), sub), tmp_path / "part")
    ours = HybridLM(cut.config)
    load_weights(ours, cut.tensors("hf"))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "part", dtype=torch.float32)
    tokens = some_tokens(20)
    assert (theirs(tokens).logits - ours(tokens)).abs().max() < FLOAT32_TOLERANCE


@pytest.mark.parametrize("kind", ["hf", "gguf"])
def test_offered_sub_models_travel_with_the_file(kind: str, tmp_path: Path) -> None:
    subs = {"50%": BLOCKY_SUB, "75%": sub_config(BLOCKY, SubSizes(intermediate_size=64))}
    checkpoint = saved(BLOCKY, tmp_path / "hf")
    if kind == "hf":
        write_offer(tmp_path / "hf", subs)
    else:
        more = {"mambino.nested": nested_text(subs)}
        export_gguf(checkpoint, tmp_path / "x.gguf", type_of=matrices_as("f16"), name="x", more_metadata=more)
        checkpoint = open_checkpoint(tmp_path / "x.gguf")
    assert offered_subs(checkpoint) == subs
    assert chosen_sub(checkpoint, "50%", context=64) == BLOCKY_SUB
    assert chosen_sub(checkpoint, "100%", context=64) == SubConfig.whole(BLOCKY)
    exact = slice_checkpoint(checkpoint, subs["75%"]).nbytes + subs["75%"].config.state_nbytes(64)
    assert chosen_sub(checkpoint, f"{exact}B", context=64) == subs["75%"]
    assert chosen_sub(checkpoint, f"{exact - 1} B", context=64) == BLOCKY_SUB
    with pytest.raises(InputError, match=r"10 kB: nothing fits at 64 tokens of context; this model offers 100%.*50%"):
        chosen_sub(checkpoint, "10 kB", context=64)
    with pytest.raises(InputError, match="'half': expected one of 100%"):
        chosen_sub(checkpoint, "half", context=64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "expected version 1"),
        ({"subs": {"50%": 3}}, "50%: expected an object"),
        ({"subs": {"50%": {**BLOCKY_SUB.to_json(), "hidden_size": 640}}}, "hidden size 640.*belongs to another model"),
        ({"subs": {"50%": {**BLOCKY_SUB.to_json(), "kept": [0, 1, 1, 4]}}}, "rising indices.*another model"),
        ({"subs": {"50%": {**BLOCKY_SUB.to_json(), "kept": [0, 1, 3, 4]}}}, "is not a part of"),
        ({"subs": {"50%": {**BLOCKY_SUB.to_json(), "kept": []}}}, "expected layer indices"),
    ],
)
def test_a_damaged_offer_is_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    checkpoint = saved(BLOCKY, tmp_path / "hf")
    document = {"version": 1, "subs": {}} | change
    (tmp_path / "hf" / "mambino_nested.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match=message):
        offered_subs(checkpoint)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (SubSizes(mamba_heads=3), "3 Mamba heads do not divide into 2 B/C groups.*take a multiple of 2"),
        (SubSizes(attention_heads=3), "3 query heads do not divide over 2 key/value heads.*a multiple of 2"),
        (SubSizes(hidden_size=65), "hidden size 65: the parent has 64"),
        (SubSizes(num_layers=0), "num_layers: expected 1 to 5, got 0"),
        (SubSizes(intermediate_size=-1), "expected positive numbers, got -1"),
    ],
)
def test_impossible_sizes_are_refused(sizes: SubSizes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sub_config(BLOCKY, sizes)


def test_a_llama_keeps_pairs_of_layers() -> None:
    with pytest.raises(InputError, match=r"cannot be dropped: .*pairs of attention and MLP"):
        sub_config(tiny_llama_config(), SubSizes(num_layers=3))
