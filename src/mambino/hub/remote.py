"""What a repository on the Hugging Face hub offers, and which of its files to fetch.

Asks the hub for names, sizes and checksums; fetches no weights (download does). Start at plan_pull.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.errors import HTTPError as HttpError  # type: ignore[attr-defined]  # httpx's or httpx2's
from huggingface_hub.hf_api import RepoSibling

from mambino.errors import FetchError, InputError, Unsupported
from mambino.hub.local import matches_file, models_folder

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
# What a safetensors model needs beside its weights, where the repository has it.
_COMPANIONS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to fetch. sha256 is known for large files (LFS), git_sha1 for the others."""

    name: str
    nbytes: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPlan:
    """Files of one commit of a repository, and the folder they go to. model names what is opened afterwards."""

    repo: str
    commit: str
    files: tuple[RemoteFile, ...]
    folder: Path
    model: Path
    endpoint: str | None
    token: str | None

    @property
    def nbytes(self) -> int:
        return sum(file.nbytes for file in self.files)

    def target(self, file: RemoteFile) -> Path:
        return self.folder / PurePosixPath(file.name)


def plan_pull(spec: str, *, revision: str = "main", endpoint: str | None = None, token: str | None = None) -> PullPlan:
    """Decide what `ORG/REPO[:FILE]` fetches; FILE is a file's name, a quantisation such as Q4_K_M, or safetensors.

    endpoint None means HF_ENDPOINT or the public hub; token None means the one that huggingface_hub is logged in with.

    Raises     FetchError if the hub does not answer or has no such model or file; InputError for a malformed spec;
               Unsupported if the repository holds only pickled weights
    """
    repo, _, wanted = spec.partition(":")
    if not _REPO.fullmatch(repo) or ".." in repo:
        raise InputError(f"[pull] {spec!r}: expected ORG/REPO or ORG/REPO:FILE, as on the Hugging Face hub")
    api = HfApi(endpoint=endpoint, token=token)
    with hub_errors(repo, api.endpoint):
        about = api.model_info(repo, revision=revision, files_metadata=True, timeout=20)
    siblings = about.siblings or []
    folder = models_folder() / repo
    files = tuple(_remote_file(file) for file in choose_files(repo, siblings, wanted))
    _check_inside(folder, files)
    is_gguf = len(files) == 1 and files[0].name.endswith(".gguf")
    return PullPlan(
        repo=repo,
        commit=about.sha or revision,
        files=files,
        folder=folder,
        model=folder / PurePosixPath(files[0].name) if is_gguf else folder,
        endpoint=endpoint,
        token=token,
    )


def choose_files(repo: str, siblings: Sequence[RepoSibling], wanted: str) -> Sequence[RepoSibling]:
    """The files that make one model: a GGUF, or safetensors with their companions."""
    ggufs = [file for file in siblings if file.rfilename.endswith(".gguf")]
    if wanted and wanted != "safetensors":
        return [_one_gguf(repo, [file for file in ggufs if matches_file(file.rfilename, wanted)], ggufs, wanted)]
    if ggufs and not wanted:
        return [_one_gguf(repo, ggufs, ggufs, wanted)]
    weights = [file for file in siblings if _is_top_level(file, ".safetensors")]
    if weights:
        return [*weights, *(file for file in siblings if file.rfilename in _COMPANIONS)]
    pickled = [file.rfilename for file in siblings if file.rfilename.endswith(_PICKLED)]
    if pickled:
        raise Unsupported(
            f"[pull] {repo} holds only pickled weights ({pickled[0]}); opening a pickle can run any code, so mambino "
            "does not; look for a safetensors or GGUF version of the model"
        )
    raise FetchError(f"[pull] {repo} holds no {'safetensors' if wanted else 'GGUF and no safetensors'} files")


def _is_top_level(file: RepoSibling, suffix: str) -> bool:
    return file.rfilename.endswith(suffix) and "/" not in file.rfilename


def _one_gguf(repo: str, matches: Sequence[RepoSibling], every: Sequence[RepoSibling], wanted: str) -> RepoSibling:
    if len(matches) == 1:
        if _SPLIT.search(matches[0].rfilename):
            raise Unsupported(
                f"[pull] {matches[0].rfilename} is one part of a split GGUF, which mambino cannot open yet"
            )
        return matches[0]
    lines = "\n".join(f"  {repo}:{file.rfilename}  ({(file.size or 0) / 1e9:.2f} GB)" for file in matches or every)
    if matches:
        raise FetchError(f"[pull] {repo} holds {len(matches)} matching GGUF files; pick one:\n{lines}")
    raise FetchError(
        f"[pull] {repo} has no GGUF file {wanted!r}" + (f"; it has:\n{lines}" if lines else " (nor any other)")
    )


def _remote_file(file: RepoSibling) -> RemoteFile:
    return RemoteFile(
        name=file.rfilename,
        nbytes=file.size or 0,
        sha256=file.lfs.sha256 if file.lfs else None,
        git_sha1=None if file.lfs else file.blob_id,
    )


def _check_inside(folder: Path, files: Sequence[RemoteFile]) -> None:
    """A name comes from a server: it may not lead out of the model's own folder."""
    for file in files:
        path = PurePosixPath(file.name)
        strange = path.is_absolute() or ".." in path.parts or "\\" in file.name or ":" in file.name or "\0" in file.name
        if strange or not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise FetchError(
                f"[pull] the server offers a file named {file.name!r}, which leads out of {folder}; refused"
            )


@contextmanager
def hub_errors(repo: str, endpoint: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one FetchError that says what to do."""
    try:
        yield
    except GatedRepoError as error:
        raise FetchError(
            f"[pull] {repo} is gated: accept its terms at {endpoint}/{repo}, then `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise FetchError(f"[pull] {repo}: no such model on {endpoint}, or it is private (`hf auth login`)") from error
    except RevisionNotFoundError as error:
        raise FetchError(f"[pull] {repo}: no such revision; see {endpoint}/{repo}") from error
    except HFValidationError as error:
        raise InputError(f"[pull] {repo}: {error}") from error
    except HfHubHTTPError as error:
        raise FetchError(f"[pull] {endpoint} answered with an error: {str(error).splitlines()[0]}") from error
    except (HttpError, OfflineModeIsEnabled, OSError) as error:
        raise FetchError(
            f"[pull] cannot reach {endpoint}: {str(error) or type(error).__name__}. Check the network; everything else "
            "works offline, and takes the path of a file that came here by other means"
        ) from error
