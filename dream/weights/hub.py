"""The Hugging Face hub, for models that are named and not given by path: may it be asked, and does it answer?

It may always be asked, but by the app only if the workspace says so.
"""

import os
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dream.errors import InputError

LOCAL_ONLY = "DREAM_LOCAL_MODELS"
"""Environment variable: with 1, models are taken from files of this machine alone, those fetched earlier included."""
PROBE = 4.0
"""Seconds within which the hub has to answer."""


def is_local_only() -> bool:
    """Whether this process asks no hub for models."""
    return os.environ.get(LOCAL_ONLY) == "1"


def local_model(name: str) -> str:
    """What `from_pretrained` of diffusers and transformers takes for a model's name or folder.

    If no hub may be asked, that is a folder, perhaps of the hub's cache: even their `local_files_only` asks the hub
    which program calls. Raises FileNotFoundError if there is none.
    """
    if not is_local_only() or Path(name).expanduser().is_dir():
        return name
    from huggingface_hub import try_to_load_from_cache

    with suppress(ValueError):  # no name that a hub has
        for file in ("config.json", "tokenizer_config.json", "vocab.json"):
            found = try_to_load_from_cache(name, file)
            if isinstance(found, str):
                return str(Path(found).parent)
    raise FileNotFoundError(f"no folder '{name}', and no model of that name was fetched to this machine")


def hub_remark() -> str:
    """A clause for a model that was not found, on where it was not looked for; empty if it was."""
    setting = 'the workspace\'s .workbench/settings.json says {"hub": true}'
    return f"; no hub was asked, which the app does only if {setting}" if is_local_only() else ""


def refuse_pretrained(name: str, setting: str) -> None:
    """Raises InputError if timm would have to fetch the weights of `name`, which `setting` can give by path instead."""
    if is_local_only():
        raise InputError(f"the weights of '{name}' come from timm's hub: give a local file as {setting}{hub_remark()}")


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
    known = is_local_only() or Path(name).expanduser().is_dir()  # no hub is asked then
    return {} if known or hub_answers() else {"local_files_only": True}


def how_to_bring(name: str, files: str, key: str) -> str:
    """The end of a sentence on a frozen model that cannot be loaded: what to download, and where to put it."""
    if Path(name).expanduser().is_dir():
        return f"that folder has to hold {files}"
    if name.startswith(("/", ".", "~")):
        return f"there is no such folder; it has to hold {files}"
    if is_local_only():
        where = f"no folder of this machine holds it{hub_remark()}: "
    else:
        where = "" if hub_answers() else "the hub does not answer here, and its cache does not hold it: "
    return (
        f"{where}download {files} of https://huggingface.co/{name} into a folder, and give that by --set {key}=FOLDER"
    )
