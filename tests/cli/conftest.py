"""The command line over a scripted model: no weights, no files but in a temporary home."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mambino.cli.adapters import Adapters
from mambino.cli.main import exit_code
from mambino.cli.opening import Opened
from mambino.cli.options import ModelOptions
from mambino.formats.checkpoint import Checkpoint
from mambino.planner import plan_memory
from tiny_chat import TEMPLATE, ReplyLM, tiny_tokenizer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("MAMBINO_HOME", str(folder))
    monkeypatch.setattr("mambino.hub.local._BUNDLED_FOLDER", tmp_path / "no-bundle")
    return folder


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReplyLM]:
    """script("hello", defaults={...}) makes every model that is opened answer so."""

    def install(*replies: str, defaults: dict[str, object] | None = None, context: int = 1000) -> ReplyLM:
        tokenizer = tiny_tokenizer(TEMPLATE)
        model = ReplyLM(tokenizer, replies)
        checkpoint = Checkpoint(
            path=Path("little.gguf"),
            kind="gguf",
            config=model.config,
            stored={},
            metadata={},
            generation_defaults=defaults or {},
            chat_template=TEMPLATE,
        )

        def opened(options: ModelOptions) -> Opened:
            return Opened(
                name=options.model,
                checkpoint=checkpoint,
                model=model,
                tokenizer=tokenizer,
                plan=plan_memory(model.config, weights_nbytes=0, context=options.context or context),
                adapters=Adapters(),
                how=("scripted",),
                load_s=0.0,
            )

        for verb in ("run", "chat", "persona"):
            monkeypatch.setattr(f"mambino.cli.{verb}.open_all", opened)
        return model

    return install


@pytest.fixture
def mambino(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """mambino("run", "hi", stdin="...") -> (exit code, standard output, standard error)."""

    class Piped:
        def __init__(self, content: bytes) -> None:
            import io

            self.buffer = io.BytesIO(content)

        def isatty(self) -> bool:
            return False

        def readline(self) -> str:
            return self.buffer.readline().decode()

    def run(*args: str, stdin: str | bytes = b"") -> tuple[int, str, str]:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", Piped(content))
        capsysbinary.readouterr()
        code = exit_code(args)
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return run
