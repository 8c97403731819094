"""The fingerprint changes with whatever changes a state."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.fingerprint import fingerprint
from mambino.hub.local import BUNDLED, resolve


def bundled() -> Checkpoint:
    return open_checkpoint(resolve(BUNDLED))


def test_the_same_file_has_the_same_fingerprint_wherever_it_lies(tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(resolve(BUNDLED).read_bytes())
    assert fingerprint(open_checkpoint(copy), "native") == fingerprint(bundled(), "native")


def test_it_changes_with_the_weights_the_template_and_how_they_run() -> None:
    checkpoint = bundled()
    name, tensor = next(iter(checkpoint.stored.items()))
    values = np.array(tensor.data)
    values[0] ^= 1
    others = [
        fingerprint(checkpoint, "native", "q8"),
        fingerprint(checkpoint, "native"),
        fingerprint(replace(checkpoint, chat_template="x"), "native"),
        fingerprint(replace(checkpoint, stored={**checkpoint.stored, name: replace(tensor, data=values)}), "native"),
    ]
    assert len(set(others)) == 4
