"""Whatever is sent to the server, no answer is a 5xx: see openapi_fuzz.py."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(find_spec("schemathesis") is None, reason="SKIPPED LOUDLY: pip install schemathesis")
def test_no_request_breaks_the_server() -> None:
    program = Path(__file__).with_name("openapi_fuzz.py")
    command = [sys.executable, "-m", "pytest", "-p", "schemathesis", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
