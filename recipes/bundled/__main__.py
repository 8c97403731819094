"""python -m recipes.bundled: make the data, run the stages, and write the GGUF and its run record.

On Linux, MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456 in the
environment keep freed memory in the process: without them a third of the time goes into page faults.
"""

import argparse
from pathlib import Path

import torch

from mambino.formats.checkpoint import open_checkpoint
from recipes.bundled.data import prepare
from recipes.bundled.export import export, keep_earlier_record
from recipes.bundled.pipeline import run
from recipes.bundled.recipe import CONFIG, SEED

_REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="recipes.bundled", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the run lives; it continues from there")
    parser.add_argument("--corpora", type=Path, default=_REPOSITORY / "../shared/data/corpora")
    parser.add_argument("--scale", type=float, default=0.25, help="size of the generated texts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=_REPOSITORY / "src/mambino/bundled")
    parser.add_argument(
        "--start-from", type=Path, metavar="GGUF", help="go on from this bundled model, its tokenizer too"
    )
    parser.add_argument("--data-only", action="store_true", help="stop before training")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start_from = open_checkpoint(arguments.start_from) if arguments.start_from else None
    prepared = prepare(
        arguments.folder / "data", arguments.corpora, arguments.scale, vocab_size=CONFIG.vocab_size, seed=SEED,
        tokenizer_of=None if start_from is None else start_from.metadata,
    )  # fmt: skip
    sizes = {name: f"{len(documents.tokens) / 1e6:.2f} M" for name, documents in prepared.training.items()}
    print(f"tokens: {sizes}", flush=True)
    if start_from is not None:
        keep_earlier_record(arguments.folder, arguments.start_from)
    if arguments.data_only:
        return
    model, subs = run(arguments.folder, prepared, start_from=start_from)
    print(export(arguments.folder, prepared, model, subs, arguments.out))


if __name__ == "__main__":
    main()
