"""What GGUF's tokenizer.ggml.pre stands for: the splitting that the model's own tokenizer.json does.

The rows follow the Hugging Face files the models were trained with, not llama.cpp's approximations of them: the two
differ for tekken and pixtral (case-aware words: "camelCase" is two pieces) and for qwen2 (NFC). Exact ids win.
"""

from dataclasses import dataclass

from mambino.errors import Unsupported
from mambino.tokenizer.spec import Json

_WORD_ENDS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LOWER_WORD = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
_UPPER_WORD = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
_SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SYMBOLS_OR_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

TEKKEN = rf"{_LOWER_WORD}|{_UPPER_WORD}|\p{{N}}|{_SYMBOLS_OR_SLASH}|{_WORD_ENDS}"
O200K = rf"{_LOWER_WORD}{_CONTRACTION}?|{_UPPER_WORD}{_CONTRACTION}?|\p{{N}}{{1,3}}|{_SYMBOLS_OR_SLASH}|{_WORD_ENDS}"
LLAMA3 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_SYMBOLS}|{_WORD_ENDS}"
QWEN2 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_SYMBOLS}|{_WORD_ENDS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    """Normalizer and pre-tokenizer (objects of tokenizer.json), and whether whole pieces skip the merges."""

    pre_tokenizer: Json
    normalizer: Json | None = None
    ignore_merges: bool = False


def _byte_level(*, use_regex: bool) -> Json:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> Json:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]}


_GPT2 = PreTokenizer(pre_tokenizer=_byte_level(use_regex=True))
_SINGLE_DIGITS = PreTokenizer(
    pre_tokenizer={
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)],
    }
)
_TEKKEN = PreTokenizer(pre_tokenizer=_split(TEKKEN), ignore_merges=True)
_LLAMA3 = PreTokenizer(pre_tokenizer=_split(LLAMA3), ignore_merges=True)
_QWEN2 = PreTokenizer(pre_tokenizer=_split(QWEN2), normalizer={"type": "NFC"})
_O200K = PreTokenizer(pre_tokenizer=_split(O200K))

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "gpt-2": _GPT2,
    "default": _GPT2,  # "not recorded": GPT-2's splitting is what such old files were made with
    "phi-2": _GPT2,
    "smollm": _SINGLE_DIGITS,
    "starcoder": _SINGLE_DIGITS,
    "refact": _SINGLE_DIGITS,
    "llama-bpe": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama3": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
    "tekken": _TEKKEN,
    "pixtral": _TEKKEN,
    "gpt-4o": _O200K,
}


def pre_tokenizer_named(pre: str) -> PreTokenizer:
    """The row of PRE_TOKENIZERS. Raises Unsupported, naming the known ones."""
    row = PRE_TOKENIZERS.get(pre)
    if row is None:
        raise Unsupported(
            f"[gguf] tokenizer.ggml.pre: {pre!r} is not known; known are {', '.join(sorted(PRE_TOKENIZERS))}; "
            "put the model's tokenizer.json next to the weights instead"
        )
    return row
