"""Reads the settings inside an exported file of a decode and compares them with others."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dream.decoding.pictures import about_of
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.json_text import parse_json, printable_tree
from dream.plain_text import printable, require_text
from dream.pretrained import SHIPPED, checkpoint_of
from workbench.decode.export import FORMAT
from workbench.decode.request import WEIGHTS, single
from workbench.reading import stored_remark
from workbench.workspace import Workspace

MAX_BYTES = 20_000_000


class Change(NamedTuple):
    """A setting that would change."""

    name: str
    now: str
    then: str


@dataclass(frozen=True)
class Recalled:
    """Settings read from a file."""

    prompt: str
    settings: DecodeSettings
    """For a single picture."""
    model: str | None
    """As the user typed it; None if the file does not name one."""
    model_id: str | None
    weights: str
    kept: tuple[int, ...] = ()
    """Positions kept of a given picture."""
    given_picture: bytes | None = None
    """Content of that picture's file."""
    stored: str | None = None
    """Id of the decode in its store."""
    remarks: tuple[str, ...] = ()
    """Sentences on what the form cannot take over."""


def read_settings(name: str, content: bytes) -> Recalled:
    """Reads the settings of an exported PNG or JSON; raises InputError for any other file."""
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} has {len(content) / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}")
    about = _json(name, content) if name.lower().endswith(".json") else about_of(content, name)
    require_text(str(about.get("prompt", "")), f"the prompt in {printable(name)}")
    about = printable_tree(about)
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
    """Name of the file's model in this workspace, as a user would type it; None if it is not here."""
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
    """The settings in `then` that differ from `now`."""
    return [
        Change(name, _shown(now.get(name)), _shown(value))
        for name, value in then.items()
        if _shown(now.get(name)) != _shown(value)
    ]


def _json(name: str, content: bytes) -> dict[str, Any]:
    try:
        tree = parse_json(content)
    except ValueError as error:
        raise InputError(f"{name} is not valid JSON ({error})") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise InputError(f"{name} does not say how a picture was painted; expected a JSON saved on this page")
    return tree


def _remarks(
    about: Mapping[str, Any], settings: DecodeSettings, prompts: list[str], kept: Any, picture: Any
) -> list[str]:
    remarks = []
    if len(prompts) > 1:
        remarks.append(f"It shows {len(prompts)} prompts; the first one is taken.")
    elif said := stored_remark(about):
        remarks.append(said)
    if settings.candidates > 1:
        remarks.append(f"It chose among {settings.candidates} candidates; this page paints a single picture.")
    if about.get("parent"):
        remarks.append(
            f"It is a fork after step {about.get('fork_step')}; without its parent, these settings paint "
            "another picture."
        )
    if kept and picture is None:
        remarks.append(f"It kept {len(kept)} cells of a picture that is not in the file.")
    return remarks


def _text(about: Mapping[str, Any], name: str) -> str | None:
    value = about.get(name)
    return value if isinstance(value, str) and value else None


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
