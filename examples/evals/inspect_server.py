"""inspect-ai measures a server: anything that speaks OpenAI's API, such as `mambino serve`.

pip install inspect-ai openai; mambino serve --port 8080 &
python examples/evals/inspect_server.py http://127.0.0.1:8080/v1 MODEL
"""

import sys
from tempfile import TemporaryDirectory

from inspect_ai import Task, eval  # noqa: A004  # its own name for it
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

QUESTIONS = {"What is the capital of France?": "Paris", "What colour is grass?": "green", "Say hello.": "ello"}


def main(address: str, name: str) -> None:
    task = Task(
        dataset=[Sample(input=question, target=answer) for question, answer in QUESTIONS.items()],
        solver=generate(),
        scorer=includes(),
    )
    model = get_model(f"openai-api/mambino/{name}", base_url=address, api_key="none")
    with TemporaryDirectory() as folder:
        (log,) = eval(task, model=model, log_dir=folder, display="none", temperature=0.0, max_tokens=40)
    print(log.status, log.results.scores[0].metrics["accuracy"].value if log.results else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
