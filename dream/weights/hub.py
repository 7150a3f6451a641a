"""Whether models that are named, not given by path, may be fetched from a hub: always, but in the app only if asked."""

import os
from typing import Any

from dream.errors import InputError

LOCAL_ONLY = "DREAM_LOCAL_MODELS"
"""Environment variable: with 1, models are taken from files of this machine alone, those fetched earlier included."""


def is_local_only() -> bool:
    """Whether this process asks no hub for models."""
    return os.environ.get(LOCAL_ONLY) == "1"


def hub_options() -> dict[str, Any]:
    """Arguments of `from_pretrained` of diffusers and transformers."""
    return {"local_files_only": True} if is_local_only() else {}


def hub_remark() -> str:
    """A clause for a model that was not found, on where it was not looked for; empty if it was."""
    setting = 'the workspace\'s .workbench/settings.json says {"hub": true}'
    return f"; no hub was asked, which the app does only if {setting}" if is_local_only() else ""


def refuse_pretrained(name: str, setting: str) -> None:
    """Raises InputError if timm would have to fetch the weights of `name`, which `setting` can give by path instead."""
    if is_local_only():
        raise InputError(f"the weights of '{name}' come from timm's hub: give a local file as {setting}{hub_remark()}")
