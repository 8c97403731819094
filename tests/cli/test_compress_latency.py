"""Latency tables, of a machine whose times are known: no clock is read here."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compress_models import BLOCKY, cuttable_config
from mambino.cli import compress_latency
from mambino.cli.compress_latency import places, sizes_to_check, typical_seconds, whole_models
from mambino.compress.budget import Budget, LatencyTable, fit_latency, parameters, read_latency_table
from mambino.compress.space import candidates, default_space
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec, layers_from_pattern

HYBRID = HybridConfig(
    architecture="nemotron_h",
    layers=layers_from_pattern(
        "M-M*-M*-",
        mamba=MambaSpec(num_heads=8, head_dim=32, state_size=32, num_groups=2, conv_kernel=4),
        attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=64),
        mlp=MlpSpec(intermediate_size=768, activation="relu2"),
    ),
    hidden_size=256,
    vocab_size=3072,
    norm_eps=1e-5,
    tie_embeddings=True,
    max_context=512,
)
LLAMA = HybridConfig(
    architecture="llama",
    layers=(
        AttentionSpec(num_heads=9, num_kv_heads=3, head_dim=64, rope_theta=1e5),
        MlpSpec(intermediate_size=1536, activation="swiglu"),
    )
    * 30,
    hidden_size=576,
    vocab_size=49152,
    norm_eps=1e-5,
    tie_embeddings=True,
    max_context=512,
)


def known_seconds(config: HybridConfig) -> float:
    """A fixed part, and for every layer one of its kind, one of its width and one of its products."""
    head = 30e-6 + 2e-11 * config.vocab_size * config.hidden_size
    return head + sum(_layer_seconds(layer, config.hidden_size) for layer in config.layers)


def _layer_seconds(layer: LayerSpec, hidden: int) -> float:
    match layer:
        case MambaSpec():
            return 9e-6 + 2e-8 * layer.inner_size + 6e-11 * hidden * layer.inner_size
        case AttentionSpec():
            return 14e-6 + 3e-11 * hidden * (layer.query_size + layer.kv_size)
        case _:
            return 4e-6 + 1e-9 * hidden + 4e-11 * hidden * layer.intermediate_size


def fitted(parent: HybridConfig, noise: float = 0.0) -> LatencyTable:
    rng, models = np.random.default_rng(0), whole_models(parent)
    return fit_latency(
        places(parent), {config: known_seconds(config) * (1 + noise * rng.standard_normal()) for config in models}
    )


@pytest.mark.parametrize(
    "parent", [HYBRID, LLAMA, BLOCKY, cuttable_config()], ids=["hybrid", "llama", "even", "uneven"]
)
def test_every_size_is_predicted_within_a_per_cent(parent: HybridConfig) -> None:
    table = fitted(parent)
    everything = Budget(name="100%", cost=parameters, limit=parameters(parent))
    found = candidates(parent, default_space(parent), everything, slack=0.99)
    assert len(found) > 3
    for candidate in found:
        assert table(candidate.sub.config) == pytest.approx(known_seconds(candidate.sub.config), rel=0.01)


def test_the_table_holds_the_parts_not_only_their_sums() -> None:
    table = fitted(HYBRID)
    assert table.seconds("mlp", 448, 192) == pytest.approx(4e-6 + 1e-9 * 192 + 4e-11 * 192 * 448, rel=0.01)
    assert table.seconds("head", 3072, 256) == pytest.approx(30e-6 + 2e-11 * 3072 * 256, rel=0.01)


def test_noise_averages_out_and_takes_nothing_below_zero() -> None:
    table = fitted(HYBRID, noise=0.02)
    for config in sizes_to_check(HYBRID).values():
        assert table(config) == pytest.approx(known_seconds(config), rel=0.05)
    assert all(point.seconds >= 0 for point in fitted(HYBRID, noise=0.5).points)


def test_slow_rounds_and_disturbed_turns_do_not_show() -> None:
    rng = np.random.default_rng(0)
    true = np.geomspace(1e-4, 1e-3, 20)
    speeds = np.where(rng.random((40, 1)) < 0.4, 1.7, 1.0)
    times = true * speeds * (1 + 0.01 * rng.standard_normal((40, 20)))
    times[rng.random(times.shape) < 0.1] *= 3
    shares = typical_seconds(times) / true
    assert shares == pytest.approx(np.ones(20), rel=0.015)


@pytest.mark.parametrize("parent", [HYBRID, LLAMA], ids=["hybrid", "llama"])
def test_the_command_checks_sizes_that_the_table_is_not_made_of(
    parent: HybridConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compress_latency, "_token_seconds", lambda configs, *_: [known_seconds(c) for c in configs])
    monkeypatch.setattr(compress_latency, "open_parent", lambda _: SimpleNamespace(config=parent))
    compress_latency.command.main(["x", "--check", "--out", str(tmp_path / "table.json")], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["100%", "75%", "50%"]
    assert ["made of" in line for line in lines] == [True, False, False]
    assert all(abs(float(line.split("%")[1].split()[-1])) < 1 for line in lines)
    assert read_latency_table(tmp_path / "table.json")(parent) == pytest.approx(known_seconds(parent), rel=0.01)
