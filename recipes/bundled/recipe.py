"""The bundled model: what it is and how it is trained. All numbers of the run are here.

Start at main (python -m recipes.bundled --help); export.py turns the result into the GGUF in src/mambino/bundled.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.model.hybrid import HybridLM
from mambino.train.data import Documents, MixedBatches
from mambino.train.loop import LoopSettings, language_loss, train
from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay
from recipes.bundled.text import BOS, EOS, SPECIALS, make_corpora, train_tokenizer

VOCAB_SIZE = 2048
CONFIG = HybridConfig(
    architecture="nemotron_h",
    layers=layers_from_pattern(
        "M-M*-",
        mamba=MambaSpec(num_heads=4, head_dim=64, state_size=32, num_groups=2, conv_kernel=4),
        attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=64),
        mlp=MlpSpec(intermediate_size=512, activation="relu2"),
    ),
    hidden_size=256,
    vocab_size=VOCAB_SIZE,
    norm_eps=1e-5,
    tie_embeddings=False,
    max_context=1024,
    bos_token_id=SPECIALS.index(BOS),
    eos_token_ids=(SPECIALS.index(EOS), SPECIALS.index("</s>")),
)
OPTIM = OptimSettings(learning_rate=3e-3, weight_decay=0.05)
ROWS, ROW_SIZE = 4, 512
# Two cycles: the second starts from the end of the first, warm again, and decays once more.
CYCLES = (
    WarmupStableDecay(warmup_steps=60, stable_steps=1420, decay_steps=800),
    WarmupStableDecay(warmup_steps=60, stable_steps=2220, decay_steps=430),
)
EARLY_STEPS = 639  # grammar first, from stories; then mostly talk
EARLY_SHARES = {"stories": 0.40, "chats": 0.36, "requests": 0.14, "books": 0.10}
STABLE_SHARES = {"stories": 0.23, "chats": 0.53, "requests": 0.20, "books": 0.04}
DECAY_SHARES = {"stories": 0.12, "chats": 0.64, "requests": 0.22, "books": 0.02}
Z_WEIGHT = 0.0
SEED = 20
HELD_OUT_SCALE = 0.005
RECIPE_SETTINGS: dict[str, object] = {
    "cycles": [asdict(cycle) for cycle in CYCLES],
    "rows": ROWS, "row_size": ROW_SIZE, "seed": SEED, "z_weight": Z_WEIGHT,
    "early_steps": EARLY_STEPS, "early_shares": EARLY_SHARES,
    "stable_shares": STABLE_SHARES, "decay_shares": DECAY_SHARES,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The tokenizer (text of tokenizer.json) and the corpora as ids: training, and held out from other seeds."""

    tokenizer_json: str
    training: dict[str, Documents]
    held_out: dict[str, Documents]


def prepare(folder: Path, corpora_folder: Path, scale: float) -> Prepared:
    """Make (or read back) the corpora under folder. Deterministic in scale and the files of corpora_folder."""
    path = folder / "tokenizer.json"
    names = tuple(STABLE_SHARES)
    if not path.exists():
        texts = make_corpora(scale, corpora_folder, seed=SEED)
        held_out = make_corpora(HELD_OUT_SCALE, Path("/nonexistent"), seed=SEED + 1)
        if not texts["books"]:
            texts["books"] = texts["stories"][:64]
        held_out["books"], texts["books"] = texts["books"][::50], [t for i, t in enumerate(texts["books"]) if i % 50]
        sample = [text for name in names for text in texts[name][:8000]]
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer_json = train_tokenizer(sample, VOCAB_SIZE)
        encoder = tokenizers.Tokenizer.from_str(tokenizer_json)
        for name in names:
            _store(folder / f"{name}.npz", encoder, texts[name])
            _store(folder / f"{name}.held_out.npz", encoder, held_out[name])
        path.write_text(tokenizer_json, encoding="utf-8")
    return Prepared(
        tokenizer_json=path.read_text(encoding="utf-8"),
        training={name: _restore(folder / f"{name}.npz") for name in names},
        held_out={name: _restore(folder / f"{name}.held_out.npz") for name in names},
    )


def _store(path: Path, encoder: tokenizers.Tokenizer, texts: list[str]) -> None:
    documents = Documents.of([encoding.ids for encoding in encoder.encode_batch(texts, add_special_tokens=False)])
    assistant = encoder.encode("assistant", add_special_tokens=False).ids
    documents = replace(documents, counted=written_by_model(documents.tokens, assistant))
    np.savez(path, tokens=documents.tokens, bounds=documents.bounds, counted=documents.counted)


def written_by_model(tokens: NDArray[np.int32], assistant: list[int]) -> NDArray[np.bool_]:
    """True in raw text, and in what an assistant's turn holds: its text and the end of the turn.

    Shapes     tokens (T,) in the layout of text.raw_text and text.chat_text -> (T,)
    """
    index = np.arange(len(tokens))
    is_raw, is_turn = tokens == SPECIALS.index(BOS), tokens == SPECIALS.index("<|im_start|>")
    opener = np.maximum.accumulate(np.where(is_raw | is_turn, index, 0))
    last_end = np.maximum.accumulate(np.where(tokens == SPECIALS.index(EOS), index, -1))
    is_open = np.concatenate([[-1], last_end[:-1]]) < opener
    role = tokens[np.minimum(opener[:, None] + 1 + np.arange(len(assistant)), len(tokens) - 1)]
    by_assistant = (role == assistant).all(axis=1) & is_open & (index > opener + 1 + len(assistant))
    counted: NDArray[np.bool_] = is_raw[opener] | by_assistant
    return counted


def _restore(path: Path) -> Documents:
    with np.load(path) as arrays:
        return Documents(tokens=arrays["tokens"], bounds=arrays["bounds"], counted=arrays["counted"])


def shares_at(schedule: WarmupStableDecay, step: int) -> dict[str, float]:
    """The mixture: early, then stable, then moving to the decay mixture within the first quarter of the decay."""
    if step < EARLY_STEPS:
        return EARLY_SHARES
    toward = min(1.0, 4.0 * schedule.decay_progress(step))
    return {name: (1 - toward) * STABLE_SHARES[name] + toward * DECAY_SHARES[name] for name in STABLE_SHARES}


def run(folder: Path, prepared: Prepared) -> None:
    """Train (or continue) in folder to the end of the last cycle."""
    for schedule in CYCLES:
        _run_cycle(folder, prepared, schedule)


def _run_cycle(folder: Path, prepared: Prepared, schedule: WarmupStableDecay) -> None:
    torch.set_flush_denormal(True)  # decayed states are full of denormals, which are slow
    model = HybridLM(CONFIG, generator=torch.Generator().manual_seed(SEED))
    batches = MixedBatches(
        prepared.training, lambda step: shares_at(schedule, step), rows=ROWS, row_size=ROW_SIZE, seed=SEED
    )
    optimizer = Optimizer.for_model(model, OPTIM)
    settings = LoopSettings(keep_every_steps=500)
    train(model, optimizer, schedule, batches, language_loss(Z_WEIGHT), folder=folder, settings=settings)
