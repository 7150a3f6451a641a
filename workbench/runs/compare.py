"""Comparison of runs: best numbers for a table, configuration differences, and samples of the same prompts.

It opens no weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from dream.data.transforms import BrokenPicture, open_picture
from dream.decoding import pictures
from dream.errors import InputError
from dream.training.run_log import read_row
from workbench.field_docs import shown_value
from workbench.runs.folders import list_sheets, record_or_problem, sheet_step
from workbench.runs.rows import is_number

ACROSS = 4
"""Pictures per row of a sample sheet."""
MISSING = "–"
TAIL = 1 << 16
NOT_COMPARED = ("train.steps",)
"""Configuration fields left out of the comparison: the table already shows how long each run is."""


class Glance(NamedTuple):
    """A run's numbers for a table; None where nothing was measured."""

    validation_loss: float | None = None
    """Lowest of the run."""
    text_to_image: float | None = None
    """Best R@1 with nothing hidden."""
    text_to_image_hidden: float | None = None
    """Best R@1 with 75 % hidden."""
    pictures_per_second: float | None = None
    """At the last logged step."""


def glance(metrics: Path) -> Glance:
    """Reads a run's numbers from `metrics.jsonl` without parsing every line; empty if the file is missing."""
    try:
        content = metrics.read_bytes()
    except OSError:
        return Glance()
    checks = [row for line in content.split(b"\n") if b'"kind": "validation"' in line and (row := read_row(line))]
    last = next((row for line in reversed(content[-TAIL:].split(b"\n")) if "lr" in (row := read_row(line) or {})), {})
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
    """One row per field whose value differs between the runs: its key, and each run's value.

    Data source, preset, number of parameters and device are compared too. A damaged record shows dashes.
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
    """A run's sample sheet near a step."""

    name: str
    step: int
    seed: int | None
    """Seed of the decode; None if the sheet does not record it."""
    tiles: dict[str, Image.Image]
    """Painted pictures by prompt."""
    path: Path


def sheet_steps(folders: Sequence[Path]) -> list[int]:
    """All steps at which any of the runs has a sample sheet."""
    return sorted({sheet_step(sheet) for folder in folders for sheet in list_sheets(folder)})


def sheet_at(name: str, folder: Path, step: int) -> SheetOf | None:
    """The run's last sheet up to `step` (its first if all are later); None if it has no sheets.

    `tiles` holds the pictures cut out of the sheet; it is empty if the sheet cannot be cut.
    """
    sheets = list_sheets(folder)
    if not sheets:
        return None
    chosen = next((sheet for sheet in reversed(sheets) if sheet_step(sheet) <= step), sheets[0])
    try:
        about = pictures.read_about(chosen)
        titles = [str(title) for title in about.get("weights", [])]
        tiles = cut_sheet(open_picture(chosen.read_bytes()).rgb, [str(prompt) for prompt in about["prompts"]], titles)
        seed = about.get("settings", {}).get("seed")
    except (InputError, BrokenPicture, KeyError, TypeError, AttributeError, OSError):
        return SheetOf(name, sheet_step(chosen), None, {}, chosen)
    return SheetOf(name, sheet_step(chosen), seed if isinstance(seed, int) else None, tiles, chosen)


def common_prompts(sheets: Sequence[SheetOf]) -> list[str]:
    """Prompts that occur on all of these sheets, in order."""
    return [p for p in (sheets[0].tiles if sheets else ()) if all(p in sheet.tiles for sheet in sheets)]


def cut_sheet(sheet: Image.Image, prompts: Sequence[str], titles: Sequence[str] = ()) -> dict[str, Image.Image]:
    """Cuts a training's sample sheet into pictures by prompt, enlarged as they are on the sheet.

    Of a sheet in parts with these `titles`, only the first is cut, that of the averaged weights. Assumes the layout of
    `pictures.draw_sheet`; returns an empty dict if the sheet's size does not fit it.
    """
    across = min(ACROSS, len(prompts))
    if not across:
        return {}
    side = (sheet.width - 2 * pictures.MARGIN + pictures.GAP) // across - pictures.GAP
    face, tiles = pictures.font(pictures.TEXT_SIZE), {}
    head = round((pictures.TITLE_SIZE + 2) * 1.35) + pictures.GAP
    title = round(pictures.TITLE_SIZE * 1.35) + pictures.GAP if titles else 0
    top = begin = pictures.MARGIN + head + title
    for first in range(0, len(prompts), across):
        row = prompts[first : first + across]
        for place, prompt in enumerate(row):
            left = pictures.MARGIN + place * (side + pictures.GAP)
            tiles[prompt] = sheet.crop((left, top, left + side, top + side))
        lines = max(len(pictures.wrap(prompt, face, side)) for prompt in row)
        top += side + 6 + lines * round(pictures.TEXT_SIZE * 1.35) + pictures.GAP
    parts = max(1, len(titles)) * (top - begin + title)
    fits = pictures.MARGIN + head + parts - pictures.GAP + pictures.MARGIN == sheet.height and side > 0
    return tiles if fits else {}


def _flat(record: dict[str, Any]) -> dict[str, str]:
    """The compared values of a record, as text."""
    named = ("preset", "source", "device", "ranks")
    tree: dict[str, str] = {key: str(record[key]) for key in named if key in record}
    if is_number(record.get("parameters")):
        tree["parameters"] = f"{record['parameters']:,}"
    for section, fields in record.get("config", {}).items():
        for name, value in fields.items() if isinstance(fields, dict) else ():
            tree[f"{section}.{name}"] = shown_value(value)
    return tree
