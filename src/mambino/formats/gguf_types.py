"""What the bytes of a GGUF header mean: value types and limits.

Knows nothing of tensors or models; gguf_read and gguf_write share it. Start at VALUE_STRUCTS.

Source: the GGUF v3 specification (ggml/docs/gguf.md); all numbers little endian.
"""

from struct import Struct
from typing import Final

MAGIC: Final = b"GGUF"
DEFAULT_ALIGNMENT: Final = 32
MAX_DIMENSIONS: Final = 4
MAX_NAME_NBYTES: Final = 65_535  # the specification's limit for keys
MAX_STRING_NBYTES: Final = 1 << 26  # one eagerly decoded value, such as a chat template
MAX_ENTRIES: Final = 1 << 17  # metadata keys, or tensors: far above any real file

U32: Final = Struct("<I")
U64: Final = Struct("<Q")

BOOL, STRING, ARRAY = 7, 8, 9
VALUE_STRUCTS: Final = {
    0: Struct("<B"),
    1: Struct("<b"),
    2: Struct("<H"),
    3: Struct("<h"),
    4: U32,
    5: Struct("<i"),
    6: Struct("<f"),
    BOOL: Struct("<B"),
    10: U64,
    11: Struct("<q"),
    12: Struct("<d"),
}
ARRAY_DTYPES: Final = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", BOOL: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
