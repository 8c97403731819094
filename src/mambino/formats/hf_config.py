"""Hugging Face config.json <-> HybridConfig, strictly: known keys are checked, unknown keys are refused by name.

What all architectures share is here; layers are read in hf_nemotron_h and hf_llama, and from "mambino_layers" where a
model is uneven. Start at read_hf_config.
"""

from collections.abc import Mapping

from mambino.config import HybridConfig, LayerSpec
from mambino.errors import Unsupported
from mambino.formats import hf_llama, hf_nemotron_h
from mambino.formats.keys import Keys
from mambino.formats.layer_json import read_layer, write_layer

_WHERE = "[config.json]"
_CLASS_NAMES = {"nemotron_h": "NemotronHForCausalLM", "llama": "LlamaForCausalLM"}
_QUANTISATIONS = ("modelopt", "fp8", "compressed-tensors")  # read where the tensors are F8_E4M3 with a weight_scale

# Known, and without effect on a forward pass. Tensors state their own types, so dtype keys add nothing.
_HARMLESS = (
    "_name_or_path", "architectures", "attention_dropout", "auto_map", "bad_words_ids", "chunk_size_feed_forward",
    "dtype", "finetuning_task", "id2label", "initializer_range", "is_decoder", "is_encoder_decoder", "label2id",
    "output_attentions", "output_hidden_states", "pad_token_id", "problem_type", "return_dict", "torch_dtype",
    "transformers.js_config", "transformers_version", "unk_token_id", "use_cache",
)  # fmt: skip


def read_hf_config(document: Mapping[str, object]) -> HybridConfig:
    """The model that a parsed config.json describes.

    Raises     ConfigError for missing, contradictory or unknown keys; Unsupported for features, each named
    Pinned by  tests/formats/test_hf_config.py
    """
    keys = Keys(document, _WHERE)
    hidden_size = keys.integer("hidden_size")
    match keys.text("model_type"):
        case "nemotron_h" as architecture:
            hf_nemotron_h.check_nemotron_h(keys)
            uneven = _read_uneven_layers(keys, hf_nemotron_h.SIZE_KEYS)
            layers = uneven or hf_nemotron_h.read_nemotron_h_layers(keys)
            num_hidden_layers = len(layers)
        case "llama" as architecture:
            hf_llama.check_llama(keys)
            uneven = _read_uneven_layers(keys, hf_llama.SIZE_KEYS)
            layers = uneven or hf_llama.read_llama_layers(keys, hidden_size)
            num_hidden_layers = len(layers) // 2
        case other:
            raise Unsupported(f"{_WHERE} model_type: {other!r:.40} is not supported; supported: nemotron_h, llama")
    stated = keys.integer("num_hidden_layers", num_hidden_layers)
    if stated != num_hidden_layers:
        raise keys.fault("num_hidden_layers", f"{stated} contradicts the layer list, which has {num_hidden_layers}")
    _check_quantisation(keys)
    keys.ignore(_HARMLESS)
    config = HybridConfig(
        architecture=architecture,
        layers=layers,
        hidden_size=hidden_size,
        vocab_size=keys.integer("vocab_size"),
        norm_eps=keys.number(keys.first("layer_norm_epsilon", "rms_norm_eps")),
        tie_embeddings=keys.boolean("tie_word_embeddings", False),
        max_context=keys.integer("max_position_embeddings"),
        bos_token_id=keys.integer("bos_token_id") if keys.has("bos_token_id") else None,
        eos_token_ids=read_token_ids(keys, "eos_token_id"),
    )
    keys.ignore(["bos_token_id"])
    keys.require_all_used()
    return config


def _read_uneven_layers(keys: Keys, size_keys: tuple[str, ...]) -> tuple[LayerSpec, ...]:
    """The layers in mambino_layers; empty where the key is absent."""
    entries = keys.get("mambino_layers")
    if entries is None:
        return ()
    if clash := [key for key in size_keys if keys.has(key)]:
        raise keys.fault("mambino_layers", f"states every layer, so remove {', '.join(clash)}")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise keys.fault("mambino_layers", "expected one object a layer")
    return tuple(read_layer(entry, f"{_WHERE} mambino_layers[{index}]:") for index, entry in enumerate(entries))


def _check_quantisation(keys: Keys) -> None:
    quantisation = keys.get("quantization_config")
    if quantisation is None:
        return
    method = quantisation.get("quant_method") if isinstance(quantisation, dict) else quantisation
    if method not in _QUANTISATIONS:
        raise Unsupported(
            f"{_WHERE} quantization_config: method {method!r:.40}; only FP8 with weight_scale is supported"
        )


def read_token_ids(keys: Keys, key: str) -> tuple[int, ...]:
    """One id, a list of ids, or nothing."""
    ids = keys.get(key)
    listed = ids if isinstance(ids, list) else [] if ids is None else [ids]
    if not all(type(token) is int for token in listed):
        raise keys.fault(key, f"expected token ids, got {ids!r:.80}")
    return tuple(listed)


def has_hf_sizes(config: HybridConfig) -> bool:
    """Whether the keys of transformers can say the layers: one size for all of a kind. Raises as write_hf_config."""
    return _size_keys(config) is not None


def _size_keys(config: HybridConfig) -> dict[str, object] | None:
    is_llama = config.architecture == "llama"
    return hf_llama.write_llama_layers(config) if is_llama else hf_nemotron_h.write_nemotron_h_layers(config)


def write_hf_config(config: HybridConfig) -> dict[str, object]:
    """The config.json that read_hf_config turns back into config; transformers reads it too if has_hf_sizes(config).

    Raises     ConfigError for a llama config that is not pairs of attention and MLP
    """
    sizes = _size_keys(config) or {"mambino_layers": [write_layer(layer) for layer in config.layers]}
    if config.architecture == "llama":
        num_hidden_layers, epsilon = len(config.layers) // 2, {"rms_norm_eps": config.norm_eps}
    else:
        num_hidden_layers = len(config.layers)
        epsilon = {"layer_norm_epsilon": config.norm_eps, "rms_norm_eps": config.norm_eps}
    eos = config.eos_token_ids
    return {
        "architectures": [_CLASS_NAMES[config.architecture]],
        "model_type": config.architecture,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_context,
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": eos[0] if len(eos) == 1 else list(eos) or None,
        **epsilon,
        **sizes,
    }
