"""python -m recipes.bundled.assistant MODEL.gguf: measure an assistant on held-out rows; the report is the last line.

python -m recipes.bundled.assistant --write rows.jsonl --count 1000 writes rows for `mambino sft` instead.
"""

import argparse
import json
import sys
from pathlib import Path

from mambino.load import open_model, open_tokenizer
from recipes.bundled.assistant.judge import evaluate
from recipes.bundled.assistant.rows import rows
from recipes.bundled.assistant.template import TEMPLATE


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="recipes.bundled.assistant", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="a GGUF file, or the name of an installed model")
    parser.add_argument("--count", type=int, default=200, help="rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=0, help="of each game; 0 plays none")
    parser.add_argument("--budget", help="a part of a nested model, such as 50%%")
    parser.add_argument("--threads", type=int, help="of the engine; all cores where it is left out")
    parser.add_argument("--own-template", action="store_true", help="the assistant's template, whatever the model has")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write rows of the training split as JSONL")
    arguments = parser.parse_args()
    if arguments.write is not None:
        write(arguments.write, arguments.count, arguments.seed)
        return
    if arguments.model is None:
        parser.error("give a MODEL to measure, or --write FILE")
    report = evaluate(
        open_model(arguments.model, budget=arguments.budget, threads=arguments.threads),
        open_tokenizer(arguments.model),
        count=arguments.count,
        seed=arguments.seed,
        episodes=arguments.episodes,
        template=TEMPLATE if arguments.own_template else None,
        progress=lambda line: print(line, file=sys.stderr),
    )
    print(json.dumps(report.to_json()))


def write(path: Path, count: int, seed: int) -> None:
    """Rows as `mambino sft` reads them."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows(count, seed=seed, split="train"):
            file.write(json.dumps(row.to_json()) + "\n")


if __name__ == "__main__":
    main()
