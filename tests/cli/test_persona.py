"""Personas from the command line: made, listed, packed, and talked with."""

from pathlib import Path
from typing import Any

import pytest

from cli.tiny_file import write_tiny_directory
from mambino.chat.persona_pack import open_pack
from mambino.errors import FormatError
from mambino.formats.checkpoint import open_checkpoint
from mambino.formats.gguf_adapter import write_gguf_adapter
from tiny_chat import ReplyLM
from tiny_models import tiny_adapter


def test_a_new_persona_is_listed_shown_and_not_overwritten(mambino: Any, home: Path) -> None:
    assert mambino("persona", "new", "gardener")[0] == 0
    assert (home / "personas/gardener.toml").is_file()
    assert "gardener" in mambino("persona", "list")[1]
    assert 'name = "Gardener"' in mambino("persona", "show", "gardener")[1]
    code, _, err = mambino("persona", "new", "gardener")
    assert code == 1
    assert "exists" in err
    assert mambino("persona", "new", "../up")[0] == 1
    assert "innkeeper" in mambino("persona", "show", "nobody")[2]


def test_a_persona_greets_and_its_text_is_the_system_message(mambino: Any, script: Any) -> None:
    model = script("hello")
    code, out, _ = mambino("chat", "--persona", "innkeeper", stdin="hi\n")
    assert code == 0
    assert "Come in, come in" in out
    assert "hello" in out
    assert mambino("chat", "--persona", "innkeeper", "--system", "S", stdin="hi\n")[0] == 2
    assert model.calls


def packed(mambino: Any, tmp_path: Path) -> Path:
    path = tmp_path / "m.persona"
    assert mambino("persona", "pack", "innkeeper", "-o", str(path))[0] == 0
    return path


def test_a_pack_answers_from_its_state(mambino: Any, script: Any, tmp_path: Path) -> None:
    model: ReplyLM = script("hello")
    path = packed(mambino, tmp_path)
    whole = sum(model.calls)
    model.calls.clear()
    code, out, err = mambino("chat", "--persona", str(path), stdin="hi\n")
    assert (code, "hello" in out) == (0, True)
    assert sum(model.calls) < whole / 2
    assert "read again" not in err


def test_a_pack_of_another_model_still_talks_and_a_damaged_one_is_refused(
    mambino: Any, script: Any, tmp_path: Path
) -> None:
    model: ReplyLM = script("hello")
    path = packed(mambino, tmp_path)
    other = open_pack(path, model, "another")
    assert other.place is None
    assert "another model" in other.note
    assert other.persona.name == "Marta"
    whole = path.read_bytes()
    damaged = tmp_path / "d.persona"
    for content in (b"", b"PK", whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        with pytest.raises(FormatError):
            open_pack(damaged, model, "another")
    path.write_bytes(whole.replace(b"MAMBSTA1", b"MAMBSTA2"))
    with pytest.raises(FormatError, match="damaged"):
        open_pack(path, model, "another")


@pytest.mark.native
def test_a_persona_speaks_with_its_own_adapter_and_takes_it_into_its_pack(
    mambino: Any, home: Path, tmp_path: Path
) -> None:
    model = write_tiny_directory(tmp_path / "model")
    config = open_checkpoint(model).config
    (home / "personas").mkdir(parents=True)
    write_gguf_adapter(home / "personas/mine.gguf", tiny_adapter(config), config)
    for name, line in (("plain", ""), ("adapted", 'adapter = "mine.gguf"'), ("named", 'adapter = "other"')):
        (home / f"personas/{name}.toml").write_text(
            f'name = "A"\n{line}\n[sampling]\ntemperature = 0.0\nmax_tokens = 8'
        )

    def said(persona: str, *more: str) -> str:
        code, out, err = mambino(
            "chat", "-m", str(model), "--persona", persona, "--context", "256", *more, stdin="hi\n"
        )
        assert code == 0, err
        return str(out)

    plain, adapted = said("plain"), said("adapted")
    assert plain != adapted
    named = f"other={home / 'personas/mine.gguf'}"
    assert said("named", "--adapter", named) == adapted
    assert said("plain", "--adapter", named) == plain
    assert said("plain", "--adapter", str(home / "personas/mine.gguf")) == adapted
    assert "give --adapter other=PATH" in mambino("chat", "-m", str(model), "--persona", "named", stdin="hi\n")[2]
    path = tmp_path / "a.persona"
    code, _, err = mambino("persona", "pack", "adapted", "-m", str(model), "--context", "256", "-o", str(path))
    assert code == 0, err
    (home / "personas/mine.gguf").unlink()
    assert said(str(path)) == adapted
