"""Whether models that are named, not given by path, may be fetched from a hub: always, but in the app only if asked."""

import os
from contextlib import suppress
from pathlib import Path

from dream.errors import InputError

LOCAL_ONLY = "DREAM_LOCAL_MODELS"
"""Environment variable: with 1, models are taken from files of this machine alone, those fetched earlier included."""


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
