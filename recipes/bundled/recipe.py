"""The bundled model: what it is, and every number of the stages that make it.

A parent is pretrained, and mid-trained twice on what it finds hardest; its parts are ranked and sorted, it is distilled
at three sizes at once, and taught to be an assistant at all of them, in two ways whose mean is the model. Start at
PRETRAIN; pipeline.py runs the stages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.train.optim import Cosine, OptimSettings, Schedule, WarmupStableDecay
from recipes.bundled.assistant.rows import SHARES
from recipes.bundled.text import BOS, EOS, SPECIALS

MODEL_NAME = "mambino-tiny"
SEED = 23
CONFIG = HybridConfig(
    architecture="nemotron_h",
    layers=layers_from_pattern(
        "M-M*-M*-M*-M*-",
        mamba=MambaSpec(num_heads=8, head_dim=32, state_size=32, num_groups=2, conv_kernel=4),
        attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=64),
        mlp=MlpSpec(intermediate_size=768, activation="relu2"),
    ),
    hidden_size=256,
    vocab_size=3072,
    norm_eps=1e-5,
    tie_embeddings=True,
    max_context=1024,
    bos_token_id=SPECIALS.index(BOS),
    eos_token_ids=(SPECIALS.index(EOS), SPECIALS.index("</s>")),
)
# --start-from takes the 8 layers M-M*-M*- of earlier versions, too: where each of them goes.
EARLIER_LAYERS = (0, 1, 2, 3, 4, 8, 9, 10)
# Of the assistant's rows, by kind: more calls than rows.SHARES.
ASSISTANT = {**SHARES, "call": 0.22, "calls": 0.08, "no_tool": 0.07, "missing": 0.07, "game": 0.12, "chat": 0.08}
# What PRETRAIN adds: in the rows above, finding the tool and its arguments is rare; see drill_rows.
DRILLS = {
    **ASSISTANT, "calls": 0.16, "no_tool": 0.12, "missing": 0.10, "result": 0.08, "instruction": 0.14, "standing": 0.05,
    "structured": 0.08, "game": 0.02,
    "drill": 1.4, "home_drill": 0.5, "fact_drill": 0.4, "instruction_drill": 0.6,
}  # fmt: skip
# MIDTRAIN: what is then learnt least, whether any tool fits at all, two wishes at once, and which fact is asked for.
MIDDLE = {
    **DRILLS, "no_tool": 0.22, "status": 0.10, "desk": 0.06, "grounded": 0.14, "game": 0.10,
    "drill": 0.8, "choice_drill": 0.8, "home_drill": 0.6, "fact_drill": 0.6, "instruction_drill": 0.5,
}  # fmt: skip
# PRACTICE: as drills never think, the rows that decide while thinking; rules; and the games, in rows that hold them.
HARDEST = {
    **MIDDLE, "call": 0.46, "calls": 0.38, "no_tool": 0.50, "missing": 0.28, "home": 0.16, "result": 0.12, "game": 0.50,
    "instruction": 0.36, "standing": 0.14, "structured": 0.16, "grounded": 0.22, "persona": 0.12,
    "drill": 0.7, "choice_drill": 0.9, "instruction_drill": 0.6,
}  # fmt: skip
# SFT: everything, and the games, which need many states.
TAUGHT = {
    **ASSISTANT, "call": 0.24, "calls": 0.16, "no_tool": 0.18, "missing": 0.12, "game": 0.45,
    "drill": 0.2, "choice_drill": 0.4, "home_drill": 0.2, "fact_drill": 0.15, "instruction_drill": 0.3,
}  # fmt: skip
BUDGETS = {"75%": 0.75, "50%": 0.50}  # shares of the parent's parameters
ROWS, ROW_SIZE = 5, 640
LONG_ROWS, LONG_ROW_SIZE = 4, 840  # a fight's state, and the action after it, are up to 830 tokens
WARMUP = 50  # steps of the parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """assistant_rows are drawn afresh for every stage, by kind as row_shares say; shares: of the corpora in a batch.

    target_weight, where there is a teacher, is what the text itself counts beside it.
    """

    name: str
    schedule: Schedule
    optim: OptimSettings
    assistant_rows: int
    row_shares: Mapping[str, float]
    shares: Mapping[str, float]
    seed: int
    target_weight: float = 1.0
    rows: int = ROWS
    row_size: int = ROW_SIZE


PRETRAIN = Stage(
    name="1-pretrained",
    schedule=WarmupStableDecay(warmup_steps=WARMUP, stable_steps=2950, decay_steps=0),
    optim=OptimSettings(learning_rate=3e-3, weight_decay=0.05),
    assistant_rows=32_000,
    row_shares=DRILLS,
    shares={"stories": 0.04, "books": 0.02, "chats": 0.08, "requests": 0.03, "copies": 0.12, "assistant": 0.71},
    seed=SEED,
)
MIDTRAIN = Stage(
    name="2-midtrained",
    schedule=WarmupStableDecay(warmup_steps=20, stable_steps=2280, decay_steps=400),
    optim=OptimSettings(learning_rate=3e-3, weight_decay=0.05),
    assistant_rows=18_000,
    row_shares=MIDDLE,
    shares={"stories": 0.03, "books": 0.01, "chats": 0.07, "requests": 0.02, "copies": 0.07, "assistant": 0.80},
    seed=SEED + 6,
)
PRACTICE = Stage(
    name="2-practised",
    schedule=WarmupStableDecay(warmup_steps=50, stable_steps=2250, decay_steps=550),
    optim=OptimSettings(learning_rate=3e-3, weight_decay=0.05),
    assistant_rows=24_000,
    row_shares=HARDEST,
    rows=LONG_ROWS,
    row_size=LONG_ROW_SIZE,
    shares={"stories": 0.02, "books": 0.01, "chats": 0.06, "requests": 0.02, "copies": 0.12, "assistant": 0.77},
    seed=SEED + 10,
)
ELASTIC = Stage(
    name="4-elastic",
    schedule=Cosine(warmup_steps=20, decay_steps=180, floor=0.3),
    optim=OptimSettings(learning_rate=1.5e-3, weight_decay=0.05),
    assistant_rows=4_000,
    row_shares=ASSISTANT,
    shares={"stories": 0.06, "books": 0.02, "chats": 0.16, "requests": 0.04, "copies": 0.12, "assistant": 0.60},
    seed=SEED + 1,
    target_weight=0.3,
)
SFT = Stage(
    name="5-sft",
    schedule=Cosine(warmup_steps=20, decay_steps=580, floor=0.02),
    optim=OptimSettings(learning_rate=2e-3, weight_decay=0.0),
    assistant_rows=10_000,
    row_shares=TAUGHT,
    rows=LONG_ROWS,
    row_size=LONG_ROW_SIZE,
    shares={"stories": 0.02, "books": 0.0, "chats": 0.17, "requests": 0.02, "copies": 0.10, "assistant": 0.69},
    seed=SEED + 2,
)
# Another SFT of the elastic model: the practised parent still teaches, at half the rate.
GUIDED = Stage(
    name="5-guided",
    schedule=Cosine(warmup_steps=20, decay_steps=680, floor=0.02),
    optim=OptimSettings(learning_rate=1e-3, weight_decay=0.0),
    assistant_rows=12_000,
    row_shares={**HARDEST, "game": 1.0},
    rows=LONG_ROWS,
    row_size=LONG_ROW_SIZE,
    shares={"stories": 0.02, "books": 0.0, "chats": 0.10, "requests": 0.02, "copies": 0.10, "assistant": 0.76},
    seed=SEED + 2,
    target_weight=0.5,
)
AVERAGED = "6-averaged"  # the mean of both, which is better than either
# Not part of the bundled file. A parent of fewer steps, all the way to its decay, for comparisons.py and twin.py.
YOUNG = replace(
    PRETRAIN,
    name="comparisons/parent",
    schedule=WarmupStableDecay(warmup_steps=WARMUP, stable_steps=700, decay_steps=250),
    assistant_rows=12_000,
)
# Not part of it either: the same model, made to bear rounding to 4 bits.
QAD = Stage(
    name="comparisons/qad",
    schedule=Cosine(warmup_steps=10, decay_steps=140, floor=0.02),
    optim=OptimSettings(learning_rate=1e-4, weight_decay=0.0, use_muon=False),
    assistant_rows=6_000,
    row_shares=ASSISTANT,
    rows=LONG_ROWS,
    row_size=LONG_ROW_SIZE,
    shares=SFT.shares,
    seed=SEED + 3,
)
QAD_MIX = "q4_0"
REINFORCED = "7-reinforced"  # GRPO, at full size; its stages are in recipes/posttrain.py
# After that, all sizes follow.
SETTLE = Stage(
    name="8-settled",
    schedule=Cosine(warmup_steps=5, decay_steps=95, floor=0.02),
    optim=OptimSettings(learning_rate=4e-4, weight_decay=0.0),
    assistant_rows=4_000,
    row_shares=ASSISTANT,
    rows=LONG_ROWS,
    row_size=LONG_ROW_SIZE,
    shares=SFT.shares,
    seed=SEED + 5,
    target_weight=0.0,
)
STAGES = (PRETRAIN, MIDTRAIN, PRACTICE, ELASTIC, SFT, GUIDED, SETTLE)  # in order; reinforcement comes before the last
