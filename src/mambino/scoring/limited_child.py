"""The process that verifiers run in: JSON requests line by line on standard input, replies on standard output.

Knows nothing of models or suites. Start at VERIFIERS and main; limited is the other end.
"""

import importlib.util
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from mambino.errors import InputError, MambinoError, Unsupported
from mambino.scoring.instructions import judge_instruction, known_instructions
from mambino.scoring.multi_turn import judge_turns
from mambino.scoring.scored import Scored
from mambino.scoring.simulated_apis import open_apis, perform
from mambino.scoring.structured import judge_structured

_GRACE_SECONDS = 2.0  # in which the parent should have ended this process


def main() -> None:
    """Serve until standard input ends. What verifiers print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes standard input
    logging.getLogger().addHandler(logging.NullHandler())  # langdetect's users log whole answers as errors
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _send(replies.write, {"ready": True})
    replies.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        with _ended_after(request["seconds"] + _GRACE_SECONDS):
            reply = _reply(str(request["verifier"]), request["arguments"])
        _send(replies.write, reply)
        replies.flush()


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """The system ends this process if the parent, which should have, is gone. Does nothing on Windows."""
    if sys.platform == "win32":
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM has no handler here: it ends the process
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _send(write: Callable[[bytes], object], reply: Mapping[str, object]) -> None:
    write(json.dumps(reply).encode() + b"\n")


def _reply(verifier: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
    try:
        return {"result": VERIFIERS[verifier](**arguments)}
    except Unsupported as error:
        return {"unsupported": str(error)}
    except MambinoError as error:
        return {"refused": str(error)}
    except Exception as error:  # others' code on a model's text: it may raise anything, and must not end a run
        return {"reason": f"the verifier raised {error!r}"}


def _structured(**arguments: object) -> object:
    return _json(judge_structured(**arguments))  # type: ignore[arg-type]


def _performed(services: Mapping[str, Any], done: Sequence[str], calls: Sequence[str]) -> object:
    """What calls return from services on which done was called before."""
    apis = open_apis(**services)
    for call in done:
        perform(call, apis)
    return [perform(call, apis) for call in calls]


def _turns(services: Mapping[str, Any], turns: Sequence[Sequence[list[str]]], expected: Sequence[list[str]]) -> object:
    return _json(judge_turns(turns, expected, lambda: open_apis(**services)))


def _file(path: str, row: Mapping[str, object], answer: str) -> object:
    """verify(row, answer) of a user's Python file: a number from 0 to 1, a bool, None, or a Scored."""
    given = _verify_in(path)(row, answer)
    if isinstance(given, Scored):
        return _json(given)
    if given is None:
        return {"value": None, "evidence": "verify returned None"}
    if not isinstance(given, bool | int | float) or not 0 <= given <= 1:
        raise InputError(f"[verifier] {path}: verify returned {given!r}; expected a number from 0 to 1, or None")
    return {"value": float(given), "evidence": ""}


def _verify_in(path: str) -> Callable[[Mapping[str, object], str], object]:
    return _verify_of(path, os.stat(path).st_mtime_ns)


@cache
def _verify_of(path: str, changed_ns: int) -> Callable[[Mapping[str, object], str], object]:
    spec = importlib.util.spec_from_file_location("verifier", path)
    if spec is None or spec.loader is None:
        raise InputError(f"[verifier] {path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    verify = module.__dict__.get("verify")
    if not callable(verify):
        raise InputError(f"[verifier] {path}: expected a function verify(row, answer)")
    return cast(Callable[[Mapping[str, object], str], object], verify)


def _json(scored: Scored) -> dict[str, object]:
    return {"value": scored.value, "evidence": scored.evidence}


VERIFIERS: Mapping[str, Callable[..., object]] = {
    "known_instructions": lambda: list(known_instructions()),
    "instruction": lambda **arguments: judge_instruction(**arguments).to_json(),
    "structured": _structured,
    "opened": lambda services: list(open_apis(**services)),
    "performed": _performed,
    "turns": _turns,
    "file": _file,
    "load": lambda path: callable(_verify_in(path)),
}
