"""Persona files are read strictly, and the shipped ones are right."""

from pathlib import Path

import pytest

import mambino
from mambino.chat.persona import Persona, check_id, find_persona, list_personas, parse_persona, read_persona
from mambino.errors import FormatError, InputError
from mambino.generation.params import SamplingParams

SHIPPED = Path(mambino.__file__).parent / "personas"


def test_every_shipped_persona_reads_and_its_sampling_is_valid() -> None:
    personas = list_personas([SHIPPED])
    assert {persona.id for persona in personas} >= {"assistant", "keeper", "innkeeper"}
    for persona in personas:
        assert persona.description
        assert persona.system_text().startswith(f"You are {persona.name}.")
        SamplingParams(**persona.sampling)  # type: ignore[arg-type]


def test_system_text_holds_voice_and_rules_and_stays_the_same() -> None:
    persona = parse_persona('name = "A"\nvoice = "Speak low. "\nrules = ["One.", "Two."]', "a", where="a.toml")
    assert persona.system_text() == "You are A. Speak low.\n\nRules:\n- One.\n- Two."
    assert persona.system_text() == persona.system_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name"),
        ('name = ""', "name"),
        ('name = "A"\ncolour = 1', "unknown field 'colour'"),
        ('name = "A"\nrules = "be kind"', "rules: expected a list"),
        ('name = "A"\nthinking = "maybe"', "thinking"),
        ('name = "A"\nthinking = true', "thinking"),
        ('name = "A"\n[sampling]\nheat = 1', "sampling.heat"),
        ('name = "A"\nmemory = -1', "memory"),
        ('name = "A', "Unterminated"),
    ],
)
def test_a_wrong_file_is_explained(text: str, said: str) -> None:
    with pytest.raises(FormatError, match=said) as caught:
        parse_persona(text, "a", where="a.toml")
    assert "a.toml" in str(caught.value)


def test_the_first_folder_wins_and_a_missing_one_lists_the_others(tmp_path: Path) -> None:
    (tmp_path / "keeper.toml").write_text('name = "Mine"')
    folders = [tmp_path, SHIPPED]
    assert find_persona("keeper", folders).name == "Mine"
    assert find_persona("innkeeper", folders).name == "Marta"
    assert find_persona(str(tmp_path / "keeper.toml"), []).name == "Mine"
    with pytest.raises(InputError, match=r"no persona 'nobody'.*innkeeper"):
        find_persona("nobody", folders)
    with pytest.raises(InputError, match="no persona"):
        find_persona("../keeper", folders)


def test_odd_names_and_files_are_refused(tmp_path: Path) -> None:
    for name in ("", "../x", "A", "x" * 65, "a b"):
        with pytest.raises(InputError, match="lower-case"):
            check_id(name)
    (tmp_path / "big.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(FormatError, match="bytes"):
        read_persona(tmp_path / "big.toml")
    (tmp_path / "raw.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(FormatError, match="UTF-8"):
        read_persona(tmp_path / "raw.toml")


def test_an_adapter_is_a_file_beside_the_persona_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "poet.gguf").write_bytes(b"GGUF")

    def of(adapter: str) -> Persona:
        path = tmp_path / "a.toml"
        path.write_text(f'name = "A"\nadapter = "{adapter}"')
        return read_persona(path)

    for name in ("poet.gguf", "./poet.gguf", "mine"):
        assert of(name).adapter == str((tmp_path / name).resolve())
        assert (of(name).brings_adapter, of(name).adapter_name) == (True, "a")
    assert (of("poet").adapter, of("poet").brings_adapter, of("poet").adapter_name) == ("poet", False, "poet")
    assert of("").adapter_name == ""
    for outside in ("../x.gguf", "/etc/hostname", "absent/x.gguf"):
        with pytest.raises(FormatError, match="no such file below"):
            of(outside)
