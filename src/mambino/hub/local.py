"""The models on this machine: the bundled one, the pulled ones, and any path.

No network here. The cache folder is MAMBINO_HOME, or ~/.cache/mambino. Start at resolve.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mambino.errors import FetchError, InputError

BUNDLED = "bundled"
_BUNDLED_FOLDER = Path(__file__).resolve().parents[1] / "bundled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A model that can be opened by name. path is a GGUF file or a folder of safetensors; nbytes counts its weights."""

    name: str
    path: Path
    nbytes: int

    @property
    def is_bundled(self) -> bool:
        return self.name == BUNDLED


def home() -> Path:
    """The cache folder; need not exist."""
    chosen = os.environ.get("MAMBINO_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "mambino"


def models_folder() -> Path:
    return home() / "models"


def installed() -> tuple[Installed, ...]:
    """Everything that has a name, the bundled model first, then by name."""
    found = [Installed(name=BUNDLED, path=path, nbytes=path.stat().st_size) for path in _bundled_files()]
    for repo in sorted(models_folder().glob("*/*")):
        if repo.is_dir():
            found.extend(_installed_in(repo))
    return tuple(found)


def _bundled_files() -> Sequence[Path]:
    return sorted(_BUNDLED_FOLDER.glob("*.gguf"))[:1]


def _installed_in(repo: Path) -> Iterator[Installed]:
    name = f"{repo.parent.name}/{repo.name}"
    files = sorted(repo.rglob("*.gguf"))
    weights = sorted(repo.glob("*.safetensors"))
    for path in files:
        inner = path.relative_to(repo).as_posix()
        alone = len(files) == 1 and not weights
        yield Installed(name=name if alone else f"{name}:{inner}", path=path, nbytes=path.stat().st_size)
    if weights and (repo / "config.json").is_file():
        nbytes = sum(path.stat().st_size for path in weights)
        yield Installed(name=f"{name}:safetensors" if files else name, path=repo, nbytes=nbytes)


def resolve(name: str | os.PathLike[str]) -> Path:
    """The local path of a model: an existing path, "bundled", or the name of a pulled model.

    A path that exists wins over a name. A pulled model answers to org/repo, org/repo:FILE, org/repo:QUANT, and to any
    of these without the org, where that names only one.

    Raises     FetchError if nothing local answers, or several models do; it says what to type instead
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    text = os.fspath(name)
    candidates = installed()
    matches = [model for model in candidates if _answers(model, text)]
    if len(matches) == 1:
        return matches[0].path
    if matches:
        names = ", ".join(model.name for model in matches)
        raise FetchError(f"[model] {text!r} names {len(matches)} installed models: {names}; type one of these in full")
    raise FetchError(_not_found(text, candidates))


def _answers(model: Installed, text: str) -> bool:
    if text == model.name:
        return True
    repo, _, wanted = text.partition(":")
    own_repo, _, own_file = model.name.partition(":")
    if repo.lower() not in (own_repo.lower(), own_repo.rpartition("/")[2].lower()):
        return False
    return not wanted or (wanted == own_file == "safetensors") or matches_file(model.path.name, wanted)


def matches_file(name: str, wanted: str) -> bool:
    """Whether wanted names the file: exactly (folder and .gguf may be left out), or by its quantisation (Q4_K_M)."""
    base = PurePosixPath(name).name
    stem = base.removesuffix(".gguf").lower()
    wanted = wanted.lower()
    if wanted in (name.lower(), base.lower(), stem):
        return True
    return any(stem.endswith(mark + wanted) for mark in "-._")


def _not_found(text: str, candidates: Sequence[Installed]) -> str:
    if text == BUNDLED:
        return "[model] this installation has no bundled model; give a path, or fetch a model: mambino pull ORG/REPO"
    looks_like_path = text.endswith((".gguf", ".safetensors")) or text.startswith((".", "~", os.sep))
    if looks_like_path or text.count("/") > 1:
        return f"[model] no such file or folder: {text}"
    if "/" in text:
        return f"[model] {text} is not installed and is no path here; fetch it: mambino pull {text}"
    names = ", ".join(model.name for model in candidates) or "none"
    return f"[model] no installed model is called {text!r}; installed: {names}. `mambino list` shows more"


def remove(name: str) -> Installed:
    """Delete one pulled model from the cache. Raises FetchError if it is not installed, InputError if bundled."""
    matches = [model for model in installed() if _answers(model, name)]
    if len(matches) != 1:
        found = ", ".join(model.name for model in matches) or "nothing"
        raise FetchError(f"[model] {name!r} must name one installed model, it names {found}; see `mambino list`")
    (model,) = matches
    if model.is_bundled:
        raise InputError("[model] the bundled model is part of the installation and cannot be removed")
    if model.path.is_dir():
        shutil.rmtree(model.path)
    else:
        model.path.unlink()
    _prune_empty(model.path.parent)
    return model


def _prune_empty(folder: Path) -> None:
    """Remove folders that the deletion left empty, up to the models folder."""
    while folder.is_relative_to(models_folder()) and folder != models_folder() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
