"""`mambino bench` on the bundled model: a table, a record as the last line, shares of the machine's limits."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mambino as package
from mambino.cli.bench import chosen_lengths, peer_python
from mambino.cli.bench_report import BenchReport, Point, plot, table
from mambino.config import HybridConfig
from mambino.engine.ceilings import Ceilings
from mambino.errors import InputError, Unsupported
from mambino.evals.speed import Timing

pytestmark = pytest.mark.native

Run = Callable[..., tuple[int, str, str]]
BUNDLED = str(Path(package.__file__).parent / "bundled/mambino-tiny-q8_0.gguf")


def timing(prompt_s: float, decode_s: float) -> Timing:
    return Timing(prompt_tokens=100, decode_tokens=10, prompt_s=prompt_s, decode_s=decode_s)


def report(config: HybridConfig, *, theirs: bool = False) -> BenchReport:
    point = Point(
        context=100,
        ours=[timing(1, 1), timing(2, 2), timing(4, 4)],
        theirs=[timing(2, 1), timing(2, 2), timing(2, 4)] if theirs else [],
        peak_nbytes=5_000_000,
    )
    return BenchReport(
        model="m.gguf",
        config=config,
        weights_nbytes=1_000_000,
        ceilings=Ceilings(threads=2, read_bytes_per_s=1e8, int8_ops_per_s=1e9),
        points=[point],
        machine={},
        logits_sha256="0",
    )


def test_a_run_ends_in_one_json_line_that_says_on_what_it_ran(mambino: Run, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    code, text, _ = mambino("bench", BUNDLED, "--context", "20", "--context", "5", "--decode", "2", "--rounds", "2",
                            "--threads", "1", "--out", str(out))  # fmt: skip
    assert code == 0
    *lines, last = text.splitlines()
    record = json.loads(last)
    assert json.loads(out.read_text()) == record
    assert [point["context"] for point in record["points"]] == [5, 20]
    assert all(len(point["decode_s"]) == 2 for point in record["points"])
    assert (record["threads"], len(record["logits_sha256"])) == (1, 16)
    assert {"processor", "build_id", "isa", "mambino", "load"} <= record["machine"].keys()
    assert "writes tok/s" in lines[2]
    assert mambino("bench", BUNDLED, "--context", "5", "--rounds", "1", "--json")[1].count("\n") == 1


def test_shares_are_of_the_weights_that_a_token_needs(tiny_config: HybridConfig) -> None:
    found = report(tiny_config)
    (point,) = found.points
    layers = sum(tiny_config.layer_parameters(layer) for layer in tiny_config.layers)
    assert point.prompt_rate == 50
    assert found.int8_share(point) == pytest.approx(50 * 2 * layers / 1e9)
    looked_up = tiny_config.vocab_size * tiny_config.hidden_size / tiny_config.num_parameters
    streamed = 1_000_000 * (1 - looked_up) + tiny_config.state_nbytes(100)
    assert found.read_share(point) == pytest.approx(5 * streamed / 1e8, rel=1e-5)


def test_ratios_are_medians_of_pairs(tiny_config: HybridConfig) -> None:
    (point,) = report(tiny_config, theirs=True).points
    assert point.ratios() == (1.0, 1.0)
    assert "1.00x reads, 1.00x writes" in table(report(tiny_config, theirs=True))[-1]
    assert "llama.cpp" not in "".join(table(report(tiny_config)))


def test_a_plot_is_a_png(tiny_config: HybridConfig, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    plot(report(tiny_config, theirs=True), tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_lengths_that_do_not_fit_are_left_out() -> None:
    assert chosen_lengths((2048, 16, 512, 16), 32, 600) == [16, 512]
    with pytest.raises(InputError, match="no length fits: the model holds 40 tokens"):
        chosen_lengths((16,), 32, 40)


def test_a_peer_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="/no/such/python: cannot be run: No such file"):
        peer_python("/no/such/python")
    if "llama_cpp" not in sys.modules:
        with pytest.raises(Unsupported, match="has no llama-cpp-python"):
            peer_python("")


@pytest.mark.weights
def test_llama_cpp_runs_in_turns(mambino: Run) -> None:
    python = Path.home() / ".cache/mambino/test-files/llama-cpp/bin/python"
    if not python.exists():
        pytest.skip(f"{python} is missing: run tools/fetch_test_files.py")
    code, text, _ = mambino("bench", BUNDLED, "--context", "40", "--rounds", "2", "--compare", str(python), "--json")
    (point,) = json.loads(text)["points"]
    assert code == 0
    assert len(point["llama_cpp_prompt_s"]) == 2
    assert point["prompt_ratio"] > 0
