"""Whole models on disk: both kinds, both forms, and every way in which files and config can disagree."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from mambino.errors import ConfigError, FormatError, InputError, MambinoError
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.gguf_config import write_gguf_metadata
from mambino.formats.gguf_write import write_gguf
from mambino.formats.hf_config import write_hf_config
from mambino.formats.names import rows
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.formats.transforms import NegativeExp
from mambino.quant.types import TYPES
from refusals import refusal
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights

A_LOG_TOLERANCE = 2.0**-23  # see test_transforms
CONFIGS = {
    "hybrid": tiny_hybrid_config(),
    "tied hybrid": replace(tiny_hybrid_config(), tie_embeddings=True),
    "llama": tiny_llama_config(),
    "untied llama": replace(tiny_llama_config(), tie_embeddings=False),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def config(request):
    return request.param


def gguf_tensors(config, weights):
    return {row.gguf: row.transform.to_gguf(weights[row.own]).renamed(row.gguf) for row in rows(config)}


def write_tiny_gguf(path, config, *, metadata=None, drop=(), extra=()):
    tensors = gguf_tensors(config, tiny_weights(config))
    kept = [tensor for name, tensor in tensors.items() if name not in drop]
    write_gguf(path, write_gguf_metadata(config) | (metadata or {}), [*kept, *extra])
    return path


def assert_same_weights(ours, theirs, config):
    assert list(ours) == [row.own for row in rows(config)]
    for row in rows(config):
        a, b = ours[row.own], theirs[row.own]
        assert (a.name, a.shape) == (row.own, b.shape)
        tolerance = A_LOG_TOLERANCE if isinstance(row.transform, NegativeExp) else 0
        np.testing.assert_allclose(a.to_float32(), b.to_float32(), rtol=tolerance, atol=tolerance)


def test_hugging_face_to_ours_and_back_changes_no_bit(config, tmp_path):
    weights = tiny_weights(config)
    write_checkpoint_directory(tmp_path / "a", config, weights.values())
    first = open_checkpoint(tmp_path / "a")
    assert (first.kind, first.config) == ("hf", config)
    write_checkpoint_directory(tmp_path / "b", first.config, first.tensors("hf").values())
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert_same_weights(first.tensors("hf"), weights, config)


def test_a_gguf_holds_the_same_model(config, tmp_path):
    weights = tiny_weights(config)
    checkpoint = open_checkpoint(write_tiny_gguf(tmp_path / "m.gguf", config))
    assert (checkpoint.kind, checkpoint.config) == ("gguf", config)
    assert_same_weights(checkpoint.tensors("hf"), weights, config)
    assert checkpoint.nbytes == 4 * config.num_parameters


def test_both_kinds_give_the_same_gguf_form(config, tmp_path):
    write_checkpoint_directory(tmp_path / "hf", config, tiny_weights(config).values())
    from_hf = open_checkpoint(tmp_path / "hf").tensors("gguf")
    from_gguf = open_checkpoint(write_tiny_gguf(tmp_path / "m.gguf", config)).tensors("gguf")
    assert list(from_hf) == list(from_gguf)
    for own, tensor in from_hf.items():
        assert (tensor.name, tensor.shape) == (own, from_gguf[own].shape)
        np.testing.assert_array_equal(tensor.data, from_gguf[own].data)


def test_stored_tensors_are_views_of_the_file(config, tmp_path):
    checkpoint = open_checkpoint(write_tiny_gguf(tmp_path / "m.gguf", config))
    for tensor in checkpoint.tensors("gguf").values():
        assert not tensor.data.flags.owndata
        assert not tensor.data.flags.writeable


def test_dimensions_of_one_that_llama_cpp_drops_are_restored(tmp_path):
    config = tiny_hybrid_config()
    single_group = next(row for row in rows(config) if row.stored_shape("gguf")[0] == 1)
    stored = gguf_tensors(config, tiny_weights(config))
    flat = replace(stored[single_group.gguf], shape=single_group.stored_shape("gguf")[1:])
    path = write_tiny_gguf(tmp_path / "m.gguf", config, drop=[single_group.gguf], extra=[flat])
    opened = open_checkpoint(path).tensors("gguf")[single_group.own]
    assert opened.shape == single_group.stored_shape("gguf")


def test_missing_left_over_and_misshapen_tensors_are_all_listed(tmp_path):
    ones = tensor_from_float32("blk.0.ssm_a", np.ones(6, np.float32))
    extra = [ones, ones.renamed("blk.2.attn_q.bias"), ones.renamed("rope_freqs.weight")]
    drop = ["blk.0.ssm_a", "blk.3.ssm_d", "output_norm.weight"]
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_hybrid_config(), drop=drop, extra=extra)
    with pytest.raises(FormatError) as caught:
        open_checkpoint(path)
    message = str(caught.value)
    assert "m.gguf" in message
    assert "missing output_norm.weight, blk.3.ssm_d" in message
    assert "unknown blk.2.attn_q.bias, rope_freqs.weight" in message
    assert "tensor blk.0.ssm_a: expected shape (6, 1), got (6,)" in message


def test_a_contradictory_config_names_the_file(tmp_path):
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_hybrid_config(), metadata={"nemotron_h.unheard_of": 1})
    with pytest.raises(ConfigError, match=r"m\.gguf: .*unknown keys nemotron_h\.unheard_of"):
        open_checkpoint(path)


@pytest.fixture
def directory(tmp_path):
    """A tiny hybrid directory, to be damaged."""
    write_checkpoint_directory(tmp_path / "m", tiny_hybrid_config(), tiny_weights(tiny_hybrid_config()).values())
    return tmp_path / "m"


def rewrite(directory, change):
    tensors = change(open_safetensors(directory))
    write_safetensors(directory / "new.safetensors", tensors.values())
    (directory / "new.safetensors").replace(directory / "model.safetensors")


def renamed(tensors, old, new):
    return {name.replace(old, new): tensor.renamed(name.replace(old, new)) for name, tensor in tensors.items()}


def test_the_prefix_of_transformers_5_reads_the_same(directory):
    before = open_checkpoint(directory).tensors("hf")
    rewrite(directory, lambda tensors: renamed(tensors, "backbone.", "model."))
    assert_same_weights(open_checkpoint(directory).tensors("hf"), before, tiny_hybrid_config())


def test_float8_weights_carry_their_scale_through_every_form(directory, rng):
    name, input_scale = "backbone.layers.1.mixer.up_proj.weight", "backbone.layers.1.mixer.up_proj.input_scale"
    codes = rng.integers(0, 120, 41 * 37, dtype=np.uint8)
    float8 = Tensor(name=name, type=TYPES["F8_E4M3"], shape=(41, 37), data=codes)

    def quantise(tensors):
        scale = tensor_from_float32(f"{name}_scale", np.array(0.25, np.float32))
        return tensors | {name: float8, scale.name: scale, input_scale: scale.renamed(input_scale)}

    rewrite(directory, quantise)
    for form in ("hf", "gguf"):
        tensor = open_checkpoint(directory).tensors(form)["layers.1.mixer.up_proj.weight"]
        np.testing.assert_array_equal(tensor.to_float32(), 0.25 * float8.to_float32())


def test_float8_without_a_scale_is_refused(directory):
    name = "backbone.layers.1.mixer.up_proj.weight"
    float8 = Tensor(name=name, type=TYPES["F8_E4M3"], shape=(41, 37), data=np.zeros(41 * 37, np.uint8))
    rewrite(directory, lambda tensors: tensors | {name: float8})
    with pytest.raises(FormatError, match=rf"without a weight_scale: {name}"):
        open_checkpoint(directory)


@pytest.mark.parametrize("shape", [(3,), (37, 1)])
def test_a_scale_of_another_size_is_refused(directory, shape):
    name = "backbone.layers.1.mixer.up_proj.weight_scale"
    rewrite(directory, lambda tensors: tensors | {name: tensor_from_float32(name, np.ones(shape, np.float32))})
    with pytest.raises(FormatError, match="expected 1 or 41 finite scales"):
        open_checkpoint(directory)


@pytest.mark.parametrize("is_copy", [True, False])
def test_a_stored_copy_of_a_tied_head_is_dropped_only_if_it_is_one(is_copy, tmp_path):
    config = tiny_llama_config()
    weights = tiny_weights(config)
    write_checkpoint_directory(tmp_path / "m", config, weights.values())
    head = weights["embeddings.weight"].to_float32() + (0 if is_copy else 1)
    rewrite(tmp_path / "m", lambda tensors: tensors | {"lm_head.weight": tensor_from_float32("lm_head.weight", head)})
    if is_copy:
        assert_same_weights(open_checkpoint(tmp_path / "m").tensors("hf"), weights, config)
    else:
        with pytest.raises(FormatError, match=r"lm_head\.weight: differs from the embeddings"):
            open_checkpoint(tmp_path / "m")


def test_generation_config_adds_ends_of_sequence(directory):
    defaults = {"eos_token_id": [2, 12], "temperature": 1.0}
    (directory / "generation_config.json").write_text(json.dumps(defaults))
    checkpoint = open_checkpoint(directory)
    assert checkpoint.config.eos_token_ids == (2, 11, 12)
    assert checkpoint.generation_defaults == defaults


@pytest.mark.parametrize(
    ("files", "template"),
    [
        ({}, None),
        ({"tokenizer_config.json": '{"chat_template": "one"}'}, "one"),
        ({"tokenizer_config.json": '{"chat_template": [{"name": "default", "template": "two"}]}'}, "two"),
        ({"tokenizer_config.json": '{"chat_template": "one"}', "chat_template.jinja": "three"}, "three"),
        ({"tokenizer_config.json": "{}"}, None),
    ],
)
def test_the_chat_template_is_found_where_it_is(files, template, directory):
    for name, content in files.items():
        (directory / name).write_text(content)
    assert open_checkpoint(directory).chat_template == template


def test_the_chat_template_of_a_gguf_is_its_metadata(tmp_path):
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_llama_config(), metadata={"tokenizer.chat_template": "four"})
    assert open_checkpoint(path).chat_template == "four"


def test_tokenizer_files_and_generation_defaults_are_written_too(tmp_path):
    config = tiny_llama_config()
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "secrets.txt").write_text("no")
    write_checkpoint_directory(
        tmp_path / "m",
        config,
        tiny_weights(config).values(),
        generation_defaults={"temperature": 0.6},
        tokenizer_from=tmp_path,
    )
    assert {file.name for file in (tmp_path / "m").iterdir()} == {
        "config.json", "model.safetensors", "generation_config.json", "tokenizer.json",
    }  # fmt: skip
    assert open_checkpoint(tmp_path / "m").generation_defaults == {"temperature": 0.6}


def test_an_existing_directory_is_not_touched(directory):
    before = (directory / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="already exists"):
        write_checkpoint_directory(directory, tiny_hybrid_config(), tiny_weights(tiny_hybrid_config(), 1).values())
    assert (directory / "model.safetensors").read_bytes() == before


def test_a_write_that_fails_leaves_nothing(tmp_path):
    config = tiny_llama_config()
    weights = tiny_weights(config)
    quantised = Tensor(name="norm_f.weight", type=TYPES["F8_E4M3"], shape=(36,), data=np.zeros(36, np.uint8),
                       scale=np.float32([1]))  # fmt: skip
    wrong_shape = tensor_from_float32("norm_f.weight", np.ones(35, np.float32))
    for tensors, message in [
        (weights | {"norm_f.weight": quantised}, "carries a scale"),
        (weights | {"norm_f.weight": wrong_shape}, r"norm_f\.weight: expected shape \(36,\), got \(35,\)"),
        (weights | {"more": wrong_shape.renamed("more")}, "missing or unknown tensors: more"),
        ({"norm_f.weight": wrong_shape}, "missing or unknown tensors: embeddings.weight"),
    ]:
        with pytest.raises(MambinoError, match=message):
            write_checkpoint_directory(tmp_path / "m", config, tensors.values())
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "cannot be read: No such file"),
        ("m/model.safetensors", "open the directory that holds it"),
        (".", "expected config.json and safetensors, found m; name a .gguf file"),
        ("m/config.json", "expected the magic b'GGUF'"),
    ],
)
def test_a_path_that_is_no_model_says_what_to_name(name, message, directory):
    with pytest.raises(FormatError, match=message):
        open_checkpoint(directory.parent / name)


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"{}", b'{"eos_token_id": "x"}', b"[" * 100_000])
def test_a_damaged_json_file_is_refused_or_harmless(file, content, directory):
    (directory / file).write_bytes(content)
    message = refusal(open_checkpoint, directory)
    assert not message or str(directory) in message


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["nemotron_h", "llama"])
def test_transformers_and_we_read_each_others_directories(kind, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    even = tiny_llama_config() if kind == "llama" else tiny_hybrid_config()
    repeated = {type(layer): layer for layer in even.layers}
    config = replace(even, layers=tuple(repeated[type(layer)] for layer in even.layers))
    weights = tiny_weights(config)
    write_checkpoint_directory(tmp_path / "ours", config, weights.values())
    classes = {"nemotron_h": transformers.NemotronHForCausalLM, "llama": transformers.LlamaForCausalLM}
    model, report = classes[kind].from_pretrained(tmp_path / "ours", dtype=torch.float32, output_loading_info=True)
    assert [report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")] == [set(), set(), set()]
    model.save_pretrained(tmp_path / "theirs")
    assert open_checkpoint(tmp_path / "theirs").config == config
    assert_same_weights(open_checkpoint(tmp_path / "theirs").tensors("hf"), weights, config)


def test_config_json_alone_is_not_a_model(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(write_hf_config(tiny_llama_config())))
    with pytest.raises(FormatError, match=r"holds neither model\.safetensors"):
        open_checkpoint(Path(tmp_path))


@pytest.mark.parametrize("mix", ["q4_k_m", "q4_0", "f16"])
def test_a_file_laid_out_as_llama_cpp_does_opens_and_decodes_as_the_gguf_package_does(mix, shared_dir, tmp_path):
    path = tmp_path / "tiny.gguf"
    tool = shared_dir / "tools" / "make_random_gguf.py"
    subprocess.run([sys.executable, tool, path, "--preset", "tiny", "--mix", mix], check=True, capture_output=True)
    checkpoint = open_checkpoint(path)
    assert checkpoint.config.pattern == "M-M*-MM-*-"
    ours = checkpoint.tensors("gguf")
    own = {row.gguf: row.own for row in rows(checkpoint.config)}
    for tensor in gguf.GGUFReader(path).tensors:
        theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(ours[own[tensor.name]].to_float32(), theirs)


def test_more_files_lie_beside_the_weights(tmp_path):
    config = tiny_hybrid_config()
    more = {"note.txt": b"here", "folder/inner.json": b"{}"}
    write_checkpoint_directory(tmp_path / "m", config, tiny_weights(config).values(), more_files=more)
    assert {name: (tmp_path / "m" / name).read_bytes() for name in more} == more
