"""SubConfig: a smaller model inside a larger one, as a value, and how to make one from sizes.

Knows configs, no weights. Start at SubConfig and SubSizes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import ConfigError, FormatError, InputError
from mambino.formats.keys import Keys
from mambino.formats.layer_json import read_layer, write_layer
from mambino.formats.names import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class SubConfig:
    """config describes the smaller model; its layer j is a prefix of layer kept[j] of the parent."""

    config: HybridConfig
    kept: tuple[int, ...]

    @classmethod
    def whole(cls, parent: HybridConfig) -> "SubConfig":
        return cls(config=parent, kept=tuple(range(len(parent.layers))))

    def to_json(self) -> dict[str, object]:
        return {
            "kept": list(self.kept),
            "hidden_size": self.config.hidden_size,
            "layers": [write_layer(layer) for layer in self.config.layers],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SubSizes:
    """One size an axis, for all layers alike; None leaves the axis whole. A layer that is smaller already stays.

    mamba_heads and attention_heads count all heads of a layer: the same number goes from every B/C or key/value group.
    num_layers counts kept layers; which ones is decided by a ranking.
    """

    hidden_size: int | None = None
    mamba_heads: int | None = None
    mamba_head_dim: int | None = None
    attention_heads: int | None = None
    kv_heads: int | None = None
    intermediate_size: int | None = None
    num_layers: int | None = None


def sub_config(parent: HybridConfig, sizes: SubSizes, *, depth_order: Sequence[int] | None = None) -> SubConfig:
    """The sub-model of these sizes. depth_order lists layer indices, most useful first (None: earlier layers stay).

    Raises     InputError for sizes that the parent cannot give: too large, uneven groups, no layer left
    """
    count = len(parent.layers) if sizes.num_layers is None else sizes.num_layers
    if not 1 <= count <= len(parent.layers):
        raise InputError(f"[compress] num_layers: expected 1 to {len(parent.layers)}, got {count}")
    order = list(range(len(parent.layers))) if depth_order is None else list(depth_order)
    if sorted(order) != list(range(len(parent.layers))):
        raise InputError(f"[compress] depth order: expected every layer of {len(parent.layers)} once, got {order}")
    return uneven_sub(parent, dict.fromkeys(order[:count], sizes), hidden_size=sizes.hidden_size)


def uneven_sub(parent: HybridConfig, sizes: Mapping[int, SubSizes], *, hidden_size: int | None = None) -> SubConfig:
    """The sub-model that keeps these layers, each in sizes of its own (hidden_size and num_layers of them are unused).

    Raises     InputError as sub_config does
    """
    kept = tuple(sorted(sizes))
    layers = tuple(_smaller(parent.layers[index], index, sizes[index]) for index in kept)
    hidden = parent.hidden_size if hidden_size is None else hidden_size
    sub = SubConfig(config=replace(parent, layers=layers, hidden_size=hidden), kept=kept)
    check_inside(parent, sub)
    _check_storable(sub)
    return sub


def _smaller(layer: LayerSpec, index: int, sizes: SubSizes) -> LayerSpec:
    where = f"[compress] layer {index}"
    match layer:
        case MambaSpec():
            heads = _at_most(layer.num_heads, sizes.mamba_heads)
            if heads % layer.num_groups:
                raise InputError(
                    f"{where}: {heads} Mamba heads do not divide into {layer.num_groups} B/C groups, which share B and "
                    f"C; take a multiple of {layer.num_groups}"
                )
            return replace(layer, num_heads=heads, head_dim=_at_most(layer.head_dim, sizes.mamba_head_dim))
        case AttentionSpec():
            ratio = layer.num_heads // layer.num_kv_heads
            kv_heads = _at_most(layer.num_kv_heads, sizes.kv_heads)
            heads = _at_most(kv_heads * ratio, sizes.attention_heads)
            if heads % kv_heads:
                raise InputError(
                    f"{where}: {heads} query heads do not divide over {kv_heads} key/value heads; "
                    f"take a multiple of {kv_heads}"
                )
            return replace(layer, num_heads=heads, num_kv_heads=kv_heads)
        case MlpSpec():
            return replace(layer, intermediate_size=_at_most(layer.intermediate_size, sizes.intermediate_size))


def _at_most(whole: int, asked: int | None) -> int:
    if asked is not None and asked < 1:
        raise InputError(f"[compress] sizes: expected positive numbers, got {asked}")
    return whole if asked is None else min(whole, asked)


def check_inside(parent: HybridConfig, sub: SubConfig) -> None:
    """Raises InputError unless every part of sub is a prefix of the parent's."""
    if len(sub.kept) != len(sub.config.layers) or list(sub.kept) != sorted(set(sub.kept)):
        raise InputError(f"[compress] kept layers: expected {len(sub.config.layers)} rising indices, got {sub.kept}")
    if sub.kept[-1] >= len(parent.layers) or sub.kept[0] < 0:
        raise InputError(f"[compress] kept layers {sub.kept} are not all among the parent's {len(parent.layers)}")
    if sub.config.hidden_size > parent.hidden_size:
        raise InputError(f"[compress] hidden size {sub.config.hidden_size}: the parent has {parent.hidden_size}")
    if replace(sub.config, layers=parent.layers, hidden_size=parent.hidden_size) != parent:
        raise InputError("[compress] a sub-model shares vocabulary, norms and special tokens with its parent")
    for index, layer in zip(sub.kept, sub.config.layers, strict=True):
        _check_layer(index, parent.layers[index], layer)


def _check_storable(sub: SubConfig) -> None:
    try:
        rows(sub.config)
    except ConfigError as error:
        raise InputError(f"[compress] these layers cannot be dropped: {error}") from error


def _check_layer(index: int, whole: LayerSpec, part: LayerSpec) -> None:
    match whole, part:
        case MambaSpec(), MambaSpec():
            same = replace(part, num_heads=whole.num_heads, head_dim=whole.head_dim) == whole
            fits = same and part.num_heads <= whole.num_heads and part.head_dim <= whole.head_dim
        case AttentionSpec(), AttentionSpec():
            same = replace(part, num_heads=whole.num_heads, num_kv_heads=whole.num_kv_heads) == whole
            is_narrow = part.num_heads // part.num_kv_heads <= whole.num_heads // whole.num_kv_heads
            fits = same and is_narrow and part.num_kv_heads <= whole.num_kv_heads
        case MlpSpec(), MlpSpec():
            fits = part.activation == whole.activation and part.intermediate_size <= whole.intermediate_size
        case _:
            fits = False
    if not fits:
        raise InputError(f"[compress] layer {index}: {part} is not a part of {whole}; states and groups stay whole")


def read_sub(parent: HybridConfig, entry: Mapping[str, object], where: str) -> SubConfig:
    """What SubConfig.to_json wrote. Raises FormatError if it is damaged or of another parent."""
    keys = Keys(entry, where)
    kept, layers = keys.get("kept"), keys.get("layers")
    if not isinstance(kept, list) or not all(type(index) is int for index in kept) or not kept:
        raise FormatError(f"{where}: kept: expected layer indices, got {kept!r:.80}; export the nested model again")
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers) or not layers:
        raise FormatError(f"{where}: layers: expected layer descriptions, got {layers!r:.80}; export it again")
    specs = tuple(read_layer(layer, f"{where}: layer {index}") for index, layer in enumerate(layers))
    config = replace(parent, layers=specs, hidden_size=keys.integer("hidden_size"))
    sub = SubConfig(config=config, kept=tuple(kept))
    try:
        check_inside(parent, sub)
        _check_storable(sub)
    except InputError as error:
        raise FormatError(f"{where}: {error}; it belongs to another model") from error
    return sub
