"""One layer spec <-> one JSON object: the entries of "mambino_layers", which describe an uneven model.

Knows no Hugging Face names. Start at read_layer.
"""

from collections.abc import Mapping
from math import inf, isinf

from mambino.config import AttentionSpec, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import Unsupported
from mambino.formats.keys import Keys


def read_layer(entry: Mapping[str, object], where: str) -> LayerSpec:
    """The spec in one entry. Raises ConfigError for missing or unknown keys; where begins the message."""
    keys = Keys(entry, where)
    kind = keys.text("kind")
    layer: LayerSpec
    match kind:
        case "mamba":
            layer = MambaSpec(
                num_heads=keys.integer("num_heads"),
                head_dim=keys.integer("head_dim"),
                state_size=keys.integer("state_size"),
                num_groups=keys.integer("num_groups"),
                conv_kernel=keys.integer("conv_kernel"),
                time_step_limit=read_time_step_limit(keys, "time_step_limit"),
            )
        case "attention":
            layer = AttentionSpec(
                num_heads=keys.integer("num_heads"),
                num_kv_heads=keys.integer("num_kv_heads"),
                head_dim=keys.integer("head_dim"),
                rope_theta=keys.number("rope_theta") if keys.has("rope_theta") else None,
            )
        case "mlp":
            layer = _read_mlp(keys)
        case _:
            raise keys.fault("kind", f"expected mamba, attention or mlp, got {kind!r:.40}")
    keys.require_all_used()
    return layer


def _read_mlp(keys: Keys) -> MlpSpec:
    size, activation = keys.integer("intermediate_size"), keys.text("activation")
    match activation:
        case "relu2" | "swiglu":
            return MlpSpec(intermediate_size=size, activation=activation)
        case _:
            raise Unsupported(str(keys.fault("activation", f"expected relu2 or swiglu, got {activation!r:.40}")))


def write_layer(layer: LayerSpec) -> dict[str, object]:
    """The entry that read_layer turns back into layer."""
    match layer:
        case MambaSpec():
            entry: dict[str, object] = {
                "kind": "mamba",
                "num_heads": layer.num_heads,
                "head_dim": layer.head_dim,
                "state_size": layer.state_size,
                "num_groups": layer.num_groups,
                "conv_kernel": layer.conv_kernel,
            }
            return entry | write_time_step_limit(layer.time_step_limit)
        case AttentionSpec():
            entry = {
                "kind": "attention",
                "num_heads": layer.num_heads,
                "num_kv_heads": layer.num_kv_heads,
                "head_dim": layer.head_dim,
            }
            return entry if layer.rope_theta is None else entry | {"rope_theta": layer.rope_theta}
        case MlpSpec():
            return {"kind": "mlp", "intermediate_size": layer.intermediate_size, "activation": layer.activation}


def read_time_step_limit(keys: Keys, key: str) -> tuple[float, float]:
    """(0, inf), no clamp, where absent. Infinity may be spelled Infinity, "inf" or {"__float__": "Infinity"}."""
    bounds = keys.get(key)
    if bounds is None:
        return (0.0, inf)
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise keys.fault(key, f"expected [low, high], got {bounds!r:.80}")
    low, high = (_read_bound(keys, key, bound) for bound in bounds)
    return (low, high)


def _read_bound(keys: Keys, key: str, bound: object) -> float:
    if isinstance(bound, dict) and list(bound) == ["__float__"]:
        bound = bound["__float__"]
    if isinstance(bound, str) and bound.lower() in ("inf", "infinity"):
        return inf
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        raise keys.fault(key, f"expected numbers, got {bound!r:.80}")
    try:
        return float(bound)
    except OverflowError:
        raise keys.fault(key, "expected numbers that fit a float") from None


def write_time_step_limit(limit: tuple[float, float]) -> dict[str, object]:
    """The key as transformers 5 writes it; empty for (0, inf), which is everybody's default."""
    if limit == (0.0, inf):
        return {}
    low, high = limit
    return {"time_step_limit": [low, {"__float__": "Infinity"} if isinf(high) else high]}
