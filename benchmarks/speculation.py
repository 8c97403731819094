"""Copy-heavy text with and without speculation, in alternating runs: tokens/s, ratio, and whether it is the same.

    python benchmarks/speculation.py MODEL [--threads 2] [--rounds 3] [--only code]

The texts are continued from their own beginnings, so no instruction tuning is needed: a model quotes what stands above.
Also a text that repeats nothing, where speculation must not cost more than 3 %. Prints a table, then one JSON line.
"""

import argparse
import json
import statistics
import time

from mambino import open_model
from mambino.generation.generate import generate
from mambino.generation.params import SamplingParams
from mambino.generation.speculate import Speculation
from mambino.lm import LanguageModel
from mambino.load import open_tokenizer

_CODE = "".join(
    f"def load_{name}(path):\n    with open(path) as handle:\n        return {name}.load(handle)\n\n"
    for name in ("json", "toml", "pickle", "marshal")
)
_JSON = (
    "[" + ", ".join(f'{{"id": {n}, "name": "item {n}", "tags": ["a", "b"], "price": {n}.5}}' for n in range(8)) + "]"
)
_PROSE = (
    "The harbour was quiet that morning, and the old boats lay in a row as if they had been counted and forgotten. "
)
TEXTS = {
    "code": f"The file:\n{_CODE}\nThe same file again, unchanged:\n{_CODE[:60]}",
    "json": f"Input:\n{_JSON}\nOutput, a copy of the input:\n{_JSON[:40]}",
    "quote": f'{3 * _PROSE}\nQuoted word for word: "{_PROSE[:40]}',
    "new": "Write a story about a lighthouse that nobody has told before.\n\nOnce",
}


def decode_tokens_per_s(
    model: LanguageModel, prompt: list[int], count: int, speculation: Speculation | None
) -> tuple[float, tuple[int, ...]]:
    """Of the tokens after the first, and the completion."""
    params = SamplingParams(temperature=0.0, max_tokens=count)
    running = generate(model, model.new_state(len(prompt) + count), prompt, params, speculation=speculation)
    next(running)
    begin = time.perf_counter()
    for _ in running:
        pass
    return (count - 1) / (time.perf_counter() - begin), running.completion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for option, default in (("threads", 2), ("rounds", 3), ("tokens", 200)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--only", choices=TEXTS, action="append", help="may be repeated")
    options = parser.parse_args()
    model, tokenizer = open_model(options.model, threads=options.threads), open_tokenizer(options.model)
    record = {}
    print(f"{'text':<8}{'plain':>9}{'drafted':>9}{'ratio':>7}{'accepted':>10}  same")
    for name in options.only or TEXTS:
        prompt = list(tokenizer.encode(TEXTS[name]))
        plain, fast, is_same, speculation = [], [], True, Speculation()
        for _ in range(options.rounds):
            speculation = Speculation()
            slow_rate, expected = decode_tokens_per_s(model, prompt, options.tokens, None)
            fast_rate, got = decode_tokens_per_s(model, prompt, options.tokens, speculation)
            plain.append(slow_rate)
            fast.append(fast_rate)
            is_same = is_same and got == expected
        ratio = statistics.median(b / a for a, b in zip(plain, fast, strict=True))
        accepted = speculation.accepted / max(1, speculation.drafted)
        row = (statistics.median(plain), statistics.median(fast))
        print(f"{name:<8}{row[0]:>9.1f}{row[1]:>9.1f}{ratio:>7.2f}{accepted:>10.0%}  {is_same}")
        record[name] = {"plain": row[0], "speculation": row[1], "ratio": ratio, "same": is_same}
    print(json.dumps(record))


if __name__ == "__main__":
    main()
