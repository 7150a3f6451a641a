"""Models on the Hugging Face hub: uploads a published folder, and fetches one by `hf:owner/name`.

Nothing else of this project talks to the hub about its own models. Only safetensors, JSON and the card are fetched.
"""

import re
import socket
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dream.errors import InputError, RunError

PREFIX = "hf:"
_REPOSITORY = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
_NAME = re.compile(rf"hf:({_REPOSITORY})(?:@([A-Za-z0-9][\w./-]{{0,99}}))?")
FETCHED = ("state.json", "model.safetensors", "recipe.json", "README.md", "NOTICE", "tokenizer/*.json")
"""Files of a published folder that are fetched."""
TIMEOUT = 8.0
"""Seconds that the hub is waited for at first."""
PROBE = 4.0
"""Seconds within which it has to answer."""


@lru_cache(maxsize=1)
def hub_answers() -> bool:
    """Whether the hub answers a request within PROBE seconds, whatever it says.

    Its own client asks again for minutes, file after file, where a firewall swallows what is sent.
    """
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return False
    answers: list[bool] = []

    def ask() -> None:
        with suppress(Exception):  # whatever its client raises
            get_session().head(constants.ENDPOINT, timeout=PROBE)
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no limit of its own
    thread.start()
    thread.join(PROBE + 1)
    return bool(answers)


def hub_options(name: str) -> dict[str, Any]:
    """Arguments for a `from_pretrained` of transformers or diffusers: no waiting for a hub that does not answer."""
    return {} if Path(name).expanduser().is_dir() or hub_answers() else {"local_files_only": True}


def how_to_bring(name: str, files: str, key: str) -> str:
    """The end of a sentence on a frozen model that cannot be loaded: what to download, and where to put it."""
    if Path(name).expanduser().is_dir():
        return f"that folder has to hold {files}"
    if name.startswith(("/", ".", "~")):
        return f"there is no such folder; it has to hold {files}"
    where = "" if hub_answers() else "the hub does not answer here, and its cache does not hold it: "
    return (
        f"{where}download {files} of https://huggingface.co/{name} into a folder, and give that by --set {key}=FOLDER"
    )


def is_on_hub(path: Path | str) -> bool:
    """Whether a model is named by its place on the hub."""
    return str(path).startswith(PREFIX)


def fetch(name: str, client: Any = None) -> Path:
    """The folder of the model `hf:owner/name[@revision]`, in the hub's own cache. Raises InputError without one."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"a model on the hub is named hf:owner/name or hf:owner/name@revision, got '{name}'")
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
