"""`mambino compress latency`: seconds a token of single layers, on this machine's engine. Start at command."""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

from mambino.cli.compress_options import open_parent
from mambino.cli.options import debug_option
from mambino.cli.terminal import human_count, note
from mambino.compress.budget import Budget, LatencyPoint, LatencyTable, parameters
from mambino.compress.space import candidates, default_space
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.engine.native import NativeLM
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.lm import SequenceState
from mambino.quant.mixes import MIXES, plan_for_mix
from mambino.quant.types import TYPES

_DEPTHS = (8, 16)  # the difference is the time of the layers alone; both are more than a core's own cache holds
_ROUNDS, _TOKENS = 15, 8


@click.command()
@click.argument("model")
@click.option("--mix", type=click.Choice(list(MIXES)), default="q8_0", show_default=True, metavar="NAME",
              help="Number formats; see mambino quantize.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Processor cores to use.  [default: all]")
@click.option("--at", "position", type=click.IntRange(1), default=512, show_default=True, metavar="N",
              help="Tokens already in the context.")  # fmt: skip
@click.option("--check", is_flag=True, help="Also time whole models of random weights, at sizes that fit 100, 75 and "
              "50 %, beside what the table says of them.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE")
@debug_option
def command(model: str, mix: str, threads: int | None, position: int, check: bool, out: Path) -> None:
    """Time one generated token in layers like MODEL's, at every width that a search may choose.

    The table is for --count latency. Only a quiet machine gives numbers worth having.

    \b
    mambino compress latency big/ --out table.json
    mambino compress plan big/ --count latency --latency-table table.json --budget 4ms
    """
    parent = open_parent(model).config
    space = default_space(parent)
    points = []
    for hidden in (max(space.hidden_size), min(space.hidden_size)):
        for kind, width, layer in _layers(parent):
            config = replace(parent, architecture="nemotron_h", hidden_size=hidden, vocab_size=256, bos_token_id=None,
                             eos_token_ids=(), tie_embeddings=True, layers=(layer,))  # fmt: skip
            seconds = _layer_seconds(config, mix, threads, position)
            points.append(LatencyPoint(kind=kind, hidden_size=hidden, width=width, seconds=seconds))
            note(f"{kind:<10} hidden {hidden:<5} width {width:<6} {seconds * 1e6:9.1f} us")
    points += _head_points(parent, mix, threads)
    table = LatencyTable(tuple(points))
    table.write(out)
    print(out)
    if check:
        _show_check(parent, table, mix, threads, position)


def _show_check(parent: HybridConfig, table: LatencyTable, mix: str, threads: int | None, position: int) -> None:
    """A line a size: predicted, measured, and how far apart."""
    for share in (1.0, 0.75, 0.5):
        budget = Budget(name=f"{share:.0%}", cost=parameters, limit=share * parameters(parent))
        config = candidates(parent, default_space(parent), budget)[0].sub.config
        (measured,), predicted = _token_seconds([config], mix, threads, position), table(config)
        print(
            f"{budget.name:>5}  {human_count(config.num_parameters):>7} parameters  predicted {predicted * 1e3:8.3f} ms"
            f"  measured {measured * 1e3:8.3f} ms  {predicted / measured - 1:+.1%}"
        )


def _layers(parent: HybridConfig) -> list[tuple[str, int, LayerSpec]]:
    """Every kind and width that sub-models of the default space can have, and both ends."""
    space, found = default_space(parent), dict[tuple[str, int], LayerSpec]()
    for layer in set(parent.layers):
        match layer:
            case MambaSpec():
                for heads in {min(layer.num_heads, heads) for heads in (*space.mamba_heads, layer.num_heads)}:
                    part = replace(layer, num_heads=heads)
                    found["mamba", part.inner_size] = part
            case AttentionSpec():
                found["attention", layer.query_size + layer.kv_size] = layer
            case MlpSpec():
                for width in {min(layer.intermediate_size, size) for size in space.intermediate_size}:
                    found["mlp", width] = replace(layer, intermediate_size=width)
    return [(kind, width, layer) for (kind, width), layer in sorted(found.items(), key=lambda item: item[0])]


def _layer_seconds(config: HybridConfig, mix: str, threads: int | None, position: int) -> float:
    deep = [replace(config, layers=config.layers * depth) for depth in _DEPTHS]
    few, many = _token_seconds(deep, mix, threads, position)
    return max(0.0, (many - few) / (_DEPTHS[1] - _DEPTHS[0]))


def _head_points(parent: HybridConfig, mix: str, threads: int | None) -> list[LatencyPoint]:
    """The output matrix at both hidden sizes: a whole model of one narrow layer, less the same with few words."""
    space, points = default_space(parent), list[LatencyPoint]()
    for hidden in (max(space.hidden_size), min(space.hidden_size)):
        small = HybridConfig(
            architecture="nemotron_h", layers=(MlpSpec(intermediate_size=32, activation="relu2"),), hidden_size=hidden,
            vocab_size=256, norm_eps=1e-5, tie_embeddings=True, max_context=4096,
        )  # fmt: skip
        few, all_ = _token_seconds([small, replace(small, vocab_size=parent.vocab_size)], mix, threads, 1)
        points.append(
            LatencyPoint(kind="head", hidden_size=hidden, width=parent.vocab_size, seconds=max(0.0, all_ - few))
        )
    return points


def _token_seconds(configs: Sequence[HybridConfig], mix: str, threads: int | None, position: int) -> list[float]:
    """Seconds of one token of each, median over rounds; they take turns, so that a slow moment slows all."""
    models = [NativeLM(config, _random_tensors(config, mix), threads=threads) for config in configs]
    states = [model.new_state(position + _TOKENS * _ROUNDS) for model in models]
    for model, state in zip(models, states, strict=True):
        model.extend(state, np.zeros(position, dtype=np.int32))
    rounds = [[_quickest(model, state) for model, state in zip(models, states, strict=True)] for _ in range(_ROUNDS)]
    return [float(seconds) for seconds in np.median(rounds, axis=0)]


def _quickest(model: NativeLM, state: SequenceState) -> float:
    """Mutates state."""
    token, marks = np.zeros(1, dtype=np.int32), [time.perf_counter()]
    for _ in range(_TOKENS):
        model.extend(state, token)
        marks.append(time.perf_counter())
    return min(end - start for start, end in pairwise(marks))


def _random_tensors(config: HybridConfig, mix: str) -> dict[str, Tensor]:
    plan = plan_for_mix(mix, {row.own: row.shape for row in rows(config)})
    rng = np.random.default_rng(0)
    tensors = {}
    for row in rows(config):
        values = rng.standard_normal(row.shape, dtype=np.float32) * np.float32(0.02)
        tensor = row.transform.to_gguf(tensor_from_float32(row.own, values))
        is_matrix = plan.types[row.own].name != "F32"
        tensors[row.own] = _typed(tensor, plan.types[row.own].name) if is_matrix else tensor
    return tensors


def _typed(tensor: Tensor, type_name: str) -> Tensor:
    """Random weights need no fitting: one row is encoded, and repeated."""
    row = tensor_from_float32(tensor.name, tensor.to_float32()[:1], TYPES[type_name])
    return replace(row, shape=tensor.shape, data=np.tile(row.data, tensor.rows))
