"""From a training checkpoint to the files in src/mambino/bundled: a Q8_0 GGUF and the record of how it was made.

Start at export. On the way there is a Hugging Face directory, as for every model.
"""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mambino.export.gguf import export_gguf, matrices_as
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.hf_config import write_hf_config
from mambino.model.hybrid import HybridLM
from mambino.model.weights import weights_of
from mambino.train import checkpoint
from mambino.train.data import Documents, fill, pack
from mambino.train.metrics import held_out_loss
from mambino.train.record import RunRecord, source_commit
from recipes.bundled.recipe import CONFIG, OPTIM, RECIPE_SETTINGS, ROW_SIZE, Prepared
from recipes.bundled.text import BOS, CHAT_TEMPLATE, EOS

MODEL_NAME = "mambino-tiny"
NOTES = "Stopped and resumed several times. Until step 1091 the user's words were targets, too."
SAMPLING = {"temperature": 0.6, "top_p": 0.9}


def export(run_folder: Path, prepared: Prepared, out_folder: Path) -> Path:
    """Write MODEL_NAME-q8_0.gguf and run_record.json into out_folder, from run_folder/latest.pt.

    Mutates    out_folder
    """
    model = HybridLM(CONFIG)
    progress = checkpoint.load_weights(run_folder / "latest.pt", model)
    out_folder.mkdir(parents=True, exist_ok=True)
    path = out_folder / f"{MODEL_NAME}-q8_0.gguf"
    with TemporaryDirectory() as scratch:
        directory = _write_directory(Path(scratch), model, prepared.tokenizer_json)
        export_gguf(
            open_checkpoint(directory),
            path,
            type_of=matrices_as("q8_0"),
            name=MODEL_NAME,
            tokenizer_directory=directory,
        )
    losses = {name: held_out_loss_of(model, documents) for name, documents in prepared.held_out.items()}
    record = RunRecord(
        name=MODEL_NAME,
        commit=source_commit(Path(__file__).parent),
        config=write_hf_config(CONFIG),
        settings={**RECIPE_SETTINGS, "optim": asdict(OPTIM), "notes": NOTES},
        data_sha256={name: documents.sha256 for name, documents in prepared.training.items()},
        num_steps=progress.step,
        num_tokens=progress.num_tokens,
        held_out_loss={name: round(loss, 4) for name, loss in losses.items()},
        trajectory=_trajectory(run_folder / "log.jsonl"),
    )
    record.write(out_folder / "run_record.json")
    return path


def _write_directory(scratch: Path, model: HybridLM, tokenizer_json: str) -> Path:
    tokenizer = scratch / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    (tokenizer / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    settings = {"bos_token": BOS, "eos_token": EOS, "add_bos_token": False}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    directory = scratch / MODEL_NAME
    write_checkpoint_directory(
        directory, CONFIG, weights_of(model).values(), generation_defaults=SAMPLING, tokenizer_from=tokenizer
    )
    return directory


@torch.no_grad()
def held_out_loss_of(model: HybridLM, documents: Documents) -> float:
    """Nats a token over all of documents."""
    packed = pack([len(documents[index]) for index in range(len(documents))], ROW_SIZE)
    return held_out_loss(model, [fill([[documents[index] for index in row]], ROW_SIZE) for row in packed])


def _trajectory(log: Path) -> list[dict[str, float]]:
    """Forty points of the log, the last one included."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    kept = lines[-1 :: -max(1, len(lines) // 40)][::-1]
    return [
        {key: round(line[key], 4) for key in ("step", "num_tokens", "loss", "learning_rate_scale")} for line in kept
    ]
