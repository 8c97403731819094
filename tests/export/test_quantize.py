"""A quantised file: the model it came from, under the plan's types, with what the encoders promise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.tiny_file import write_tiny_directory
from compress_models import write_offer
from mambino.compress.offered import GGUF_KEY, nested_text, offered_subs
from mambino.compress.slicing import slice_checkpoint
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.errors import FormatError, InputError
from mambino.export.gguf import export_gguf, matrices_as
from mambino.export.quantize import (
    cut_shapes,
    mix_plan,
    overhead_nbytes,
    quantise_in_memory,
    quantize,
    requantised,
    shapes_of,
)
from mambino.export.retype import retyped
from mambino.export.verify import _require_same_model, verify
from mambino.formats.checkpoint import Checkpoint, open_checkpoint, write_checkpoint_directory
from mambino.formats.tensor import tensor_from_float32
from mambino.quant.encode import encode
from mambino.quant.mixes import plan_for_mix
from mambino.quant.types import TYPES
from quantised_models import quantised_config
from tiny_models import tiny_weights

Q4_K_ERROR = 0.08  # of normal values, relative: tests/quant/test_encode.py has it at 0.0736


@pytest.fixture
def source(tmp_path: Path) -> Checkpoint:
    config = quantised_config()
    write_checkpoint_directory(tmp_path / "hf", config, tiny_weights(config).values())
    export_gguf(
        open_checkpoint(tmp_path / "hf"),
        tmp_path / "source.gguf",
        type_of=matrices_as("F32"),
        name="little",
        more_metadata={
            "general.author": "someone",
            "general.file_type": 0,
            "some.numbers": np.arange(3, dtype=np.int8),
        },
    )
    return open_checkpoint(tmp_path / "source.gguf")


@pytest.mark.parametrize("mix", ["q4_k_m", "m4", "iq4_nl"])
def test_a_quantised_file_is_the_same_model_in_the_planned_types(source: Checkpoint, mix: str, tmp_path: Path) -> None:
    plan = plan_for_mix(mix, shapes_of(source))
    nbytes = quantize(source, tmp_path / "x.gguf", plan)
    written = open_checkpoint(tmp_path / "x.gguf")
    assert nbytes == (tmp_path / "x.gguf").stat().st_size
    assert written.config == source.config
    assert {own: tensor.type for own, tensor in written.stored.items()} == dict(plan.types)
    errors = verify(source, tmp_path / "x.gguf", plan)
    assert max(error.plain for error in errors) < Q4_K_ERROR
    assert {error.own for error in errors} == {own for own, shape in shapes_of(source).items() if len(shape) == 2}


def test_metadata_is_kept_but_for_what_describes_the_source_file(source: Checkpoint, tmp_path: Path) -> None:
    quantize(source, tmp_path / "x.gguf", plan_for_mix("q4_k_m", shapes_of(source)))
    metadata = open_checkpoint(tmp_path / "x.gguf").metadata
    assert (metadata["general.name"], metadata["general.author"]) == ("little", "someone")
    assert metadata["general.file_type"] == 15  # llama.cpp's MOSTLY_Q4_K_M
    assert metadata["mambino.quantize.plan"] == "q4_k_m"
    np.testing.assert_array_equal(metadata["some.numbers"], np.arange(3, dtype=np.int8))


def test_the_sizes_that_a_directory_offers_go_along(source: Checkpoint, tmp_path: Path) -> None:
    directory = open_checkpoint(tmp_path / "hf")
    subs = {"less": sub_config(directory.config, SubSizes(num_layers=len(directory.config.layers) - 1))}
    write_offer(tmp_path / "hf", subs)
    quantize(directory, tmp_path / "x.gguf", plan_for_mix("q8_0", shapes_of(directory)))
    assert offered_subs(open_checkpoint(tmp_path / "x.gguf")) == subs


def test_a_directory_and_a_gguf_of_the_same_weights_quantise_alike(source: Checkpoint, tmp_path: Path) -> None:
    plan = plan_for_mix("q4_0", shapes_of(source))
    directory = open_checkpoint(tmp_path / "hf")
    for name, checkpoint in (("a.gguf", source), ("b.gguf", directory)):
        quantize(checkpoint, tmp_path / name, plan)
    ours, theirs = (open_checkpoint(tmp_path / name).stored for name in ("a.gguf", "b.gguf"))
    for own, tensor in ours.items():
        np.testing.assert_array_equal(tensor.data, theirs[own].data)


def test_in_memory_equals_the_file_and_threads_change_nothing(source: Checkpoint, tmp_path: Path) -> None:
    plan = plan_for_mix("m5", shapes_of(source))
    importance = {"lm_head.weight": np.linspace(0, 2, 256, dtype=np.float32)}
    quantize(source, tmp_path / "x.gguf", plan, importance=importance, threads=3)
    written, held = open_checkpoint(tmp_path / "x.gguf"), quantise_in_memory(source, plan, importance=importance)
    for own, tensor in held.stored.items():
        np.testing.assert_array_equal(tensor.data, written.stored[own].data)
    plain = quantise_in_memory(source, plan)
    assert [own for own in plan.types if (plain.stored[own].data != held.stored[own].data).any()] == ["lm_head.weight"]


def test_a_tensor_is_encoded_in_pieces_as_it_is_whole(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = rng.standard_normal((37, 64)).astype(np.float32)
    monkeypatch.setattr("mambino.export.retype._VALUES_PER_PIECE", 5 * 64)
    seen: list[int] = []
    piecewise = retyped(tensor_from_float32("w", values), TYPES["Q4_1"], threads=2, on_values=seen.append)
    np.testing.assert_array_equal(piecewise.raw_rows, encode(TYPES["Q4_1"], values))
    assert len(seen) == 8
    assert sum(seen) == values.size


def test_a_file_is_never_overwritten(source: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"precious")
    with pytest.raises(InputError, match="already exists"):
        quantize(source, tmp_path / "x.gguf", plan_for_mix("q8_0", shapes_of(source)))
    assert (tmp_path / "x.gguf").read_bytes() == b"precious"


def test_progress_ends_at_the_number_of_weights(source: Checkpoint, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    plan = plan_for_mix("q8_0", shapes_of(source))
    quantize(source, tmp_path / "x.gguf", plan, on_progress=lambda *step: seen.append(step))
    assert seen[-1][1] == seen[-1][2] == source.config.num_parameters
    assert [step[1] for step in seen] == sorted(step[1] for step in seen)


def test_the_size_of_a_file_is_known_before_it_is_written(source: Checkpoint, tmp_path: Path) -> None:
    plan = plan_for_mix("q4_k_m", shapes_of(source))
    for checkpoint in (source, open_checkpoint(tmp_path / "hf")):
        path = tmp_path / f"{checkpoint.kind}.gguf"
        expected = plan.nbytes(shapes_of(source)) + overhead_nbytes(checkpoint)
        nbytes = quantize(checkpoint, path, plan)
        assert nbytes <= expected <= nbytes + 8192


def test_the_sizes_that_a_folder_offers_count_in_the_file(source: Checkpoint, tmp_path: Path) -> None:
    plan, before = plan_for_mix("f16", shapes_of(source)), overhead_nbytes(open_checkpoint(tmp_path / "hf"))
    write_offer(tmp_path / "hf", {f"{share}%": SubConfig.whole(source.config) for share in range(1, 100)})
    checkpoint = open_checkpoint(tmp_path / "hf")
    assert quantize(checkpoint, tmp_path / "x.gguf", plan) <= plan.nbytes(shapes_of(source)) + overhead_nbytes(
        checkpoint
    )
    assert overhead_nbytes(checkpoint) > before


def test_quantising_what_is_quantised_is_noticed(source: Checkpoint, tmp_path: Path) -> None:
    plan = plan_for_mix("q4_k_m", shapes_of(source))
    assert requantised(source, plan) == []
    quantize(source, tmp_path / "x.gguf", plan)
    again = open_checkpoint(tmp_path / "x.gguf")
    assert requantised(again, plan) == []
    assert "layers.0.mixer.in_proj.weight" in requantised(again, plan_for_mix("q4_0", shapes_of(source)))


def test_verify_sees_a_wrong_type_another_model_and_damage(source: Checkpoint, tmp_path: Path) -> None:
    plan = plan_for_mix("q8_0", shapes_of(source))
    path = tmp_path / "x.gguf"
    quantize(source, path, plan)
    with pytest.raises(FormatError, match="expected Q6_K, found Q8_0"):
        verify(source, path, plan_for_mix("q6_k", shapes_of(source)))
    damaged = bytearray(path.read_bytes())
    raw = open_checkpoint(path).stored["lm_head.weight"].data
    at = bytes(damaged).index(raw[:64].tobytes())
    damaged[at : at + 2] = b"\x00\x7c"  # an infinite float16 scale
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match=r"lm_head\.weight: holds NaN or infinite"):
        verify(source, path, plan)


def test_a_value_no_format_holds_names_its_tensor(source: Checkpoint, tmp_path: Path) -> None:
    huge = tensor_from_float32("lm_head.weight", np.full((4, 256), 1e30, np.float32))
    with pytest.raises(InputError, match=r"tensor lm_head.weight: \[quant\] Q4_0: values up to"):
        retyped(huge, TYPES["Q4_0"])


def test_ends_that_only_the_tokenizer_knows_make_no_other_model(source: Checkpoint, tmp_path: Path) -> None:
    tokenizer = write_tiny_directory(tmp_path / "tokenizer")  # ends with id 263
    config = replace(source.config, vocab_size=open_checkpoint(tokenizer).config.vocab_size, eos_token_ids=(2, 3))
    write_checkpoint_directory(
        tmp_path / "other", config, tiny_weights(config).values(), generation_defaults={"eos_token_id": 3},
        tokenizer_from=tokenizer,
    )  # fmt: skip
    directory = open_checkpoint(tmp_path / "other")
    assert directory.config.eos_token_ids == (2, 3)
    plan = plan_for_mix("q8_0", shapes_of(directory))
    quantize(directory, tmp_path / "x.gguf", plan)
    assert verify(directory, tmp_path / "x.gguf", plan)
    written = open_checkpoint(tmp_path / "x.gguf")
    assert written.config.eos_token_ids == (2, 3, 263)
    fewer = replace(written.config, eos_token_ids=(3, 263))
    for config, message in ((fewer, r"end tokens \[2\]"), (replace(fewer, max_context=7), "another model")):
        with pytest.raises(FormatError, match=message):
            _require_same_model(directory, replace(written, config=config))


def test_a_plan_that_makes_an_offered_size_impossible_is_refused(source: Checkpoint, tmp_path: Path) -> None:
    directory = open_checkpoint(tmp_path / "hf")
    offer = {"half": sub_config(directory.config, SubSizes(hidden_size=directory.config.hidden_size // 2))}
    write_offer(tmp_path / "hf", offer)
    wide, path = plan_for_mix("q6_k", shapes_of(directory)), tmp_path / "x.gguf"
    message = r"tensor \S+: the offered size half keeps whole blocks of 128 columns, Q6_K has blocks of 256; give"
    with pytest.raises(InputError, match=message):
        quantize(directory, path, wide)
    with pytest.raises(InputError, match=message):
        export_gguf(directory, path, type_of=lambda row: wide.types[row.own], name="x",
                    more_metadata={GGUF_KEY: nested_text(offer)})  # fmt: skip
    assert not path.exists()
    quantize(directory, path, mix_plan(directory, "q6_k"))
    assert slice_checkpoint(open_checkpoint(path), offer["half"]).config == offer["half"].config


def test_a_cut_finer_than_every_block_is_refused_by_name_and_fits_floats(source: Checkpoint, tmp_path: Path) -> None:
    directory = open_checkpoint(tmp_path / "hf")
    write_offer(tmp_path / "hf", {"odd": sub_config(directory.config, SubSizes(hidden_size=100))})
    with pytest.raises(InputError, match=r"the offered size odd keeps whole blocks of 100 columns, Q8_0 has blocks of"):
        mix_plan(directory, "q8_0")
    assert mix_plan(directory, "f16") == plan_for_mix("f16", shapes_of(directory))


def test_shapes_of_cuts_have_the_bytes_of_the_whole(source: Checkpoint, tmp_path: Path) -> None:
    directory = open_checkpoint(tmp_path / "hf")
    assert cut_shapes(directory) == shapes_of(directory)
    write_offer(tmp_path / "hf", {"part": sub_config(directory.config, SubSizes(hidden_size=192))})
    plan = mix_plan(directory, "m4")
    assert plan.nbytes(cut_shapes(directory)) == plan.nbytes(shapes_of(directory))
