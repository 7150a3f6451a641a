"""Results as text and Markdown tables: one row per measure, one column per model, grouped by task and data."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dream.evaluation.paper import Published, published_for
from dream.evaluation.results import Results, TaskResult
from dream.evaluation.statistics import Estimate, Measure, interval_words
from dream.plain_text import markdown_text

WIDEST = 72
"""Characters of a row's label in a terminal; a longer label takes several lines."""
PAPER = "paper"
"""Heading of the column with published figures."""


@dataclass
class TableSection:
    """The rows under one heading."""

    heading: str
    """Task, data, changed settings, and the conditions that all rows share."""
    rows: dict[str, dict[str, Measure]] = field(default_factory=dict)
    """Measures by label and model."""
    objectives: list[str] = field(default_factory=list)
    """Training objectives of the models with measures here."""
    notes: list[str] = field(default_factory=list)
    """Reasons for missing measures, and a warning if the models saw different data."""


def grouped(results: Sequence[Results]) -> list[TableSection]:
    """Returns the sections of several models' results, in the order of measurement."""
    entries: dict[tuple[str, str, str], list[tuple[str, TaskResult]]] = {}
    for result in results:
        for entry in result.entries:
            entries.setdefault(entry.group, []).append((result.name, entry))
    return [_group(key, found) for key, found in entries.items()]


def _group(key: tuple[str, str, str], entries: Sequence[tuple[str, TaskResult]]) -> TableSection:
    task, data, special = key
    wheres = [measure.where for _, entry in entries for measure in entry.measures]
    same = {"data": data} | (_same_everywhere(wheres) if len(wheres) > 1 else {})
    in_heading = {"data"} | entries[0][1].changed.keys()
    shared = conditions({k: v for k, v in same.items() if k not in in_heading or (k == "data" and v != data)})
    group = TableSection(", ".join(filter(None, [f"{task} on {data}", special, shared])))
    for name, entry in entries:
        if entry.skipped:
            group.notes.append(f"{name}: skipped, {entry.skipped}")
            continue
        group.objectives.append(entry.objective)
        for measure in entry.measures:
            own = {k: v for k, v in measure.where.items() if k not in same or v != same[k]}
            row = ", ".join(filter(None, [measure.name, conditions(own)]))
            group.rows.setdefault(row, {})[name] = measure
    group.notes += interval_notes([m.estimate for cells in group.rows.values() for m in cells.values()])
    kinds = {name: json.dumps(e.fingerprint, sort_keys=True) for name, e in entries if not e.skipped}
    if len(set(kinds.values())) > 1:
        group.notes.append("not the same data: " + "; ".join(f"{m} {kind}" for m, kind in kinds.items()))
    return group


def interval_notes(estimates: Sequence[Estimate]) -> list[str]:
    """Returns one line per kind of interval with the numbers of rows, and per reason for having none."""
    counts: dict[tuple[str, bool, str], list[int]] = {}
    for estimate in estimates:
        if estimate.kind and estimate.value == estimate.value:
            counts.setdefault((estimate.kind, estimate.has_interval, estimate.rows or "rows"), []).append(
                estimate.count
            )
    ranges = {key: sorted({min(found), max(found)}) for key, found in counts.items()}
    return [interval_words(kind, given, _range(counted), rows) for (kind, given, rows), counted in ranges.items()]


def _range(counts: Sequence[int]) -> str:
    return " to ".join(f"{count:,}" for count in counts)


def _same_everywhere(wheres: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = wheres[0] if wheres else {}
    return {k: v for k, v in first.items() if all(k in w and w[k] == v for w in wheres)}


def conditions(where: dict[str, Any]) -> str:
    """`mask ratio 0.75, unseen`: conditions in words, without those that are False or None."""
    return ", ".join(_condition(key, value) for key, value in where.items() if value is not False and value is not None)


def text_table(results: Sequence[Results]) -> list[str]:
    """Returns the lines of a table for a terminal."""
    groups, names = grouped(results), [result.name for result in results]
    papers = {id(group): _papers(group) for group in groups}
    labels = {row: _wrapped(row) for group in groups for row in group.rows}
    first = max((len(line) for lines in labels.values() for line in lines), default=0)
    widths = {name: max(len(name), 20) for name in names}
    heading = "".ljust(first) + "".join(f"  {name:>{widths[name]}}" for name in names)
    lines = [heading + (f"  {PAPER} (on its own data)" if any(papers.values()) else "")]
    for group in groups:
        lines.append(f"{group.heading} (95 % interval)")
        for row, cells in group.rows.items():
            shown = [f"  {_cell(cells.get(name)):>{widths[name]}}" for name in names]
            paper = papers[id(group)].get(row, "")
            *before, last = labels[row]
            lines += [*before, last.ljust(first) + "".join(shown) + (f"  {paper}" if paper else "")]
        lines += [f"  ({note})" for note in group.notes]
    return lines


def _wrapped(row: str) -> list[str]:
    return textwrap.wrap(row, WIDEST, initial_indent="  ", subsequent_indent="    ") or [""]


def markdown_table(results: Sequence[Results]) -> list[str]:
    """Returns the lines of Markdown tables, one per section."""
    lines: list[str] = []
    for group in grouped(results):
        papers = _papers(group)
        names = [markdown_text(result.name) for result in results] + ([f"{PAPER} (on its own data)"] if papers else [])
        lines += [f"### {markdown_text(group.heading)}", ""]
        if group.rows:
            lines += [_line(["measure (95 % interval)", *names]), _line(["---", *["---:"] * len(names)])]
        for row, cells in group.rows.items():
            shown = [_cell(cells.get(result.name)) for result in results]
            lines.append(_line([markdown_text(row), *shown, *([papers.get(row, "")] if papers else [])]))
        lines += ([""] if group.rows else []) + [f"- {markdown_text(note)}" for note in group.notes]
        lines += [""] if group.notes else []
    return lines


def _papers(group: TableSection) -> dict[str, str]:
    """Returns the published figures per row, of the models' own objectives (else of DREAM)."""
    papers = {}
    for row, cells in group.rows.items():
        if figures := published_for(next(iter(cells.values())), group.objectives):
            papers[row] = _quoted(figures)
    return papers


def _quoted(figures: Sequence[Published]) -> str:
    """`DREAM 0.727, CLIP 0.716 (ImageNet-1K)`."""
    values = ", ".join(f"{f.model} {f.value:g}" for f in figures)
    return f"{values} ({figures[0].data})"


def _cell(measure: Measure | None) -> str:
    if measure is None:
        return "-"
    return str(measure.estimate) if measure.estimate.value == measure.estimate.value else "undefined"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _condition(key: str, value: object) -> str:
    words = key.replace("_", " ")
    if value is True:
        return words
    if isinstance(value, list):
        return f"{words} {', '.join(map(str, value))}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"
