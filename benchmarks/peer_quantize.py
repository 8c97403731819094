"""llama.cpp's quantiser on one file, several mixes, in an interpreter that has llama-cpp-python: quality.py's peer.

python benchmarks/peer_quantize.py SOURCE.gguf FOLDER IMPORTANCE.npz|- MIX...      (MIX: Q4_K_M, IQ4_NL, ...)
Writes FOLDER/MIX.gguf each. IMPORTANCE: arrays by GGUF tensor name; - for none.
"""

import ctypes
import sys
from pathlib import Path

import llama_cpp as peer
import numpy as np

THREADS = 2


def importance_data(path: str) -> tuple[ctypes.Array, list[np.ndarray]]:
    """The C array that ends with an empty entry, and the arrays it points into."""
    loaded = np.load(path)
    arrays = {name: np.ascontiguousarray(loaded[name], np.float32) for name in loaded.files}
    entry = peer.llama_model_imatrix_data
    data = (entry * (len(arrays) + 1))()
    for slot, (name, values) in zip(data, arrays.items(), strict=False):
        slot.name = name.encode()
        slot.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        slot.size = values.size
    return data, list(arrays.values())


def main() -> None:
    source, folder, importance, *mixes = sys.argv[1:]
    quiet = peer.llama_log_callback(lambda *_: None)
    peer.llama_log_set(quiet, ctypes.c_void_p(0))
    peer.llama_backend_init()
    params = peer.llama_model_quantize_default_params()
    params.nthread = THREADS
    params.allow_requantize = True
    if importance != "-":
        data, _kept = importance_data(importance)
        params.imatrix = ctypes.cast(data, type(params.imatrix))
    for mix in mixes:
        params.ftype = getattr(peer, f"LLAMA_FTYPE_MOSTLY_{mix}")
        path = Path(folder) / f"{mix}.gguf"
        if peer.llama_model_quantize(source.encode(), str(path).encode(), ctypes.byref(params)):
            sys.exit(f"llama.cpp failed to write {path}")


if __name__ == "__main__":
    main()
