"""llama.cpp at the end of a long context that was copied, not computed: the peer of run_ours.py --filled.

    PYTHON peer_filled.py MODEL --depth 32768 [--prompt 16] [--decode 32] [--threads 2] [--flash 0]

PYTHON has llama-cpp-python. A text of 512 tokens is read, and its saved state with its keys and values repeated up to
--depth is loaded: for speed and memory it does not matter what they are. Prints one JSON line, as run_ours.py does;
peak_gib is what is resident at the end, without the copies that filled the cache.
"""

import argparse
import ctypes
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

BASE = 512  # tokens that are read


def feed(context: Any, tokens: list[int]) -> None:
    for start in range(0, len(tokens), BASE):
        part = tokens[start : start + BASE]
        ids = (llama_cpp.llama_token * len(part))(*part)  # the batch only points at it
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(part))):
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_synchronize(context)


def fill(context: Any, depth: int) -> None:
    """Make BASE tokens of context depth of them."""
    size = llama_cpp.llama_state_seq_get_size(context, 0)
    buffer = (ctypes.c_uint8 * size)()
    llama_cpp.llama_state_seq_get_data(context, buffer, size, 0)
    longer = repeated(memoryview(buffer).cast("B"), depth // BASE)
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    given = (ctypes.c_uint8 * len(longer)).from_buffer(longer)
    if llama_cpp.llama_state_seq_set_data(context, given, len(longer), 0) != len(longer):
        raise RuntimeError("this llama.cpp saves its state in another form than peer_filled.py knows")


def repeated(saved: memoryview, times: int) -> bytearray:
    """A saved state with times as many tokens; a recurrent part stays, but for its position.

    It holds magic, version, streams, cells; of each cell its position, one, and sequence 0; then for keys and again for
    values a type, a row's size and the rows, layer by layer (values by column if they lie transposed); of a recurrent
    part its cells, position, and states.
    """
    at, out = 0, bytearray()

    def take(form: str) -> tuple[int, ...]:
        nonlocal at
        found = struct.unpack_from(form, saved, at)
        at += struct.calcsize(form)
        return found

    def rows(count: int, size: int, copies: int) -> None:
        nonlocal at, out
        out += bytes(saved[at : at + count * size]) * copies
        at += count * size

    header = take("<IIII")
    *_, streams, cells = header
    if (streams, cells) != (1, BASE):
        raise RuntimeError(f"a saved state of {streams} streams and {cells} cells, not of 1 and {BASE}")
    out += struct.pack("<IIII", *header[:3], cells * times)
    at += cells * struct.calcsize("<iIi")
    for position in range(cells * times):
        out += struct.pack("<iIi", position, 1, 0)
    is_transposed, layers = take("<II")
    out += struct.pack("<II", is_transposed, layers)
    for part in range(2 * layers):
        if part < layers or not is_transposed:
            kind, row = take("<iQ")
            out += struct.pack("<iQ", kind, row)
            rows(cells, row, times)
        else:
            kind, element, columns = take("<iII")
            out += struct.pack("<iII", kind, element, columns)
            for _ in range(columns):
                rows(cells, element, times)
    if at < len(saved):
        count, _ = take("<Ii")
        out += struct.pack("<Ii", count, cells * times - 1)
        out += saved[at:]
    return out


def resident_gib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for name, default in (("prompt", 16), ("decode", 32), ("depth", 8192), ("threads", 2), ("flash", -1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(options.model.encode(), llama_cpp.llama_model_default_params())
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = options.depth + options.prompt + options.decode + 64, BASE, BASE
    params.n_threads = params.n_threads_batch = options.threads
    params.flash_attn_type = options.flash
    context = llama_cpp.llama_init_from_model(model, params)
    rng = np.random.default_rng(0)
    feed(context, rng.integers(100, 40_000, BASE).tolist())
    fill(context, options.depth)
    begin = time.perf_counter()
    feed(context, rng.integers(100, 40_000, options.prompt).tolist())
    prompt_s = time.perf_counter() - begin
    begin = time.perf_counter()
    for token in rng.integers(100, 40_000, options.decode).tolist():
        feed(context, [token])
    decode_s = time.perf_counter() - begin
    record = {
        "prompt_tokens_per_s": options.prompt / prompt_s if options.prompt else None,
        "decode_tokens_per_s": options.decode / decode_s if options.decode else None,
        "peak_gib": resident_gib(),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
