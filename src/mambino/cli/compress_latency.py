"""`mambino compress latency`: seconds a token by kind and width of layer, on this machine's engine. Start at command.

Layers timed alone meet the caches otherwise than in a model, and differences of noisy times are noisier still. So whole
models are timed, many shapes in turns, and the table is the sum of parts that comes nearest to them.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from mambino.cli.compress_options import open_parent
from mambino.cli.options import debug_option
from mambino.cli.terminal import human_count, note
from mambino.compress.budget import Budget, LatencyPoint, fit_latency, kind_and_width, parameters
from mambino.compress.space import candidates, default_space
from mambino.config import Architecture, AttentionSpec, HybridConfig, LayerSpec, MambaSpec
from mambino.engine.native import NativeLM
from mambino.formats.names import NameRow, rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.encode import encode
from mambino.quant.mixes import MIXES, plan_for_mix
from mambino.quant.plan import tensor_nbytes
from mambino.quant.types import F32, TYPES, QuantType

_LEAST_ROUNDS, _LEAST_SECONDS = 25, 30.0  # both: small models are quick to time, and the sooner disturbed
_TOKENS = 5  # a turn: its first find the caches full of another model, the quickest counts
_ANY_ORDER: Architecture = "nemotron_h"  # its layers may follow each other as they like


@click.command()
@click.argument("model")
@click.option("--mix", type=click.Choice(list(MIXES)), default="q8_0", show_default=True, metavar="NAME",
              help="Number formats; see mambino quantize.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Processor cores to use.  [default: all]")
@click.option("--at", "position", type=click.IntRange(1), default=512, show_default=True, metavar="N",
              help="Tokens already in the context.")  # fmt: skip
@click.option("--check", is_flag=True, help="Also time sizes that fit 100, 75 and 50 %, in turns with the others, and "
              "show what the table says of them.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE")
@debug_option
def command(model: str, mix: str, threads: int | None, position: int, check: bool, out: Path) -> None:
    """Time one generated token in models of MODEL's layers, and say what each kind and width of layer adds.

    The table is for --count latency. A quiet machine gives better numbers; passing disturbances are averaged out.

    \b
    mambino compress latency big/ --out table.json
    mambino compress plan big/ --count latency --latency-table table.json --budget 4ms
    """
    parent = open_parent(model).config
    checked = sizes_to_check(parent) if check else {}
    smaller = [config for config in checked.values() if config.num_parameters < parent.num_parameters]
    fitted = [config for config in whole_models(parent) if config not in smaller]  # what was fitted checks nothing
    configs = list(dict.fromkeys([*fitted, *checked.values()]))
    note(f"timing {len(configs)} models of random weights in turns, {_LEAST_ROUNDS} or more")
    measured = dict(zip(configs, _token_seconds(configs, mix, threads, position), strict=True))
    table = fit_latency(places(parent), {config: measured[config] for config in fitted})
    for point in table.points:
        note(f"{point.kind:<10} hidden {point.hidden_size:<5} width {point.width:<6} {point.seconds * 1e6:9.1f} us")
    table.write(out)
    print(out)
    for name, config in checked.items():
        _show_check(name, config, table(config), measured[config], config in fitted)


def _show_check(name: str, config: HybridConfig, predicted: float, measured: float, is_fitted: bool) -> None:
    print(
        f"{name:>5}  {human_count(config.num_parameters):>7} parameters  predicted {predicted * 1e3:8.3f} ms"
        f"  measured {measured * 1e3:8.3f} ms  {predicted / measured - 1:+.1%}"
        f"{'  (one that the table is made of)' if is_fitted else ''}"
    )


def sizes_to_check(parent: HybridConfig) -> dict[str, HybridConfig]:
    """The largest sub-models of three shares of the parameters, by the name of the share."""
    space, found = default_space(parent), dict[str, HybridConfig]()
    for share in (1.0, 0.75, 0.5):
        budget = Budget(name=f"{share:.0%}", cost=parameters, limit=share * parameters(parent))
        found[budget.name] = replace(candidates(parent, space, budget)[0].sub.config, architecture=_ANY_ORDER)
    return found


def places(parent: HybridConfig) -> list[LatencyPoint]:
    """Where the table has points: every hidden size of the default space, at both ends of the widths of each kind.

    Between widths a layer's time is nearly a straight line. Along the hidden size, on which every product depends, the
    kernels' steps add up, so all of its sizes have points.
    """
    widths: dict[str, set[int]] = {"head": {parent.vocab_size}}
    for layer in (layer for ends in _width_ends(parent) for layer in ends):
        kind, width = kind_and_width(layer)
        widths.setdefault(kind, set()).add(width)
    return [
        LatencyPoint(kind=kind, hidden_size=hidden, width=width, seconds=0.0)
        for hidden, (kind, found) in product(default_space(parent).hidden_size, widths.items())
        for width in sorted({min(found), max(found)})
    ]


def whole_models(parent: HybridConfig) -> list[HybridConfig]:
    """Models that tell the parts apart, at every hidden size.

    They are the parent with its Mamba and MLP layers whole and narrow, the layers of each shape alone, and one layer,
    which is nearly all head: more than are needed, so that one may be left out for a check.
    """
    ends = _width_ends(parent)
    alone = [tuple(one for one in layers if one == shape) for layers in ends for shape in layers]
    return [
        replace(parent, architecture=_ANY_ORDER, hidden_size=hidden, layers=layers)
        for hidden, layers in product(default_space(parent).hidden_size, dict.fromkeys([*ends, *alone, ends[-1][:1]]))
    ]


def _width_ends(parent: HybridConfig) -> list[tuple[LayerSpec, ...]]:
    """The parent's layers, with the Mamba and the MLP layers whole and as narrow as the default space goes."""
    space = default_space(parent)
    ends = [(max(sizes), min(sizes)) if sizes else (0,) for sizes in (space.mamba_heads, space.intermediate_size)]
    return [tuple(_narrow(layer, heads, neurons) for layer in parent.layers) for heads, neurons in product(*ends)]


def _narrow(layer: LayerSpec, heads: int, neurons: int) -> LayerSpec:
    match layer:
        case MambaSpec():
            return replace(layer, num_heads=min(layer.num_heads, heads))
        case AttentionSpec():
            return layer
        case _:
            return replace(layer, intermediate_size=min(layer.intermediate_size, neurons))


def _token_seconds(configs: Sequence[HybridConfig], mix: str, threads: int | None, position: int) -> list[float]:
    """Seconds of one token of each. They take turns, in another order every round: what disturbs one disturbs all."""
    memory = _memory(configs, mix)
    models = [NativeLM(config, _random_tensors(config, mix, memory), threads=threads) for config in configs]
    turns = [_Turns(model, position) for model in models]
    rng, times, end = np.random.default_rng(0), list[list[float]](), time.perf_counter() + _LEAST_SECONDS
    while len(times) < _LEAST_ROUNDS or time.perf_counter() < end:
        quickest = {at: turns[at].quickest() for at in rng.permutation(len(turns))}
        times.append([quickest[at] for at in range(len(turns))])
    return [float(seconds) for seconds in typical_seconds(np.array(times))]


def typical_seconds(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each model, from times by round and model: a slow round is slow for all, so its factor is divided out.

    Medians both ways (Tukey's median polish, of logarithms), which single disturbed turns do not move.
    """
    logs, of_round = np.log(times), np.zeros((len(times), 1))
    for _ in range(20):
        of_model = np.median(logs - of_round, axis=0)
        of_round = np.median(logs - of_model, axis=1, keepdims=True)
    return np.exp(of_model + np.median(of_round))


class _Turns:
    """One model, and a text that every turn goes on from."""

    def __init__(self, model: NativeLM, position: int) -> None:
        self._model = model
        self._state = model.new_state(position + _TOKENS)
        model.extend(self._state, np.zeros(position, dtype=np.int32))
        self._start = self._state.snapshot()

    def quickest(self) -> float:
        """Seconds of the quickest token of a turn."""
        self._state.restore(self._start)
        token, marks = np.zeros(1, dtype=np.int32), [time.perf_counter()]
        for _ in range(_TOKENS):
            self._model.extend(self._state, token)
            marks.append(time.perf_counter())
        return min(end - start for start, end in pairwise(marks))


def _memory(configs: Sequence[HybridConfig], mix: str) -> dict[str, NDArray[np.uint8]]:
    """Random blocks by number format, as many as the largest model's matrices take: all models share them."""
    sizes = Counter[str]()
    for config in configs:
        own = Counter[str]()
        for row, quant_type in _typed_rows(config, mix):
            own[quant_type.name] += tensor_nbytes(quant_type, row.shape)
        sizes |= own  # the larger of both
    values = np.random.default_rng(0).standard_normal((1, 256), dtype=np.float32) * np.float32(0.02)
    return {name: np.resize(encode(TYPES[name], values), size) for name, size in sizes.items()}


def _random_tensors(config: HybridConfig, mix: str, memory: Mapping[str, NDArray[np.uint8]]) -> dict[str, Tensor]:
    """Matrices lie in memory one after the other: whole blocks make a row of any width."""
    rng, used, tensors = np.random.default_rng(0), Counter[str](), dict[str, Tensor]()
    for row, quant_type in _typed_rows(config, mix):
        if quant_type is F32:
            values = rng.standard_normal(row.shape, dtype=np.float32) * np.float32(0.02)
            tensors[row.own] = row.transform.to_gguf(tensor_from_float32(row.own, values))
            continue
        begin, size = used[quant_type.name], tensor_nbytes(quant_type, row.shape)
        data = memory[quant_type.name][begin : begin + size]
        tensors[row.own] = Tensor(name=row.own, type=quant_type, shape=row.shape, data=data)
        used[quant_type.name] += size
    return tensors


def _typed_rows(config: HybridConfig, mix: str) -> list[tuple[NameRow, QuantType]]:
    plan = plan_for_mix(mix, {row.own: row.shape for row in rows(config)})
    return [(row, plan.types[row.own]) for row in rows(config)]
