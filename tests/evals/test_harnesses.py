"""lm-evaluation-harness and inspect-ai measure the bundled model with the examples, as they are."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mambino.evals.local import LocalRanker
from mambino.hub.local import BUNDLED
from mambino.load import open_model, open_tokenizer
from server_process import running_server

pytestmark = [pytest.mark.slow, pytest.mark.native]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/evals"
# Texts are cut alike, and logits are the same in every run.
TOLERANCE = 1e-9
TASK = """task: grammar
dataset_path: json
dataset_kwargs: {data_files: %s}
test_split: train
output_type: multiple_choice
doc_to_text: ""
doc_to_choice: "{{[good, bad]}}"
doc_to_target: 0
target_delimiter: ""
metric_list: [{metric: acc}]
"""
PAIRS = [("The cat is small.", "The cat are small."), ("She has a red ball.", "She have a red ball."),
         ("Tom went home.", "Tom goed to home of.")]  # fmt: skip


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: that it can measure a model stays untested")


def ran(script: str, *arguments: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments], capture_output=True, text=True, env=environment,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def test_lm_eval_agrees_with_our_own_ranker(tmp_path: Path) -> None:
    needs("lm_eval")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"good": good, "bad": bad}) + "\n" for good, bad in PAIRS))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/grammar.yaml").write_text(TASK % rows)
    found = json.loads(ran("lm_eval_model.py", BUNDLED, "grammar", str(tmp_path / "tasks")))
    ranker = LocalRanker(open_model(), open_tokenizer())
    scores = [[one.logprob for one in ranker.rank("", pair)] for pair in PAIRS]
    expected = sum(good > bad for good, bad in scores) / len(PAIRS)
    assert found["grammar"]["acc,none"] == pytest.approx(expected, abs=TOLERANCE)


def test_inspect_measures_the_server(tmp_path: Path) -> None:
    needs("inspect_ai")
    with running_server(tmp_path) as server:
        status, accuracy = ran("inspect_server.py", f"{server.address}/v1", "bundled").split()
    assert status == "success"
    assert 0.0 <= float(accuracy) <= 1.0
