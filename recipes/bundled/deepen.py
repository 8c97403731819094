"""A deeper model that begins as a shallower one: new layers add nothing to the stream until they have learnt something.

Start at deepen. Function-preserving growth as in Net2Net (arXiv:1511.05641), for residual layers.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import torch

from mambino.errors import InputError
from mambino.formats.checkpoint import Checkpoint
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights, weights_of

_LAYER = re.compile(r"layers\.(\d+)\.")
_LAST = ("mixer.out_proj.weight", "mixer.o_proj.weight", "mixer.down_proj.weight")  # what a layer adds comes from these


def deepen(model: HybridLM, shallow: Checkpoint, places: Sequence[int]) -> None:
    """Take shallow's weights: its layer k becomes layer places[k], and the layers between start with no effect.

    Mutates    model, whose logits are then shallow's; layers that are not in places keep all but their last projection
    Raises     InputError unless places name a layer of the same kind and sizes for every one of shallow's
    """
    layers = model.config.layers
    if len(places) != len(shallow.config.layers) or sorted(set(places)) != list(places):
        raise InputError(f"[deepen] {len(shallow.config.layers)} layers cannot go to the places {tuple(places)}")
    for own, place in zip(shallow.config.layers, places, strict=True):
        if place >= len(layers) or layers[place] != own:
            raise InputError(f"[deepen] layer {place} is not of the kind and sizes that come from the shallower model")
    for index in set(range(len(layers))) - set(places):
        for name, parameter in model.layers[index].named_parameters():
            if name in _LAST:
                torch.nn.init.zeros_(parameter)
    weights = weights_of(model)
    for name, tensor in shallow.tensors("hf").items():
        moved = _LAYER.sub(lambda found: f"layers.{places[int(found[1])]}.", name)
        weights[moved] = replace(tensor, name=moved)
    load_weights(model, weights)
