"""The model in the package is the one its record describes, and it can do what the README says of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.formats.checkpoint import open_checkpoint
from mambino.formats.hf_config import read_hf_config
from mambino.generation.generate import generate
from mambino.generation.params import SamplingParams
from mambino.hub.local import BUNDLED, resolve
from mambino.load import open_model, open_tokenizer

MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def path() -> Path:
    return resolve(BUNDLED)


def answer(path: Path, *said: str) -> str:
    """The greedy answer to the last of said, user and assistant in turn."""
    model, tokenizer = open_model(path), open_tokenizer(path)
    messages = [Message(role=("user", "assistant")[index % 2], content=text) for index, text in enumerate(said)]
    prompt = PromptEncoder(tokenizer)
    ids = prompt.encode(prompt.render(messages))
    most = 500  # a whole story: spaces are tokens of their own
    params = SamplingParams(temperature=0.0, max_tokens=most, stop_token_ids=tuple(tokenizer.eos_token_ids))
    events = generate(model, model.new_state(1024), ids, params, decoder=tokenizer.stream())
    return "".join(event.text for event in events)


def test_file_and_record_agree(path: Path) -> None:
    checkpoint = open_checkpoint(path)
    record = json.loads((path.parent / "run_record.json").read_text())
    assert sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file()) < MOST_BYTES
    assert checkpoint.config == read_hf_config(record["config"])
    assert record["num_tokens"] > 1_000_000
    last_steps = {point.get("stage"): point["step"] for point in record["trajectory"]}
    assert sum(last_steps.values()) == record["num_steps"]
    said = [Message(role="user", content="Hi")]
    rendered = PromptEncoder(open_tokenizer(path)).render(said)
    assert rendered.startswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_held_out_text_is_as_likely_as_the_record_says(path: Path) -> None:
    model, tokenizer = open_model(path), open_tokenizer(path)
    text = "<s>Once upon a time, there was a little fox named Pip. She was very kind. One day, Pip got lost."
    tokens = np.array(tokenizer.encode(text, parse_special=True), dtype=np.int32)
    logits = model.score(tokens).astype(np.float64)
    log_likelihood = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    assert -log_likelihood[np.arange(len(tokens) - 1), tokens[1:]].mean() < 2.0  # ln(4096) is 8.3


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (("Hello!",), "Hello|Hi"),
        (("What is your name?",), "mambino"),
        (("What is the opposite of hot?",), "cold"),
        (("What do cows eat?",), "grass"),
        (("What is the capital of France?",), "know"),
        (("My name is Clara.", "Hello, Clara!", "What is my name?"), "Clara"),
        (("Tell me a story about a fox.",), "fox"),
    ],
)
def test_it_greets_answers_and_tells(path: Path, said: tuple[str, ...], wanted: str) -> None:
    reply = answer(path, *said)
    assert re.search(wanted, reply)
    assert reply.rstrip()[-1] in '.!?"'
