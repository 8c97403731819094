"""lm-evaluation-harness measures a model in this process: log-probabilities, and answers to finish.

pip install lm_eval; python examples/evals/lm_eval_model.py MODEL TASK [FOLDER OF TASKS OF ONE'S OWN]
"""

import json
import sys
from typing import Any

import numpy as np
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from mambino import SamplingParams, generate, open_model, open_tokenizer


class MambinoLM(LM):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._model, self._tokenizer = open_model(name), open_tokenizer(name)

    def loglikelihood(self, requests: list[Instance], **options: Any) -> list[tuple[float, bool]]:
        return [self._score(*request.args) for request in requests]

    def loglikelihood_rolling(self, requests: list[Instance], **options: Any) -> list[float]:
        return [self._score("", request.args[0])[0] for request in requests]

    def generate_until(self, requests: list[Instance], **options: Any) -> list[str]:
        return [self._finish(*request.args) for request in requests]

    def _score(self, context: str, continuation: str) -> tuple[float, bool]:
        """Log-probability of continuation, and whether greedy decoding would have written it."""
        before, after = (self._tokenizer.encode(text, add_bos=False) for text in (context, continuation))
        start = max(1, len(before))
        ids = np.array([*before, *after], np.int32)
        logits = self._model.score(ids)[start - 1 : -1].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(logits)), ids[start:]] - np.log(np.exp(logits).sum(axis=1))
        return float(chosen.sum()), bool((logits.argmax(axis=1) == ids[start:]).all())

    def _finish(self, context: str, settings: dict[str, Any]) -> str:
        params = SamplingParams(
            temperature=0.0, max_tokens=settings.get("max_gen_toks", 64), stop=tuple(settings.get("until", ()))
        )
        ids = self._tokenizer.encode(context, add_bos=False)
        return "".join(event.text for event in generate(self._model, self._tokenizer, ids, params))


if __name__ == "__main__":
    name, task, *folder = sys.argv[1:]
    manager = TaskManager(include_path=folder[0] if folder else None)
    results = simple_evaluate(model=MambinoLM(name), tasks=[task], task_manager=manager, bootstrap_iters=0)
    print(json.dumps(results["results"], default=str))
