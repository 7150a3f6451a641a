"""HTML for widgets: cards with numbers, small tables, texts to copy, sample sheets."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from workbench.runs.folders import is_picture


def reading_cards(cells: Iterable[tuple[str, str]]) -> str:
    """Returns numbers (name, value) as cards in a wrapping row."""
    card = "<span><small>{}</small><br><b style='font-size:1.35em'>{}</b></span>"
    inside = "".join(card.format(html.escape(name), html.escape(value)) for name, value in cells)
    return f"<div style='display:flex;flex-wrap:wrap;gap:4px 22px;line-height:1.25'>{inside}</div>"


def table(columns: Mapping[str, Sequence[str]], caption: str = "") -> str:
    """Returns a table from its columns."""
    head = "".join(f"<th style='padding:0 12px 0 0'>{html.escape(name)}</th>" for name in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td style='padding:0 12px 0 0'>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    said = f"<caption style='text-align:left'>{html.escape(caption)}</caption>" if caption else ""
    return f"<table style='text-align:left'>{said}<tr>{head}</tr>{rows}</table>"


def text(content: str, title: str = "", height: str = "") -> str:
    """Returns preformatted text (to copy, or a log) with long lines wrapped."""
    head = f"<b>{html.escape(title)}</b>" if title else ""
    limit = f";max-height:{height};overflow:auto" if height else ""
    return (
        f"{head}<pre style='white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0{limit}'>"
        f"{html.escape(content)}</pre>"
    )


def sheet(path: Path | None, run: str, step: int) -> str:
    """Returns the sample sheet of a step, or a sentence if there is none or it is damaged."""
    if path is None:
        return "<small>No sample sheets yet. The first is painted before the first step.</small>"
    if not is_picture(path):
        return (
            f"<small>The sample sheet of step {step:,} is damaged: {html.escape(str(path))} is not a picture.</small>"
        )
    alt = html.escape(f"Sample sheet of {run} at step {step:,}", quote=True)
    content = base64.b64encode(path.read_bytes()).decode()
    return (
        f"<small>Samples at step {step:,}, with the same prompts and seed throughout the training</small><br>"
        f"<img alt='{alt}' style='max-width:100%' src='data:image/png;base64,{content}'>"
    )
