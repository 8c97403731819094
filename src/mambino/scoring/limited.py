"""Verifiers under a time limit: they run in a child process, which is killed when one takes too long.

A regular expression, a parser or a user's own verifier can take forever on a model's text, and nothing inside a process
stops it. The child is started once and kept. What it can run is in limited_child. Start at limited.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock, Timer

from mambino.errors import InputError, Unsupported

SECONDS = 10.0  # what one verdict may take
_START_SECONDS = 120.0  # until the child has imported what it needs, on a busy machine
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from mambino.scoring.limited_child import main; main()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a verifier returned, a JSON value; None if there is no verdict, and reason then says why."""

    result: object = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One of limited_child.VERIFIERS with JSON arguments."""

    verifier: str
    arguments: Mapping[str, object]

    def line(self, seconds: float) -> str:
        """ASCII: one line."""
        return json.dumps({"verifier": self.verifier, "arguments": self.arguments, "seconds": seconds})


def limited(
    verifier: str, arguments: Mapping[str, object], *, seconds: float = SECONDS, loading: Call | None = None
) -> Outcome:
    """Run one of limited_child.VERIFIERS with JSON arguments, for at most seconds of wall time.

    One call at a time: others wait. No verdict if the time is up, the verifier raises, or its process dies. loading is
    called first, once a process: what it imports is not the verdict's time.

    Raises     InputError for arguments that the verifier refuses; Unsupported if it lacks a library
    """
    with _lock:
        reply, is_late = _ask(Call(verifier=verifier, arguments=arguments).line(seconds), seconds, loading)
    if reply is None:
        reason = f"time: no verdict within {seconds:g} s" if is_late else "the verifier's process died"
        return Outcome(reason=reason)
    if "unsupported" in reply:
        raise Unsupported(str(reply["unsupported"]))
    if "refused" in reply:
        raise InputError(str(reply["refused"]))
    return Outcome(result=reply.get("result"), reason=str(reply.get("reason", "")))


class _Child:
    """The process; lost for good once it was too late with an answer."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, json.dumps(sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._loaded = set[int]()  # hashes of calls
        self.answer("", _START_SECONDS)  # it says when it is ready

    @property
    def is_alive(self) -> bool:
        """Not in a fork of this process, which must not write into its pipes."""
        return self._owner == os.getpid() and self._process.poll() is None

    def load(self, call: Call) -> None:
        """Once; what comes of it shows in the next answer. Mutates self."""
        line = call.line(_START_SECONDS)
        if hash(line) not in self._loaded:
            self._loaded.add(hash(line))
            self.answer(line, _START_SECONDS)

    def answer(self, request: str, seconds: float) -> tuple[Mapping[str, object] | None, bool]:
        """The reply, and whether the process was killed for being late."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer, line, is_late = Timer(seconds, self._process.kill), b"", False
        timer.daemon = True
        timer.start()
        try:
            if request:
                self._process.stdin.write(request.encode() + b"\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        finally:  # after Ctrl-C, too: a reply that nobody read would be taken for the next one's
            is_late = not timer.is_alive()
            timer.cancel()
            if not line.endswith(b"\n"):
                self.close()
        return (json.loads(line), False) if line.endswith(b"\n") else (None, is_late)

    def close(self) -> None:
        """Mutates self. Safe to call twice."""
        self._process.kill()
        self._process.communicate()


_lock = Lock()
_child: _Child | None = None


def _ask(request: str, seconds: float, loading: Call | None) -> tuple[Mapping[str, object] | None, bool]:
    global _child
    if _child is None or not _child.is_alive:
        if _child is None:
            atexit.register(_close)
        _child = _Child()
    if loading is not None and _child.is_alive:
        _child.load(loading)
    return _child.answer(request, seconds) if _child.is_alive else (None, False)


def _close() -> None:
    if _child is not None and _child.is_alive:
        _child.close()
