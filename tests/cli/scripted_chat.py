"""`mambino chat` over a scripted, unhurried model, as a program of its own: for tests that need a real terminal."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mambino.cli import chat
from mambino.cli.adapters import Adapters
from mambino.cli.main import main
from mambino.cli.opening import Opened
from mambino.cli.options import ModelOptions
from mambino.formats.checkpoint import Checkpoint
from mambino.lm import Float32Array, Int32Array, SequenceState
from mambino.planner import plan_memory
from tiny_chat import TEMPLATE, ReplyLM, tiny_tokenizer

STEP_S = 0.01


class Unhurried(ReplyLM):
    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        time.sleep(STEP_S)
        return super().extend(state, tokens)


def opened(options: ModelOptions) -> Opened:
    tokenizer = tiny_tokenizer()
    model = Unhurried(tokenizer, ["one and two " * 10 + "</think>\nhello " + "the end " * 300])
    checkpoint = Checkpoint(
        path=Path("scripted"),
        kind="gguf",
        config=model.config,
        stored={},
        metadata={},
        generation_defaults={},
        chat_template=TEMPLATE,
    )
    return Opened(
        name="scripted",
        checkpoint=checkpoint,
        model=model,
        tokenizer=tokenizer,
        plan=plan_memory(model.config, weights_nbytes=0, context=4000),
        adapters=Adapters(),
        how=("scripted",),
        load_s=0.0,
    )


chat.open_all = opened
main(["chat", "--think", *sys.argv[1:]])
