"""Costs are exact where they can be, and refuse to guess where they cannot."""

from dataclasses import replace
from pathlib import Path

import pytest

from compress_models import BLOCKY, EVERYTHING, cuttable_config, sub_of
from mambino.compress.budget import (
    Budget,
    LatencyPoint,
    LatencyTable,
    budget_of,
    bytes_with,
    fit_latency,
    parameters,
    read_latency_table,
)
from mambino.errors import FormatError, InputError
from mambino.export.gguf import export_gguf
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.names import rows
from mambino.presets import preset
from mambino.quant.mixes import plan_for_mix
from tiny_models import tiny_weights


@pytest.mark.parametrize("mix", ["f16", "q4_0"])
def test_predicted_bytes_are_the_bytes_of_the_file(mix: str, tmp_path: Path) -> None:
    config = BLOCKY
    plan = plan_for_mix(mix, {row.own: row.shape for row in rows(config)})
    write_checkpoint_directory(tmp_path / "hf", config, tiny_weights(config).values())
    export_gguf(
        open_checkpoint(tmp_path / "hf"), tmp_path / "x.gguf", type_of=lambda row: plan.types[row.own], name="x"
    )
    predicted = bytes_with(mix, context=100)(config)
    assert predicted == open_checkpoint(tmp_path / "x.gguf").nbytes + config.state_nbytes(100)


def test_bytes_count_what_a_type_cannot_hold_in_what_it_falls_back_to() -> None:
    config = preset("nemotron-3-nano-4b")  # hidden 3136 is not a multiple of 256
    bits = 8 * bytes_with("q4_k_m", context=0)(config) / config.num_parameters
    assert 5.3 < bits < 6.0  # the published file has about 5.7
    with pytest.raises(InputError, match="mix: expected one of f16"):
        bytes_with("q2", context=0)


def test_budgets_in_words() -> None:
    config = cuttable_config()
    assert budget_of("50%", config, parameters).limit == pytest.approx(config.num_parameters / 2)
    assert budget_of("2.5K", config, parameters).limit == 2500
    assert budget_of("2kB", config, bytes_with("f16", context=8), unit={"kB": 1e3}).limit == 2000
    for text, message in (("much", "expected a share"), ("3parsec", "expected a share"), ("0%", "more than nothing"),
                          ("101%", "at most the whole model")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            budget_of(text, config, parameters)
    with pytest.raises(InputError, match="positive limit"):
        Budget(name="x", cost=parameters, limit=0)


def table() -> LatencyTable:
    """1 + width * hidden / 1000 milliseconds a layer."""
    return LatencyTable(
        tuple(
            LatencyPoint(kind=kind, hidden_size=hidden, width=width, seconds=(1 + width * hidden / 1000) / 1000)
            for kind in ("mamba", "attention", "mlp", "head")
            for hidden in (8, 16)
            for width in (4, 24, 64)
        )
    )


def test_latency_adds_up_layers_and_is_exact_between_points(tmp_path: Path) -> None:
    config, milliseconds = cuttable_config(), 0.0
    for width in (48, 20, 32, 12, 14, 32, 61):  # channels, neurons, queries + keys, ..., words
        milliseconds += 1 + width * 16 / 1000
    assert table()(config) == pytest.approx(milliseconds / 1000)
    assert table()(sub_of(EVERYTHING).config) < table()(config)
    table().write(tmp_path / "table.json")
    assert read_latency_table(tmp_path / "table.json") == table()
    (tmp_path / "table.json").write_text('{"points": [{"kind": "mlp", "hidden_size": 8, "width": 4, "seconds": 0}]}')
    assert read_latency_table(tmp_path / "table.json").seconds("mlp", 4, 8) == 0.0


def test_a_table_is_found_again_from_whole_models() -> None:
    config, known = cuttable_config(), table()
    models = [
        replace(config, hidden_size=hidden, layers=config.layers[:count]) for hidden in (8, 16) for count in range(1, 7)
    ]
    found = fit_latency(known.points, {model: known(model) for model in models})
    for model in models:
        assert found(model) == pytest.approx(known(model))
    assert all(point.seconds >= 0 for point in found.points)


def test_latency_does_not_guess(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mlp 65: measured only from 4 to 64"):
        table().seconds("mlp", 65, 16)
    with pytest.raises(InputError, match="hidden size 17: measured only from 8 to 16"):
        table().seconds("mlp", 60, 17)
    with pytest.raises(InputError, match="has no mlp layers"):
        LatencyTable(()).seconds("mlp", 1, 1)
    (tmp_path / "table.json").write_text('{"points": [{"kind": "mlp"}]}')
    with pytest.raises(FormatError, match="damaged point"):
        read_latency_table(tmp_path / "table.json")
