"""A process killed while it writes states leaves nothing that is read back wrong."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fake_lm import FakeLM
from mambino.generation.state_store import SUFFIX, read_place
from tiny_models import tiny_hybrid_config

pytestmark = pytest.mark.slow

FINGERPRINT = "f" * 32
ROUNDS = 12
WRITER = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from fake_lm import FakeLM
from mambino.generation.prefix_cache import Place
from mambino.generation.state_store import StateStore
from tiny_models import tiny_hybrid_config
model = FakeLM(tiny_hybrid_config())
store = StateStore(Path(sys.argv[1]), model, "f" * 32)
print("ready", flush=True)
for number in count(int(sys.argv[2])):
    state = model.new_state(60_000)
    ids = np.full(50_000, number % 101, np.int32)
    model.extend(state, ids)
    store.put(Place(text=f"{number} " * 3, ids=tuple(ids.tolist()), snapshot=state.snapshot()))
"""


def test_every_file_is_whole_or_absent(tmp_path: Path) -> None:
    seed = random.Random(0)
    tests = str(Path(__file__).resolve().parents[1])
    for number in range(ROUNDS):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import sys; sys.path.insert(0, {tests!r})\n{WRITER}",
                str(tmp_path),
                f"{number}000",
            ],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seed.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
    files = list(tmp_path.rglob(f"*{SUFFIX}"))
    assert len(files) > ROUNDS / 2
    model = FakeLM(tiny_hybrid_config())
    for path in files:
        assert read_place(path, model, FINGERPRINT).snapshot.position == 50_000
