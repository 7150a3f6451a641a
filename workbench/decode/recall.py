"""The settings inside a file that was made of a decode: read back, and laid beside those at hand.

It changes nothing; whoever asks decides whether to take them over.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dream.decoding.pictures import about_of
from dream.decoding.selection import DecodeSettings
from dream.errors import InputError
from dream.pretrained import SHIPPED, checkpoint_of
from workbench.decode.export import FORMAT
from workbench.decode.request import WEIGHTS, single
from workbench.workspace import Workspace

MAX_BYTES = 20_000_000


class Change(NamedTuple):
    """A setting that would be another."""

    name: str
    now: str
    then: str


@dataclass(frozen=True)
class Recalled:
    """What a file says of how it was painted."""

    prompt: str
    settings: DecodeSettings
    """For one picture."""
    model: str | None
    """As it was typed; None where the file names none."""
    model_id: str | None
    weights: str
    kept: tuple[int, ...] = ()
    """Positions that were kept of a given picture."""
    given_picture: bytes | None = None
    """That picture as a file."""
    stored: str | None = None
    """Its id in the store it came from."""
    remarks: tuple[str, ...] = ()
    """What the form cannot take over, in sentences."""


def read_settings(name: str, content: bytes) -> Recalled:
    """What a PNG or JSON made by us says; raises InputError for any other file, in one sentence."""
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} has {len(content) / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}")
    about = _json(name, content) if name.lower().endswith(".json") else about_of(content, name)
    try:
        settings = DecodeSettings.from_dict(about["settings"])
        kept = tuple(sorted({int(position) for position in about.get("kept", ())}))
        given = about.get("given_picture")
        picture = None if given is None else base64.b64decode(given, validate=True)
        prompts = [line for line in str(about["prompt"]).splitlines() if line.strip()]
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise InputError(f"{name} does not say how it was painted: its settings are damaged ({error})") from error
    weights = about.get("weights")
    return Recalled(
        prompts[0] if prompts else "",
        single(settings),
        _text(about, "model"),
        _text(about, "model_id"),
        weights if weights in WEIGHTS else WEIGHTS[0],
        kept,
        picture,
        _text(about, "stored"),
        tuple(_remarks(about, settings, prompts, kept, picture)),
    )


def model_here(workspace: Workspace, recalled: Recalled) -> str | None:
    """The name under which the file's model is here, as it would be typed; None where it is not."""
    if recalled.model is None:
        return None
    for name, folder in SHIPPED.items():
        if recalled.model == name or Path(recalled.model) == folder:
            return name
    try:
        checkpoint_of(Path(workspace.model(recalled.model)))
    except InputError:
        return None
    return workspace.shown(recalled.model)


def changes(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[Change]:
    """Which of the settings `then` are others than `now`."""
    return [
        Change(name, _shown(now.get(name)), _shown(value))
        for name, value in then.items()
        if _shown(now.get(name)) != _shown(value)
    ]


def _json(name: str, content: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is no JSON ({error})") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise InputError(f"{name} does not say how a picture was painted; expected a JSON saved on this page")
    return tree


def _remarks(
    about: Mapping[str, Any], settings: DecodeSettings, prompts: list[str], kept: Any, picture: Any
) -> list[str]:
    found = []
    if len(prompts) > 1:
        found.append(f"It shows {len(prompts)} prompts; the first is taken.")
    if settings.candidates > 1:
        found.append(f"It chose among {settings.candidates} candidates; here one picture is painted.")
    if about.get("parent"):
        found.append(
            f"It is a fork after step {about.get('fork_step')}: painted from nothing, these settings give "
            "another picture."
        )
    if kept and picture is None:
        found.append(f"It kept {len(kept)} cells of a picture that is not in the file.")
    return found


def _text(about: Mapping[str, Any], name: str) -> str | None:
    value = about.get(name)
    return value if isinstance(value, str) and value else None


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
