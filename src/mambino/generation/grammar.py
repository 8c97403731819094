"""Grammars that tokens must follow, run by llguidance: masks of allowed tokens, and tokens that leave no choice.

Knows tokenizers, no models and no chat. Start at GrammarCompiler.constraint.
"""

import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import cast

import llguidance
import llguidance.numpy
import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError
from mambino.generation.lark import Grammar
from mambino.tokenizer.tokenizer import Tokenizer

MAX_SOURCE_CHARS = 200_000  # compiling more takes many seconds
_COMPILED = 64  # grammars kept ready
_SILENT = 0


class GrammarCompiler:
    """One vocabulary, prepared for grammars: about a second for 131,072 tokens, so share it (compiler_of)."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        """vocab_size is the model's: the length of its logits."""
        self._vocab_size = vocab_size
        self._end_token = tokenizer.eos_token_ids[0] if tokenizer.eos_token_ids else None
        ends = list(tokenizer.eos_token_ids) or None
        vocabulary = cast(llguidance.TokenizerWrapper, _Vocabulary(tokenizer, vocab_size))  # it asks for these names
        self._vocabulary = llguidance.LLTokenizer(vocabulary, eos_token=ends)
        self._ready = lru_cache(maxsize=_COMPILED)(self._compile)

    def constraint(self, grammar: Grammar) -> "GrammarConstraint":
        """A fresh constraint to follow grammar from its beginning.

        Raises     InputError for a grammar, pattern or schema that does not compile, or uses what is not supported
        """
        return GrammarConstraint(self._ready(grammar.source()).deep_copy(), self._vocab_size, self._end_token)

    def _compile(self, source: str) -> llguidance.LLMatcher:
        if len(source) > MAX_SOURCE_CHARS:
            raise InputError(
                f"[grammar] the schemas have {len(source)} characters; at most {MAX_SOURCE_CHARS} are supported"
            )
        matcher = llguidance.LLMatcher(self._vocabulary, source, log_level=_SILENT)
        if matcher.is_error():
            raise InputError(f"[grammar] {_reason(matcher)}; change the schema or pattern")
        return matcher


class GrammarConstraint:
    """Follows one grammar. Ends are allowed only where the grammar may end, and forced where it must."""

    def __init__(self, matcher: llguidance.LLMatcher, vocab_size: int, end_token: int | None) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._end_token = end_token
        self._bits = np.zeros((1, (max(vocab_size, 1) + 31) // 32), dtype=np.int32)
        self._forced: tuple[int, ...] | None = None  # None: not asked yet since the last choice

    @property
    def is_complete(self) -> bool:
        """Whether the text so far matches the grammar."""
        return self._matcher.is_accepting()

    def forced(self) -> Sequence[int]:
        if self._forced is None:
            if self._matcher.is_stopped():
                self._forced = () if self._end_token is None else (self._end_token,)
            else:
                self._forced = tuple(self._matcher.compute_ff_tokens())
        return self._forced

    def mask(self) -> NDArray[np.bool_]:
        """Raises InputError if following the grammar takes more work than its limits allow."""
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._bits)
        self._check()
        bits = np.unpackbits(self._bits.view(np.uint8).ravel(), bitorder="little", count=self._vocab_size)
        return bits.view(np.bool_)

    def bias(self) -> Mapping[int, float]:
        return MappingProxyType({})

    def advance(self, token: int) -> None:
        """Raises InputError for a token that the grammar does not allow."""
        rest = self._forced[1:] if self._forced and self._forced[0] == token else ()
        self._forced = rest or None
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise InputError(f"[grammar] {_reason(self._matcher)}; use a simpler schema or pattern")


class _Vocabulary:
    """What llguidance asks of a tokenizer. Refers to it weakly: compiler_of keeps compilers as long as tokenizers."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        self._tokenizer = weakref.ref(tokenizer)
        self.is_tokenizer_wrapper = True
        self.eos_token_id = next(iter(tokenizer.eos_token_ids), 0)
        self.bos_token_id = tokenizer.bos_token_id
        self.special_token_ids = sorted(tokenizer.special_tokens.values())
        self.tokens = [_bytes_of(tokenizer, token) for token in range(max(tokenizer.vocab_size, vocab_size))]

    def __call__(self, text: str) -> list[int]:
        tokenizer = self._tokenizer()
        assert tokenizer is not None, "a constraint outlived its tokenizer"
        return tokenizer.encode(text)


def _bytes_of(tokenizer: Tokenizer, token: int) -> bytes:
    try:
        return tokenizer.token_bytes(token)
    except InputError:  # ids without a token: gaps, and the padding of a model's vocabulary
        return b""


def _reason(matcher: llguidance.LLMatcher) -> str:
    """The first line of what went wrong: the next ones quote the grammar, which is partly ours."""
    return matcher.get_error().strip().splitlines()[0][:300]


_compilers: weakref.WeakKeyDictionary[Tokenizer, dict[int, GrammarCompiler]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def compiler_of(tokenizer: Tokenizer, vocab_size: int) -> GrammarCompiler:
    """The compiler for this tokenizer, made on first use and kept as long as the tokenizer."""
    with _lock:
        known = _compilers.setdefault(tokenizer, {})
        if vocab_size not in known:
            known[vocab_size] = GrammarCompiler(tokenizer, vocab_size)
        return known[vocab_size]
