"""A deeper model that starts as a shallower one has its logits, and learns with every layer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from recipes.bundled.deepen import deepen

from mambino.errors import InputError
from mambino.formats.checkpoint import Checkpoint, open_checkpoint, write_checkpoint_directory
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights
from tiny_models import tiny_hybrid_config, tiny_weights

pytestmark = pytest.mark.torch

SHALLOW = tiny_hybrid_config()
DEEP = replace(SHALLOW, layers=(*SHALLOW.layers, *SHALLOW.layers))  # every place of the first half, then new layers
PLACES = tuple(range(len(SHALLOW.layers)))


def shallow_checkpoint(folder: Path) -> Checkpoint:
    write_checkpoint_directory(folder / "shallow", SHALLOW, tiny_weights(SHALLOW).values())
    return open_checkpoint(folder / "shallow")


@pytest.mark.parametrize("first", [0, len(PLACES)])
def test_a_deepened_model_has_the_logits_of_the_shallow_one(tmp_path: Path, first: int) -> None:
    checkpoint, tokens = shallow_checkpoint(tmp_path), torch.arange(12)[None]
    shallow, deep = HybridLM(SHALLOW), HybridLM(DEEP, generator=torch.Generator().manual_seed(1))
    load_weights(shallow, checkpoint.tensors("hf"))
    deepen(deep, checkpoint, [first + place for place in PLACES])
    torch.testing.assert_close(deep(tokens), shallow(tokens), rtol=0, atol=1e-6)
    deep(tokens).square().mean().backward()
    ends = ("o_proj.weight", "t_proj.weight")
    lasts = [parameter for name, parameter in deep.named_parameters() if name.endswith(ends)]
    assert lasts
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in lasts)


@pytest.mark.parametrize("places", [PLACES[:-1], PLACES[::-1], (*PLACES[:-1], 99), tuple(1 + at for at in PLACES)])
def test_places_that_do_not_fit_are_refused(tmp_path: Path, places: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\[deepen\]"):
        deepen(HybridLM(DEEP), shallow_checkpoint(tmp_path), places)
