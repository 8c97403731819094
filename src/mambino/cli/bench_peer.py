"""llama.cpp's side of `mambino bench --compare`: run as a script by an interpreter that has llama-cpp-python.

    python bench_peer.py MODEL PROMPT_TOKENS DECODE_TOKENS THREADS FLASH

Through the C API, so that Python costs nothing a token. Prints one JSON line. Imports nothing of mambino.
"""

import ctypes
import json
import resource
import sys
import time
from importlib.metadata import version

import llama_cpp as peer
import numpy as np

_BATCH = 512
_WARM_UP_TOKENS = 8


def main() -> None:
    model_path, (prompt, decode, threads, flash) = sys.argv[1], map(int, sys.argv[2:])
    quiet = peer.llama_log_callback(lambda *_: None)
    peer.llama_log_set(quiet, ctypes.c_void_p(0))
    peer.llama_backend_init()
    model = peer.llama_model_load_from_file(model_path.encode(), peer.llama_model_default_params())
    if not model:
        sys.exit("llama.cpp cannot open this file")
    params = peer.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = prompt + decode + _WARM_UP_TOKENS, _BATCH, _BATCH
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn_type = flash
    context = peer.llama_init_from_model(model, params)
    ids = np.random.default_rng(0).integers(0, peer.llama_vocab_n_tokens(peer.llama_model_get_vocab(model)), prompt)

    def feed(tokens: list[int]) -> None:
        for start in range(0, len(tokens), _BATCH):
            piece = tokens[start : start + _BATCH]
            buffer = (peer.llama_token * len(piece))(*piece)
            if peer.llama_decode(context, peer.llama_batch_get_one(buffer, len(piece))):
                sys.exit("llama.cpp failed to evaluate")
        peer.llama_synchronize(context)

    feed(ids[:_WARM_UP_TOKENS].tolist())
    peer.llama_memory_clear(peer.llama_get_memory(context), True)
    began = time.perf_counter()
    feed(ids.tolist())
    read = time.perf_counter()
    for token in ids[np.arange(decode) % prompt].tolist():
        feed([token])
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    record = {"prompt_s": read - began, "decode_s": done - read, "peak_nbytes": peak}
    print(json.dumps(record | {"version": version("llama-cpp-python")}))


if __name__ == "__main__":
    main()
