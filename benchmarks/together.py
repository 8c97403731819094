"""Several sequences in one pass against one alone: tokens a second of extend_many, in alternating runs.

python benchmarks/together.py MODEL [--sequences 4] [--depth 64] [--steps 12] [--rounds 5] [--threads 2]
"""

import argparse
import json
import statistics
import time

import numpy as np

from mambino import open_model
from mambino.lm import Int32Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for name, value in (("sequences", 4), ("depth", 64), ("steps", 12), ("rounds", 5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    model = open_model(options.model, threads=options.threads)
    random = np.random.default_rng(0)

    def ids(count: int) -> Int32Array:
        return random.integers(100, model.config.vocab_size, count).astype(np.int32)

    states = [
        model.new_state(options.depth + (2 * options.rounds + 1) * options.steps) for _ in range(options.sequences)
    ]
    for state in states:
        model.extend(state, ids(options.depth))

    def tokens_per_s(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(options.steps):
            model.extend_many(states[:count], [ids(1) for _ in range(count)])
        return count * options.steps / (time.perf_counter() - begin)

    pairs = [(tokens_per_s(1), tokens_per_s(options.sequences)) for _ in range(options.rounds)]
    alone, together = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(many / one for one, many in pairs)
    print(f"alone {alone:.2f} tokens/s, {options.sequences} together {together:.2f} tokens/s: {ratio:.2f} times")
    print(json.dumps({"model": options.model, "alone": alone, "together": together, "ratio": ratio}))


if __name__ == "__main__":
    main()
