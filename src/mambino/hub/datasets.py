"""Single files of datasets on the Hugging Face hub, kept in the cache. Start at fetch_dataset_file."""

from pathlib import Path

from huggingface_hub import HfApi

from mambino.hub.local import home
from mambino.hub.remote import hub_errors


def fetch_dataset_file(repo: str, name: str, *, revision: str = "main", endpoint: str | None = None) -> Path:
    """The file, fetched unless it is here already. endpoint None means HF_ENDPOINT or the public hub.

    Raises     FetchError if the hub does not answer or has no such file
    """
    folder = home() / "datasets" / repo
    if (folder / name).is_file():
        return folder / name
    api = HfApi(endpoint=endpoint)
    with hub_errors(repo, api.endpoint):
        path = api.hf_hub_download(repo, name, repo_type="dataset", revision=revision, local_dir=folder)
    return Path(path)
