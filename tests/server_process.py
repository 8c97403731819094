"""`mambino serve` as a process of its own, with the bundled model. Start at running_server."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_S = 60


@dataclass(slots=True)
class ServerProcess:
    """address is http://127.0.0.1:PORT; log grows with what the server prints."""

    process: subprocess.Popen[str]
    address: str = ""
    log: list[str] = field(default_factory=list)

    def terminate(self) -> int:
        """Ask it to end, and wait. Its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def resident_nbytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


@contextmanager
def running_server(home: Path, *options: str) -> Iterator[ServerProcess]:
    """A server on a free port, ready to be asked; killed at the end if it still runs."""
    environment = {**os.environ, "MAMBINO_HOME": str(home), "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mambino.cli", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    server = ServerProcess(process)
    is_ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            server.log.append(line)
            if line.startswith("serving on "):
                server.address = line.split()[2]
                is_ready.set()
        is_ready.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        assert is_ready.wait(START_S), "the server did not start"
        assert server.address, "".join(server.log)
        yield server
    finally:
        process.kill()
        process.wait(10)
        thread.join(10)
