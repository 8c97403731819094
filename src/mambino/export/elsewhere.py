"""Which other programs open a model, by its layers: transformers and llama.cpp want even ones.

Reads configs only. Start at folder_note.
"""

from mambino.config import HybridConfig
from mambino.errors import ConfigError, Unsupported
from mambino.formats.gguf_config import write_gguf_metadata
from mambino.formats.hf_config import has_hf_sizes

# Of llama.cpp's keys, those that it reads as one number a layer. Head counts are not among them: it takes head sizes
# only where the first layer has heads, and in a hybrid that is a Mamba layer.
_ONE_A_LAYER = {"nemotron_h": {"attention.head_count_kv", "feed_forward_length"}, "llama": set[str]()}


def folder_note(config: HybridConfig) -> str | None:
    """What the owner of a Hugging Face folder of this model should know; None where transformers opens it."""
    if has_hf_sizes(config):
        return None
    what = "transformers does not open this model: there one size holds for all layers of a kind, and these differ"
    if llama_cpp_opens(config):
        return f"{what}; mambino opens it, and llama.cpp opens it as a .gguf"
    return f"{what}; nor does llama.cpp, as a .gguf; mambino opens it"


def llama_cpp_opens(config: HybridConfig) -> bool:
    """Whether llama.cpp can read the model's GGUF."""
    try:
        keys = write_gguf_metadata(config)
    except (ConfigError, Unsupported):
        return False
    listed = {key.partition(".")[2] for key, value in keys.items() if isinstance(value, list)}
    return listed <= _ONE_A_LAYER[config.architecture]
