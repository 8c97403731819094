"""The comparison gives every arm the same budget and the same tokens, and reports all of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from recipes.elastic_baselines import Settings, compare

from compress_models import BLOCKY
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import Documents

pytestmark = [pytest.mark.torch, pytest.mark.slow]

SETTINGS = Settings(share=0.6, steps=2, rows=2, row_size=16, held_out_batches=3)


def test_four_arms_at_one_budget_and_equal_tokens(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    documents = Documents.of([rng.integers(61, size=16).tolist() for _ in range(30)])
    parent = HybridLM(BLOCKY, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in parent.state_dict().items()}
    arms = compare(parent, documents, documents, SETTINGS, tmp_path)
    assert [arm.name for arm in arms] == ["elastic", "random permutation", "depth only", "scratch"]
    assert len({arm.num_tokens for arm in arms}) == 1
    assert all(arm.num_parameters <= 0.6 * BLOCKY.num_parameters for arm in arms)
    assert arms[0].num_parameters == arms[1].num_parameters == arms[3].num_parameters
    assert all(arm.low < arm.loss < arm.high for arm in arms)  # an interval, so over different batches
    assert arms[0].behind == arms[0].behind_high == 0.0
    assert all(arm.behind == pytest.approx(arm.loss - arms[0].loss) for arm in arms)
    assert all(torch.equal(value, before[name]) for name, value in parent.state_dict().items())
    with pytest.raises(InputError, match=r"cheapest combination|even one layer"):
        compare(parent, documents, documents, replace(SETTINGS, share=0.05), tmp_path)
