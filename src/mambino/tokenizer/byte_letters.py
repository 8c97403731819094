"""The byte-level alphabet of GPT-2: one printable letter for each byte value, and back.

Byte-level vocabularies spell their tokens in these letters, so that a token that is half a character is still text.
"""

_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_HIDDEN = tuple(byte for byte in range(256) if byte not in _PRINTABLE)

BYTE_TO_LETTER: dict[int, str] = {byte: chr(byte) for byte in _PRINTABLE} | {
    byte: chr(256 + index) for index, byte in enumerate(_HIDDEN)
}
LETTER_TO_BYTE: dict[str, int] = {letter: byte for byte, letter in BYTE_TO_LETTER.items()}


def spelled_bytes(token: str) -> bytes:
    """The bytes that a vocabulary entry stands for; an entry with foreign letters stands for its own UTF-8."""
    try:
        return bytes(map(LETTER_TO_BYTE.__getitem__, token))
    except KeyError:
        return token.encode("utf-8", errors="replace")
