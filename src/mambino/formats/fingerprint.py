"""A short name for exactly these weights, run exactly this way: the key of states on disk. Start at fingerprint."""

from hashlib import blake2b

from mambino.formats.checkpoint import Checkpoint

_SAMPLE_BYTES = 256
_SAMPLES = 4  # of a tensor: enough to tell two trainings apart, few enough to read from a file of gigabytes


def fingerprint(checkpoint: Checkpoint, *how: str) -> str:
    """40 hex digits that change with the config, any tensor's name, type, shape or values, the template, and how.

    Values are sampled: _SAMPLES runs of bytes of each tensor. how names whatever else changes a state: the backend, the
    type of keys and values, an adapter.
    """
    digest = blake2b(digest_size=20)
    for text in (repr(checkpoint.config), checkpoint.chat_template or "", *how):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    for name, tensor in sorted(checkpoint.stored.items()):
        digest.update(f"{name} {tensor.type.name} {tensor.shape}\0".encode())
        step = max(1, len(tensor.data) // _SAMPLES)
        for start in range(0, len(tensor.data), step):
            digest.update(tensor.data[start : start + _SAMPLE_BYTES].tobytes())
    return digest.hexdigest()
