"""Runs beside each other: a table at a glance, the configuration where it differs, and the same prompts'
samples.

It opens no weights and knows no figure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from dream.decoding import pictures
from dream.errors import InputError
from workbench.runs.fields import shown_value
from workbench.runs.folders import list_sheets, record_or_problem, sheet_step
from workbench.runs.rows import is_number

ACROSS = 4
"""Pictures in a row of a sample sheet."""
MISSING = "–"
TAIL = 1 << 16
NOT_COMPARED = ("train.steps",)
"""Of the configuration; how long a run went is in the table."""


class Glance(NamedTuple):
    """A run's numbers for a table; none for what was never measured."""

    validation_loss: float | None = None
    """Best of the run."""
    text_to_image: float | None = None
    """Best R@1, nothing hidden."""
    text_to_image_hidden: float | None = None
    """Best R@1, 75 % hidden."""
    pictures_per_second: float | None = None
    """At the last line."""


def glance(metrics: Path) -> Glance:
    """The numbers of a `metrics.jsonl`, without reading every line as JSON; empty if there is none."""
    try:
        content = metrics.read_bytes()
    except OSError:
        return Glance()
    checks = [_row(line) for line in content.split(b"\n") if b'"kind": "validation"' in line]
    last = next((row for line in reversed(content[-TAIL:].split(b"\n")) if "lr" in (row := _row(line))), {})
    speed = last.get("samples_per_second")
    best = {
        key: [row[key] for row in checks if is_number(row.get(key))]
        for key in ("loss", "text_to_image_r1_at_0.00", "text_to_image_r1_at_0.75")
    }
    return Glance(
        min(best["loss"], default=None),
        max(best["text_to_image_r1_at_0.00"], default=None),
        max(best["text_to_image_r1_at_0.75"], default=None),
        speed if is_number(speed) else None,
    )


def differences(folders: Mapping[str, Path]) -> list[dict[str, str]]:
    """A row for each field of the record that not all runs share: its key, and each run's value.

    Data source, preset, number of parameters and device are compared too. A damaged record has dashes.
    """
    trees = {name: _flat(record_or_problem(path)[0]) for name, path in folders.items()}
    keys = dict.fromkeys(key for tree in trees.values() for key in tree)
    rows = []
    for key in keys:
        values = {name: tree.get(key, MISSING) for name, tree in trees.items()}
        if key not in NOT_COMPARED and len({v for n, v in values.items() if trees[n]}) > 1:
            rows.append({"field": key, **values})
    return rows


@dataclass(frozen=True)
class SheetOf:
    """A run's sample sheet at about a step."""

    name: str
    step: int
    seed: int | None
    """Of the decode; none where the sheet does not say."""
    tiles: dict[str, Image.Image]
    """Pictures by prompt, as they were painted."""
    path: Path


def sheet_steps(folders: Sequence[Path]) -> list[int]:
    """All steps that any of the runs has a sheet of."""
    return sorted({sheet_step(sheet) for folder in folders for sheet in list_sheets(folder)})


def sheet_at(name: str, folder: Path, step: int) -> SheetOf | None:
    """The run's last sheet not after `step` (its first, if all come later); none if it has none.

    The pictures are cut out of the sheet; where that fails it is shown whole, and there are no tiles.
    """
    sheets = list_sheets(folder)
    if not sheets:
        return None
    chosen = next((sheet for sheet in reversed(sheets) if sheet_step(sheet) <= step), sheets[0])
    try:
        about = pictures.read_about(chosen)
        with Image.open(chosen) as image:
            tiles = cut_sheet(image.convert("RGB"), [str(prompt) for prompt in about["prompts"]])
        seed = about.get("settings", {}).get("seed")
    except (InputError, KeyError, TypeError, AttributeError, OSError):
        return SheetOf(name, sheet_step(chosen), None, {}, chosen)
    return SheetOf(name, sheet_step(chosen), seed if isinstance(seed, int) else None, tiles, chosen)


def common_prompts(sheets: Sequence[SheetOf]) -> list[str]:
    """Prompts that all of these sheets show, in their order."""
    return [p for p in (sheets[0].tiles if sheets else ()) if all(p in sheet.tiles for sheet in sheets)]


def cut_sheet(sheet: Image.Image, prompts: Sequence[str]) -> dict[str, Image.Image]:
    """The pictures of a training's sample sheet by prompt (enlarged as they are on it).

    The layout is that of `pictures.draw_sheet`; empty where the sheet's size is not what that gives.
    """
    across = min(ACROSS, len(prompts))
    if not across:
        return {}
    side = (sheet.width - 2 * pictures.MARGIN + pictures.GAP) // across - pictures.GAP
    face, tiles = pictures.font(pictures.TEXT_SIZE), {}
    top = pictures.MARGIN + round((pictures.TITLE_SIZE + 2) * 1.35) + pictures.GAP
    for first in range(0, len(prompts), across):
        row = prompts[first : first + across]
        for place, prompt in enumerate(row):
            left = pictures.MARGIN + place * (side + pictures.GAP)
            tiles[prompt] = sheet.crop((left, top, left + side, top + side))
        lines = max(len(pictures.wrap(prompt, face, side)) for prompt in row)
        top += side + 6 + lines * round(pictures.TEXT_SIZE * 1.35) + pictures.GAP
    fits = top - pictures.GAP + pictures.MARGIN == sheet.height and side > 0
    return tiles if fits else {}


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _flat(record: dict[str, Any]) -> dict[str, str]:
    """What is compared of a record, as text."""
    named = ("preset", "source", "device", "ranks")
    tree: dict[str, str] = {key: str(record[key]) for key in named if key in record}
    if is_number(record.get("parameters")):
        tree["parameters"] = f"{record['parameters']:,}"
    for section, fields in record.get("config", {}).items():
        for name, value in fields.items() if isinstance(fields, dict) else ():
            tree[f"{section}.{name}"] = shown_value(value)
    return tree
