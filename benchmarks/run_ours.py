"""One timing of our engine in a process of its own: the counterpart of the peer's script. Prints one JSON line.

python benchmarks/run_ours.py MODEL [--prompt 512] [--decode 32] [--depth 0] [--threads 2] [--isa avx2] [--together 4]

--together decodes that many sequences in one pass each step and counts all their tokens. --filled copies the tokens of
--depth, but for the first 512, instead of computing them, and peak_gib is then what is resident at the end.
"""

import argparse
import hashlib
import json
import os
import resource
import time
from pathlib import Path

import numpy as np

from mambino import open_model
from mambino.engine.info import engine_info
from mambino.engine.native import NativeLM
from mambino.formats.packed_state import pack_state, unpack_state
from mambino.lm import Snapshot

BASE = 512  # tokens that are read where a context is filled


def repeated(model: NativeLM, snapshot: Snapshot, depth: int, kv: str) -> Snapshot:
    """One of depth tokens, whose pages of keys and values are those of snapshot, again and again."""
    layout = f"native {kv}"
    *pages, rest = unpack_state(model.pack(snapshot), layout, model.config).pieces
    return model.unpack(pack_state(layout, model.config, depth, [*pages * (depth // BASE), rest]))


def resident_gib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for name, default in (("prompt", 512), ("decode", 32), ("depth", 0), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--isa", default="best")
    parser.add_argument("--kv", default="f16")
    parser.add_argument("--filled", action="store_true")
    options = parser.parse_args()
    if options.filled and options.depth % BASE:
        parser.error(f"expected a --depth that is a multiple of {BASE} with --filled, got {options.depth}")
    begin = time.perf_counter()
    model = open_model(options.model, threads=options.threads, isa=options.isa, kv=options.kv)
    open_s = time.perf_counter() - begin
    rng = np.random.default_rng(0)
    room = options.depth + options.prompt + options.decode + 64
    state = model.new_state(room)

    def feed(count: int) -> np.ndarray:
        return model.extend(state, rng.integers(100, 40_000, count).astype(np.int32))

    empty = state.snapshot()
    feed(8)  # warm up
    state.restore(empty)
    if options.filled:
        assert isinstance(model, NativeLM), "only its pages are known here"
        feed(BASE)
        state.restore(repeated(model, state.snapshot(), options.depth, options.kv))
    elif options.depth:
        feed(options.depth)
    begin = time.perf_counter()
    logits = feed(options.prompt) if options.prompt else None
    prompt_s = time.perf_counter() - begin
    states = [state, *(model.new_state(room) for _ in range(options.together - 1))]
    for other in states[1:]:
        other.restore(state.snapshot())
    begin = time.perf_counter()
    for _ in range(options.decode):
        step = [rng.integers(100, 40_000, 1).astype(np.int32) for _ in states]
        logits = model.extend_many(states, step)
    decode_s = time.perf_counter() - begin
    record = {
        "prompt_tokens_per_s": options.prompt / prompt_s if options.prompt else None,
        "decode_tokens_per_s": options.together * options.decode / decode_s if options.decode else None,
        "peak_gib": resident_gib() if options.filled else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "open_s": open_s,
        "isa": engine_info(options.isa).isa,
        "build_id": engine_info().build_id,
        "logits_sha256": hashlib.sha256(logits.tobytes()).hexdigest()[:16] if logits is not None else None,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
