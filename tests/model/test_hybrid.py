"""HybridLM as the thing that trains: names, initialisation, packing, gradients, precision."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from mambino.config import HybridConfig, MambaSpec
from mambino.errors import InputError
from mambino.formats.names import rows
from mambino.model.hybrid import HybridLM
from mambino.model.state import HybridState
from mambino.model.weights import load_weights
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights

pytestmark = pytest.mark.torch

FLOAT64_TOLERANCE = 1e-11  # some 10^4 float64 operations on values of order ten
CONFIGS = {"hybrid": tiny_hybrid_config(), "llama": tiny_llama_config()}


@pytest.fixture(params=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> HybridConfig:
    return CONFIGS[request.param]


def strong(config: HybridConfig) -> HybridLM:
    """float64, with weights that show."""
    model = HybridLM(config, dtype=torch.float64)
    load_weights(model, tiny_weights(config))
    return model


def seeded(config: HybridConfig, seed: int = 0) -> HybridLM:
    return HybridLM(config, generator=torch.Generator().manual_seed(seed))


def some_tokens(config: HybridConfig, count: int, rows: int = 2) -> torch.Tensor:
    return torch.randint(config.vocab_size, (rows, count), generator=torch.Generator().manual_seed(0))


def test_state_dict_has_the_names_and_shapes_of_the_table(config: HybridConfig) -> None:
    state_dict = HybridLM(config).state_dict()
    assert {name: tuple(value.shape) for name, value in state_dict.items()} == {
        row.own: row.shape for row in rows(config)
    }


def test_parameters_are_as_many_as_the_config_says(config: HybridConfig) -> None:
    assert sum(parameter.numel() for parameter in HybridLM(config).parameters()) == config.num_parameters


def test_initialisation_repeats_with_its_seed_and_only_then(config: HybridConfig) -> None:
    first, again, other = (seeded(config, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embeddings.weight"], other["embeddings.weight"])


def test_initialisation_follows_the_published_scheme() -> None:
    config = tiny_hybrid_config()
    weights = seeded(config).state_dict()
    depth = math.sqrt(len(config.layers))
    for name, std in (("in_proj", 0.02), ("out_proj", 0.02 / depth)):
        assert float(weights[f"layers.0.mixer.{name}.weight"].std()) == pytest.approx(std, rel=0.1)
    assert float(weights["layers.1.mixer.down_proj.weight"].std()) == pytest.approx(0.02 / depth, rel=0.1)
    assert float(weights["layers.2.mixer.o_proj.weight"].std()) == pytest.approx(0.02 / depth, rel=0.1)
    for index, layer in enumerate(config.layers):
        if isinstance(layer, MambaSpec):
            mixer = {name: weights[f"layers.{index}.mixer.{name}"] for name in ("A_log", "D", "dt_bias")}
            assert torch.allclose(mixer["A_log"].exp(), torch.arange(1.0, layer.num_heads + 1))
            assert torch.equal(mixer["D"], torch.ones(layer.num_heads))
            dt = functional.softplus(mixer["dt_bias"])
            assert ((dt > 0.00099) & (dt < 0.101)).all()


@pytest.mark.parametrize("starts", [[0], [1, 2], [63, 64, 65, 100], [7, 40]])
def test_packed_documents_equal_separate_ones(config: HybridConfig, starts: list[int]) -> None:
    model, tokens = strong(config), some_tokens(config, 130)
    resets = torch.zeros(2, 130, dtype=torch.bool)
    resets[1, starts] = True
    with torch.no_grad():
        packed = model(tokens, resets=resets)
        edges = sorted({0, *starts, 130})
        alone = [model(tokens[1:, begin:end]) for begin, end in itertools.pairwise(edges)]
        unmarked = model(tokens[:1])
    assert (packed[1:] - torch.cat(alone, dim=1)).abs().max() < FLOAT64_TOLERANCE
    assert (packed[:1] - unmarked).abs().max() < FLOAT64_TOLERANCE


def test_gradients_of_packed_documents_equal_those_of_separate_ones(config: HybridConfig) -> None:
    tokens = some_tokens(config, 90, rows=1)
    resets = torch.zeros(1, 90, dtype=torch.bool)
    resets[0, [30, 31]] = True

    def gradients(pieces: list[torch.Tensor], resets: torch.Tensor | None) -> list[torch.Tensor]:
        model = strong(config)
        loss = torch.stack([model(piece, resets=resets).logsumexp(-1).sum() for piece in pieces]).sum()
        return list(torch.autograd.grad(loss, list(model.parameters())))

    packed = gradients([tokens], resets)
    separate = gradients([tokens[:, :30], tokens[:, 30:31], tokens[:, 31:]], None)
    for ours, theirs in zip(packed, separate, strict=True):
        assert (ours - theirs).abs().max() < FLOAT64_TOLERANCE * max(1.0, float(theirs.abs().max()))


def test_whole_model_gradients_equal_finite_differences(config: HybridConfig) -> None:
    """Along one random direction through all weights at once."""
    model, tokens = strong(config), some_tokens(config, 20, rows=1)
    parameters = list(model.parameters())
    generator = torch.Generator().manual_seed(5)
    directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]

    def loss() -> torch.Tensor:
        return functional.cross_entropy(model(tokens[:, :-1])[0], tokens[0, 1:])

    gradients = torch.autograd.grad(loss(), parameters)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    step, losses = 1e-6, []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=sign * step)
            losses.append(float(loss()))
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_a_few_steps_teach_it_a_text_by_heart(config: HybridConfig) -> None:
    model, tokens = seeded(config), some_tokens(config, 20)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    losses = []
    for _ in range(20):
        loss = functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(math.log(config.vocab_size), rel=0.1)
    assert losses[-1] < 0.5 * losses[0]


def test_delicate_weights_stay_float32_in_a_half_precision_model() -> None:
    model = HybridLM(tiny_hybrid_config(), dtype=torch.bfloat16)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == (torch.bfloat16 if parameter.ndim == 2 else torch.float32), name


def test_autocast_leaves_the_recurrence_in_float32() -> None:
    config = tiny_hybrid_config()
    model = strong(config).float()
    tokens = some_tokens(config, 100)
    with torch.no_grad():
        exact = model(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = model(tokens).float()
    correlation = float(torch.corrcoef(torch.stack([exact.flatten(), rounded.flatten()]))[0, 1])
    assert correlation > 0.999


def test_resets_with_states_are_refused() -> None:
    config = tiny_hybrid_config()
    model, tokens = seeded(config), some_tokens(config, 4, rows=1)
    state = HybridState(config, 8, device=torch.device("cpu"), dtype=torch.float32)
    with pytest.raises(InputError, match="exclude each other"):
        model(tokens, resets=torch.zeros(1, 4, dtype=torch.bool), states=[state])
