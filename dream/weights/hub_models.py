"""Models of this project on the Hugging Face hub: uploads a published folder, and fetches one by `hf:owner/name`.

Only safetensors, JSON and the card are fetched.
"""

import re
import socket
from pathlib import Path
from typing import Any

from dream.errors import InputError, RunError
from dream.weights.hub import hub_remark, is_local_only

PREFIX = "hf:"
_REPOSITORY = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
_NAME = re.compile(rf"hf:({_REPOSITORY})(?:@([A-Za-z0-9][\w./-]{{0,99}}))?")
FETCHED = ("state.json", "model.safetensors", "recipe.json", "README.md", "NOTICE", "tokenizer/*.json")
"""Files of a published folder that are fetched."""
TIMEOUT = 8.0
"""Seconds that the hub is waited for at first."""


def is_on_hub(path: Path | str) -> bool:
    """Whether a model is named by its place on the hub."""
    return str(path).startswith(PREFIX)


def fetch(name: str, client: Any = None) -> Path:
    """The folder of the model `hf:owner/name[@revision]`, in the hub's own cache. Raises InputError without one."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"a model on the hub is named hf:owner/name or hf:owner/name@revision, got '{name}'")
    if is_local_only():
        raise InputError(f"'{name}' is on the hub{hub_remark()}: download its folder, and give that instead")
    if client is None:
        client = _client()
    try:
        folder = Path(
            client.snapshot_download(
                match[1], revision=match[2], allow_patterns=list(FETCHED), etag_timeout=TIMEOUT, max_workers=2
            )
        )
    except Exception as error:  # the hub's client raises exceptions of many kinds
        raise InputError(
            f"cannot fetch the model '{name}' from the hub ({_reason(error)}): check the name and the network, or "
            "download its folder elsewhere and give that by --model FOLDER"
        ) from error
    if not (folder / "state.json").is_file():
        raise InputError(f"'{name}' is not a model of this project: it has no state.json (dream publish writes it)")
    return folder


def upload(folder: Path, name: str, client: Any = None) -> str:
    """Uploads a published folder as the model `owner/name`; returns its address. Raises RunError if that fails."""
    if not re.fullmatch(_REPOSITORY, name):
        raise InputError(f"--hub must be owner/name, got '{name}'")
    if client is None:
        client = _client()
    try:
        client.create_repo(name, repo_type="model", exist_ok=True)
        done = client.upload_folder(repo_id=name, folder_path=str(folder), commit_message="Upload by dream publish")
    except Exception as error:
        raise RunError(
            f"the model is in {folder}, but could not be uploaded as '{name}' ({_reason(error)}): log in by "
            "`hf auth login`, and call the same line again"
        ) from error
    return str(getattr(done, "repo_url", None) or name)


def _client() -> Any:
    from huggingface_hub import HfApi

    return HfApi()


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror | TimeoutError):
        return "the hub cannot be reached"
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
