"""The model that samples, made from the one that trains. Start at torch_policy and native_policy."""

from mambino.engine.native import Activations, NativeLM
from mambino.formats.names import rows
from mambino.lm import LanguageModel
from mambino.model.hybrid import HybridLM
from mambino.model.torch_lm import TorchLM
from mambino.model.weights import weights_of
from mambino.posttrain.grpo import Policy


def torch_policy(model: HybridLM) -> LanguageModel:
    """The trainer itself, adapters included: no copy, the same log-probabilities to rounding."""
    return TorchLM(model)


def native_policy(*, activations: Activations = "int8", threads: int | None = None) -> Policy:
    """The engine, made anew from the trainer's weights: a copy of them a step. The model must have no adapter.

    int8 activations are fast and differ from the trainer by what quantising them costs (reported each step, and
    corrected for); float32 agrees to rounding.
    """

    def policy(model: HybridLM) -> LanguageModel:
        weights = weights_of(model)
        tensors = {row.own: row.transform.to_gguf(weights[row.own]) for row in rows(model.config)}
        return NativeLM(model.config, tensors, activations=activations, threads=threads)

    return policy
