"""The bundled model's pure-transformer twin: the same parameters, batches and code, with attention in place of Mamba.

python -m recipes.bundled.twin --folder RUN, after recipes.bundled --data-only, writes RUN/comparisons/twin.json.
Both are trained with all of recipe.YOUNG, the hybrid being the parent of comparisons.py. Start at TWIN and compare.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from mambino.config import AttentionSpec, HybridConfig, MlpSpec
from mambino.engine.native import NativeLM
from mambino.formats.mapped import replacing
from mambino.load import open_model
from mambino.model.hybrid import HybridLM
from mambino.tokenizer.files import tokenizer_from_directory
from mambino.train.loop import LoopSettings, language_loss, train
from mambino.train.optim import Optimizer
from recipes.bundled.assistant.judge import evaluate
from recipes.bundled.comparisons import young_parent
from recipes.bundled.data import Prepared, assistant_documents, prepare
from recipes.bundled.export import loss_of, write_gguf
from recipes.bundled.pipeline import stream
from recipes.bundled.recipe import CONFIG, SEED, YOUNG

# A llama: positions by rotation, since attention alone has no other; the MLP fills up to the hybrid's parameters.
TWIN = replace(
    CONFIG,
    architecture="llama",
    layers=4
    * (
        AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=64, rope_theta=10_000.0),
        MlpSpec(intermediate_size=480, activation="swiglu"),
    ),
)
_PROMPT, _REPEATS, _HELD_OUT_ROWS = 512, 15, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """nats: loss a token of held-out rows. state_bytes: of a full context. first_token_s: after 512 tokens."""

    name: str
    parameters: int
    step: int
    nats: float
    calls_exact: float
    all_rows: float
    state_bytes: int
    first_token_s: float


def compare(folder: Path, prepared: Prepared, count: int) -> list[Figures]:
    """The young parent, and the twin trained on the very same batches. Mutates folder."""
    hybrid, twin = young_parent(folder, prepared), HybridLM(TWIN, generator=torch.Generator().manual_seed(SEED))
    train(
        twin, Optimizer.for_model(twin, YOUNG.optim), YOUNG.schedule, stream(YOUNG, folder, prepared),
        language_loss(), folder=folder / "comparisons" / "twin", settings=LoopSettings(),
    )  # fmt: skip
    both = {"hybrid": hybrid, "twin": twin}
    return [_figures(name, model, folder, prepared, count) for name, model in both.items()]


def _figures(name: str, model: HybridLM, folder: Path, prepared: Prepared, count: int) -> Figures:
    held_out = assistant_documents(
        folder / "data" / "held_out-assistant.npz", prepared.tokenizer, _HELD_OUT_ROWS, seed=SEED, split="held_out"
    )
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.gguf"
        write_gguf(path, model, prepared.tokenizer)
        opened = open_model(path)
        report = evaluate(opened, tokenizer_from_directory(prepared.tokenizer), count=count, seed=SEED, episodes=0)
        assert isinstance(opened, NativeLM), "a GGUF file opens in the engine"
        return Figures(
            name=name, parameters=model.config.num_parameters, step=YOUNG.schedule.total_steps,
            nats=round(loss_of(model, held_out), 4),
            calls_exact=round(report.measures["tool_call_exact"].value, 4),
            all_rows=round(report.measures["all"].value, 4),
            state_bytes=_filled(opened, model.config), first_token_s=round(_first_token_s(opened), 5),
        )  # fmt: skip


def _filled(model: NativeLM, config: HybridConfig) -> int:
    state = model.new_state(config.max_context)
    model.extend(state, np.zeros(config.max_context, np.int32))
    return state.nbytes


def _first_token_s(model: NativeLM) -> float:
    """Median seconds from an empty state to the logits after the prompt."""
    tokens = np.arange(_PROMPT, dtype=np.int32) + 300
    times = list[float]()
    for _ in range(_REPEATS):
        state, begin = model.new_state(_PROMPT), time.perf_counter()
        model.extend(state, tokens)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.bundled.twin", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the run of recipes.bundled")
    parser.add_argument("--count", type=int, default=300, help="held-out conversations to judge by")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    prepared = prepare(arguments.folder / "data", Path(), 0.0, vocab_size=CONFIG.vocab_size, seed=SEED)
    found = compare(arguments.folder, prepared, arguments.count)
    text = json.dumps([asdict(one) for one in found], indent=1)
    with replacing(arguments.folder / "comparisons" / "twin.json") as file:
        file.write(text.encode() + b"\n")
    print(text)


if __name__ == "__main__":
    main()
