"""The model that samples, made from the one that trains. Start at torch_policy and native_policy."""

from mambino.engine.native import Activations, NativeLM
from mambino.formats.names import rows
from mambino.formats.tensor import tensor_from_float32
from mambino.lm import LanguageModel
from mambino.model.hybrid import HybridLM
from mambino.model.torch_lm import TorchLM
from mambino.model.weights import weights_of
from mambino.posttrain.grpo import Policy
from mambino.posttrain.lora import adapter_of


def torch_policy(model: HybridLM) -> LanguageModel:
    """The trainer itself, adapters included: no copy, the same log-probabilities to rounding."""
    return TorchLM(model)


def native_policy(*, activations: Activations = "int8", threads: int | None = None) -> Policy:
    """The engine, made anew from the trainer's weights, an adapter merged in: a copy of them a step.

    int8 activations are fast and differ from the trainer by what quantising them costs (reported each step, and
    corrected for); float32 agrees to rounding.
    """

    def policy(model: HybridLM) -> LanguageModel:
        weights = weights_of(model)
        for own, one in adapter_of(model).factors.items():
            weights[own] = tensor_from_float32(own, weights[own].to_float32() + one.delta())
        tensors = {row.own: row.transform.to_gguf(weights[row.own]) for row in rows(model.config)}
        return NativeLM(model.config, tensors, activations=activations, threads=threads)

    return policy
