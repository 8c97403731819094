"""Verifiers in a child process: late, dead, raising and printing ones; those of a user's file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mambino.errors import InputError
from mambino.scoring import limited as module
from mambino.scoring.limited import Call, Outcome, limited


def verifier(folder: Path, body: str) -> str:
    path = folder / "verifier.py"
    path.write_text(f"import os, time\n\ndef verify(row, answer):\n    {body}\n")
    return str(path)


def ask(path: str, answer: str = "4", *, seconds: float = 10.0) -> Outcome:
    return limited("file", {"path": path, "row": {"answer": 4}, "answer": answer}, seconds=seconds)


def test_a_user_s_verifier_sees_its_row_and_the_answer(tmp_path: Path) -> None:
    path = verifier(tmp_path, "return answer.strip() == str(row['answer'])")
    assert ask(path).result == {"value": 1.0, "evidence": ""}
    assert ask(path, "5").result == {"value": 0.0, "evidence": ""}


def test_a_scored_and_none_pass_as_they_are(tmp_path: Path) -> None:
    body = "from mambino.scoring.scored import Scored; return Scored(value=0.5, evidence='half') if answer else None"
    path = verifier(tmp_path, body)
    assert ask(path).result == {"value": 0.5, "evidence": "half"}
    assert ask(path, "").result == {"value": None, "evidence": "verify returned None"}


def test_loading_is_not_the_verdict_s_time_and_done_once_a_process(tmp_path: Path) -> None:
    path, log = verifier(tmp_path, "return True"), tmp_path / "log"
    text = (tmp_path / "verifier.py").read_text()
    (tmp_path / "verifier.py").write_text(f"import time; time.sleep(0.6); open({str(log)!r}, 'a').write('x')\n{text}")
    request = {"path": path, "row": {}, "answer": ""}
    loading = Call(verifier="load", arguments={"path": path})
    for _ in range(2):
        assert limited("file", request, seconds=0.4, loading=loading).result == {"value": 1.0, "evidence": ""}
    assert log.read_text() == "x"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise KeyError('x')", "raised KeyError('x')"),
        ("os._exit(3)", "process died"),
        ("time.sleep(60)", "time: no verdict within 0.3 s"),
    ],
)
def test_no_verdict_names_the_reason_and_the_next_call_works(tmp_path: Path, body: str, reason: str) -> None:
    assert reason in ask(verifier(tmp_path, body), seconds=0.3).reason
    (tmp_path / "b").mkdir()
    assert ask(verifier(tmp_path / "b", "return 1")).result == {"value": 1.0, "evidence": ""}


def test_what_a_verifier_prints_does_not_mix_with_replies(tmp_path: Path) -> None:
    path = verifier(tmp_path, "print('hello'); os.system('echo hello'); os.write(1, b'hello'); return True")
    assert ask(path).result == {"value": 1.0, "evidence": ""}


@pytest.mark.parametrize(("body", "fault"), [("return 2", "from 0 to 1"), ("return 'yes'", "from 0 to 1")])
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, body: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        ask(verifier(tmp_path, body))


def test_a_file_without_verify_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.py"
    path.write_text("x = 1\n")
    with pytest.raises(InputError, match=r"expected a function verify\(row, answer\)"):
        ask(str(path))


def test_ctrl_c_is_the_parent_s_alone(tmp_path: Path) -> None:
    path = verifier(tmp_path, "return 1")
    ask(path)
    assert module._child is not None
    os.kill(module._child._process.pid, signal.SIGINT)
    before = module._child
    assert ask(path).result == {"value": 1.0, "evidence": ""}
    assert module._child is before


def test_a_process_whose_parent_is_gone_ends_itself(tmp_path: Path) -> None:
    path = verifier(tmp_path, "time.sleep(60)")
    request = {"verifier": "file", "arguments": {"path": path, "row": {}, "answer": ""}, "seconds": 0.1}
    code = "from mambino.scoring import limited_child as child; child._GRACE_SECONDS = 0.1; child.main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=30,
        env=environment,
    )  # fmt: skip
    assert done.returncode == -signal.SIGALRM


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")
def test_a_fork_has_a_process_of_its_own(tmp_path: Path) -> None:
    path = verifier(tmp_path, "return 1")
    code = (
        "import os, sys; from mambino.scoring.limited import limited; "
        "ask = lambda: limited('file', {'path': sys.argv[1], 'row': {}, 'answer': str(os.getpid())}).result; "
        "first = ask(); pid = os.fork(); again = ask(); "
        "pid and os.waitpid(pid, 0); print(first == again == ask() == {'value': 1.0, 'evidence': ''})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.stdout.split() == ["True", "True"], done.stderr[-2000:]


def test_a_call_that_was_interrupted_leaves_no_reply_for_the_next(tmp_path: Path) -> None:
    path = verifier(tmp_path, "time.sleep(0.5); return float(answer)")
    ask(path, "0")

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(path, "1")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert ask(path, "0").result == {"value": 0.0, "evidence": ""}
