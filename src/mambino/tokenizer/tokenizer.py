"""Text to token ids and back; also token by token, without ever emitting half a character.

Knows nothing of models or templates. Start at Tokenizer; files.py opens one.
"""

import codecs
from collections.abc import Callable, Iterable

from mambino.errors import InputError
from mambino.tokenizer.byte_letters import spelled_bytes
from mambino.tokenizer.spec import BpeSpec, build_encoder, build_model, paused_collector


class StreamDecoder:
    """Bytes of a token sequence to text, as soon as each character is certain.

    The concatenation of everything feed and finish return equals Tokenizer.decode of the same ids.
    """

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """The text that token_id completes; empty while a character is incomplete. Mutates self."""
        return self._utf8.decode(self._token_bytes(token_id))

    def finish(self) -> str:
        """U+FFFD if bytes of an unfinished character are left, else nothing. Mutates self: ready for new text."""
        return self._utf8.decode(b"", final=True)


class Tokenizer:
    """A byte-level BPE tokenizer with its special ids and its chat template (source text, or None)."""

    def __init__(
        self,
        spec: BpeSpec,
        *,
        bos_token_id: int | None = None,
        eos_token_ids: Iterable[int] = (),
        wants_bos: bool = False,
        chat_template: str | None = None,
    ) -> None:
        with paused_collector():
            model = build_model(spec)
        self._control_encoder = build_encoder(spec, model, with_control=True)
        self._plain_encoder = build_encoder(spec, model, with_control=False)
        self._added_bytes = {token.id: token.text.encode("utf-8", errors="replace") for token in spec.added}
        self._special_ids = frozenset(token.id for token in spec.added if token.special)
        self._bytes_of: dict[int, bytes] = {}
        self.special_tokens = {token.text: token.id for token in spec.added if token.is_control}
        self.vocab_size = max(-1, *spec.ids, *self._added_bytes) + 1
        self.bos_token_id = bos_token_id
        self.eos_token_ids = tuple(dict.fromkeys(eos_token_ids))
        self.wants_bos = wants_bos
        self.chat_template = chat_template
        for token_id in (*self.eos_token_ids, *(() if bos_token_id is None else (bos_token_id,))):
            self.token_bytes(token_id)

    def encode(self, text: str | bytes, *, parse_special: bool = False, add_bos: bool = False) -> list[int]:
        """Token ids of text; bytes are taken as UTF-8.

        Control tokens (special_tokens) that text spells out become ordinary pieces, unless parse_special. add_bos puts
        bos_token_id in front; wants_bos says whether the model was trained that way.

        Raises     InputError for text that is not valid UTF-8 (lone surrogates too), or add_bos without a bos token
        """
        encoder = self._control_encoder if parse_special else self._plain_encoder
        ids: list[int] = encoder.encode(_checked_text(text), add_special_tokens=False).ids
        if not add_bos:
            return ids
        if self.bos_token_id is None:
            raise InputError("[tokenizer] add_bos: this tokenizer has no beginning-of-text token; pass add_bos=False")
        return [self.bos_token_id, *ids]

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Text of ids; bytes that are no character become U+FFFD. Raises InputError for an id without a token."""
        chosen = (token_id for token_id in ids if not (skip_special and token_id in self._special_ids))
        return b"".join(map(self.token_bytes, chosen)).decode("utf-8", errors="replace")

    def stream(self) -> StreamDecoder:
        """A decoder to feed one id at a time; special tokens are spelled out."""
        return StreamDecoder(self.token_bytes)

    def token_bytes(self, token_id: int) -> bytes:
        """The exact bytes of one token. Raises InputError for an id without a token."""
        known = self._bytes_of.get(token_id)
        if known is None:
            known = self._bytes_of[token_id] = self._lookup_bytes(token_id)
        return known

    def _lookup_bytes(self, token_id: int) -> bytes:
        added = self._added_bytes.get(token_id)
        if added is not None:
            return added
        token: str | None = self._control_encoder.id_to_token(token_id) if 0 <= token_id < self.vocab_size else None
        if token is None:
            raise InputError(f"[tokenizer] id {token_id}: no such token; this vocabulary has {self.vocab_size} ids")
        return spelled_bytes(token)


def _checked_text(text: str | bytes) -> str:
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"[tokenizer] text is not UTF-8: byte {text[error.start]:#04x} at offset {error.start}; "
                "decode it from its own encoding first"
            ) from None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"[tokenizer] text holds half a character: lone surrogate {text[error.start]!r} at position {error.start}; "
            "remove it, or decode the source bytes with errors='replace'"
        ) from None
    return text
