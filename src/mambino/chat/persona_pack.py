"""A persona, the state that has already read its system text, and its adapter, in one file: it answers at once.

The file is a zip of two or three stored members, so that anyone can look inside. A state of another model is left
aside: the persona works, and its text is read again. Start at open_pack.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mambino.chat.persona import MAX_FILE_BYTES, Persona, parse_persona
from mambino.errors import FormatError
from mambino.formats.adapter import Adapter
from mambino.formats.gguf_adapter import read_gguf_adapter
from mambino.formats.mapped import replacing
from mambino.generation.prefix_cache import Place
from mambino.generation.state_store import decode_place, encode_place
from mambino.lm import LanguageModel

SUFFIX = ".persona"
_PERSONA, _STATE, _ADAPTER = "persona.toml", "state", "adapter.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """place is None if the file's state is not for this model; note then says why. adapter is what it was made with."""

    persona: Persona
    place: Place | None
    note: str = ""
    adapter: Adapter | None = None


def write_pack(
    path: Path,
    persona_text: str,
    place: Place,
    model: LanguageModel,
    fingerprint: str,
    *,
    adapter: Path | None = None,
) -> None:
    """Write one file, whole or not at all; adapter is the GGUF file of the one that place was made with.

    Raises     FormatError if it cannot be written
    """
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_PERSONA, persona_text)
        with archive.open(_STATE, "w", force_zip64=True) as member:
            for part in encode_place(place, model, fingerprint):
                member.write(part)
        if adapter is not None:
            archive.write(adapter, _ADAPTER)


def open_pack(path: Path, model: LanguageModel, fingerprint: str) -> Pack:
    """Read one file; the persona's id is its stem. Raises FormatError if it is damaged, or no pack; OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            persona_text = _member(archive, _PERSONA, path, MAX_FILE_BYTES)
            persona = parse_persona(persona_text.decode("utf-8"), path.stem, where=f"{path}:{_PERSONA}")
            state = memoryview(_member(archive, _STATE, path, path.stat().st_size))
            adapter = _adapter(archive, path, model) if _ADAPTER in archive.namelist() else None
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, EOFError) as error:
        raise FormatError(f"[persona] {path}: not a persona pack, or damaged: {error}") from error
    try:
        place = decode_place(state, model, fingerprint, where=str(path))
        return Pack(persona=persona, place=place, adapter=adapter)
    except FormatError as error:
        return Pack(persona=persona, place=None, note=str(error), adapter=adapter)


def _adapter(archive: zipfile.ZipFile, path: Path, model: LanguageModel) -> Adapter:
    """Raises FormatError if it is damaged, or for another model."""
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / _ADAPTER
        file.write_bytes(_member(archive, _ADAPTER, path, path.stat().st_size))
        return read_gguf_adapter(file, model.config)


def _member(archive: zipfile.ZipFile, name: str, path: Path, max_nbytes: int) -> bytes:
    """One stored member. Raises FormatError if there is none, or it is compressed (and so might be of any size)."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise FormatError(f"[persona] {path}: no {name} inside; make it with `mambino persona pack`") from None
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > max_nbytes:
        raise FormatError(f"[persona] {path}: {name} is compressed or too large; make it with `mambino persona pack`")
    return archive.read(member)
