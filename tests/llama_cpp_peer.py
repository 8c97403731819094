"""llama.cpp as an outside oracle, in an environment of its own (tools/fetch_test_files.py makes it)."""

import subprocess
from pathlib import Path

import numpy as np

from mambino.lm import Float32Array, Int32Array


class LlamaCpp:
    """llama.cpp in its own environment."""

    def __init__(self, python: Path, script: Path, folder: Path) -> None:
        self.python, self.script, self.folder = python, script, folder

    def logits(self, model: Path, tokens: Int32Array) -> Float32Array:
        """Row t predicts token t + 1."""
        np.save(self.folder / "tokens.npy", tokens)
        command = [self.python, self.script, model, self.folder / "tokens.npy", self.folder / "logits.npy"]
        subprocess.run(command, check=True, capture_output=True)
        logits: Float32Array = np.load(self.folder / "logits.npy")
        return logits
