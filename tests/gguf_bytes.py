"""Hand-made GGUF bytes for tests: the format spelled out, independent of our writer."""

from struct import pack


def string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return pack("<Q", len(raw)) + raw


def key(name, kind, payload):
    return string(name) + pack("<I", kind) + payload


def info(name, dims, type_id=0, offset=0):
    """A directory entry; dims are fastest first, as in the file."""
    return string(name) + pack(f"<I{len(dims)}QIQ", len(dims), *dims, type_id, offset)


def file(keys=(), infos=(), data=b"", *, version=3, num_tensors=None, num_keys=None, alignment=32):
    num_tensors = len(infos) if num_tensors is None else num_tensors
    num_keys = len(keys) if num_keys is None else num_keys
    header = b"GGUF" + pack("<IQQ", version, num_tensors, num_keys) + b"".join(keys) + b"".join(infos)
    return header + bytes(-len(header) % alignment) + data
