"""`mambino compress latency`: seconds a token of single layers, on this machine's engine. Start at command."""

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

from mambino.cli.compress_options import open_parent
from mambino.cli.options import debug_option
from mambino.cli.terminal import note
from mambino.compress.budget import LatencyPoint, LatencyTable
from mambino.compress.space import default_space
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.engine.native import NativeLM
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.mixes import MIXES, plan_for_mix
from mambino.quant.types import TYPES

_DEPTHS = (2, 6)  # the difference is the time of the layers alone
_ROUNDS = 7


@click.command()
@click.argument("model")
@click.option("--mix", type=click.Choice(list(MIXES)), default="q8_0", show_default=True, metavar="NAME",
              help="Number formats; see mambino quantize.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Processor cores to use.  [default: all]")
@click.option("--at", "position", type=click.IntRange(1), default=512, show_default=True, metavar="N",
              help="Tokens already in the context.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE")
@debug_option
def command(model: str, mix: str, threads: int | None, position: int, out: Path) -> None:
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
    LatencyTable(tuple(points)).write(out)
    print(out)


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
    few, many = (
        _token_seconds(replace(config, layers=config.layers * depth), mix, threads, position) for depth in _DEPTHS
    )
    return max(0.0, (many - few) / (_DEPTHS[1] - _DEPTHS[0]))


def _head_points(parent: HybridConfig, mix: str, threads: int | None) -> list[LatencyPoint]:
    """The output matrix at both hidden sizes: a whole model of one narrow layer, less the same with few words."""
    space, points = default_space(parent), list[LatencyPoint]()
    for hidden in (max(space.hidden_size), min(space.hidden_size)):
        small = HybridConfig(
            architecture="nemotron_h", layers=(MlpSpec(intermediate_size=32, activation="relu2"),), hidden_size=hidden,
            vocab_size=256, norm_eps=1e-5, tie_embeddings=True, max_context=4096,
        )  # fmt: skip
        few, all_ = (
            _token_seconds(replace(small, vocab_size=words), mix, threads, 1) for words in (256, parent.vocab_size)
        )
        points.append(
            LatencyPoint(kind="head", hidden_size=hidden, width=parent.vocab_size, seconds=max(0.0, all_ - few))
        )
    return points


def _token_seconds(config: HybridConfig, mix: str, threads: int | None, position: int) -> float:
    """Median over rounds of the time of one token."""
    model = NativeLM(config, _random_tensors(config, mix), threads=threads)
    state = model.new_state(position + 8 * _ROUNDS + 8)
    model.extend(state, np.zeros(position, dtype=np.int32))
    times, token = list[float](), np.zeros(1, dtype=np.int32)
    for _ in range(_ROUNDS):
        marks = [time.perf_counter()]
        for _ in range(8):
            model.extend(state, token)
            marks.append(time.perf_counter())
        times.append(min(end - start for start, end in pairwise(marks)))
    return float(np.median(times))


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
