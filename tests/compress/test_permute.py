"""A permuted model is the same function; a planted useless part is found and put last."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress_models import cuttable_config, some_tokens, strong_model, sub_of
from mambino.compress.importance import Importance, measure_importance
from mambino.compress.importance_file import plot_importance, read_importance, write_importance
from mambino.compress.nested import NestedLM
from mambino.compress.permute import order_of, permute, random_order
from mambino.compress.sub import SubSizes
from mambino.config import HybridConfig
from mambino.errors import FormatError, InputError
from mambino.train.data import Documents, MixedBatches
from tiny_models import tiny_hybrid_config, tiny_llama_config

pytestmark = pytest.mark.torch

FLOAT64_TOLERANCE = 1e-12  # times the largest logit: only the order of sums changes


def batches(count: int = 1) -> list:
    rng = np.random.default_rng(3)
    documents = Documents.of([rng.integers(61, size=20).tolist() for _ in range(8)])
    stream = MixedBatches({"x": documents}, lambda _: {"x": 1.0}, rows=2, row_size=40, seed=0)
    return [stream.batch(step) for step in range(count)]


@pytest.fixture(scope="module")
def importance() -> Importance:
    return measure_importance(strong_model(), batches())


@pytest.mark.parametrize("config", [cuttable_config(), tiny_hybrid_config(), tiny_llama_config()])
@torch.no_grad()
def test_a_permuted_model_is_the_same_function(config: HybridConfig) -> None:
    model, tokens = strong_model(config), some_tokens(50)
    before, weight = model(tokens), model.layers[1].mixer.up_proj.weight.clone()
    permute(model, random_order(config, np.random.default_rng(1)))
    assert not torch.equal(weight, model.layers[1].mixer.up_proj.weight)
    assert (model(tokens) - before).abs().max() < FLOAT64_TOLERANCE * float(before.abs().max())


@torch.no_grad()
def test_useless_parts_come_last_and_can_go() -> None:
    """Parts are silenced where they can be silent exactly: then cutting them changes nothing but the norms' width."""
    config, model, tokens = cuttable_config(), strong_model(), some_tokens(40)
    mamba, mlp = model.layers[0].mixer, model.layers[1].mixer
    for head in (1, 6):  # one in each group of four: x and so y is zero, whatever z is
        start = 48 + head * 6
        mamba.in_proj.weight[start : start + 6] = 0
        mamba.conv1d.weight[head * 6 : head * 6 + 6] = 0
        mamba.conv1d.bias[head * 6 : head * 6 + 6] = 0
    mlp.up_proj.weight[[0, 3, 7]] = 0
    before = model(tokens)
    permute(model, order_of(config, measure_importance(model, batches())))
    assert not mlp.up_proj.weight[-3:].any()
    assert mlp.up_proj.weight[:-3].any(dim=1).all()
    assert not mamba.in_proj.weight[48:96].view(2, 4, 6, -1)[:, -1].any(), "the last head of each group"
    nested = NestedLM(model)
    assert (nested.logits(sub_of(SubSizes(intermediate_size=17)), tokens) - before).abs().max() < 1e-9


def test_layers_are_removed_by_what_they_change(importance: Importance) -> None:
    model = strong_model()
    with torch.no_grad():
        model.layers[3].mixer.out_proj.weight.mul_(1e-6)
        model.layers[1].mixer.down_proj.weight.mul_(1e-3)
    ranked = measure_importance(model, batches())
    assert ranked.depth_order[-2:] == (1, 3)
    assert ranked.depth_scores[3] < 1e-9
    assert sorted(ranked.depth_order) == list(range(6))
    assert sorted(importance.depth_order) == list(range(6))


def test_llama_layers_can_be_ranked_too() -> None:
    ranked = measure_importance(strong_model(tiny_llama_config()), batches())
    assert sorted(ranked.depth_order) == [0, 1, 2, 3]


def test_two_batches_count_as_one_long_one(importance: Importance) -> None:
    once, twice = importance, measure_importance(strong_model(), batches() * 2)
    np.testing.assert_allclose(twice.hidden, 2 * once.hidden)
    np.testing.assert_allclose(twice.neurons[1], np.sqrt(2) * once.neurons[1])
    assert twice.depth_order == once.depth_order


def test_scores_survive_a_file_and_make_a_picture(importance: Importance, tmp_path: Path) -> None:
    write_importance(tmp_path, importance)
    back = read_importance(tmp_path)
    assert back.depth_order == importance.depth_order
    np.testing.assert_allclose(back.heads[0], importance.heads[0], rtol=1e-6)
    assert back.channels.keys() == importance.channels.keys()
    assert np.array_equal(
        order_of(cuttable_config(), back).hidden, order_of(cuttable_config(), importance).hidden
    )  # fmt: skip
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    assert plot_importance(tmp_path, back).stat().st_size > 10_000


def test_a_damaged_ranking_is_named(importance: Importance, tmp_path: Path) -> None:
    write_importance(tmp_path, importance)
    (tmp_path / "ranking.json").write_text(json.dumps({"depth_order": "x"}))
    with pytest.raises(FormatError, match="rank the model again"):
        read_importance(tmp_path)


def test_scores_of_another_model_are_refused(importance: Importance) -> None:
    with pytest.raises(InputError, match=r"hidden: expected 37 scores, got 16.*rank this one"):
        order_of(tiny_hybrid_config(), importance)
    cut = replace(importance, neurons={1: importance.neurons[1], 4: importance.neurons[4][:-1]})
    with pytest.raises(InputError, match="neurons of layer 4: expected 14 scores, got 13"):
        order_of(cuttable_config(), cut)


def test_no_text_no_ranking() -> None:
    with pytest.raises(InputError, match="at least one batch"):
        measure_importance(strong_model(), [])
