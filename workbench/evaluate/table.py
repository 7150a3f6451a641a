"""Results as tables: sections for a page, and files for download."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dream.evaluation.paper import MODELS, PUBLISHED, metric_of, published_for
from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from dream.evaluation.table import TableSection, conditions, grouped, markdown_table
from dream.evaluation.tasks import TASKS
from workbench.csv_files import csv_of
from workbench.evaluate.results import of_task, tasks_in

MEASURE, PAPER = "measure (95 % interval)", "paper (on its own data)"
"""Headings of the first and of the last column."""
NUMBERS = ("value", "low", "high", "count", "kind", "rows")
"""Fields of an estimate, as columns of the CSV file."""


@dataclass(frozen=True)
class ResultSection:
    """The rows of one task on one source with one choice of settings."""

    task: str
    heading: str
    """Task, data, changed settings, and the conditions that all rows share."""
    columns: tuple[str, ...]
    """Headings: the measure, the models, and the paper if it reports any of the measures."""
    rows: tuple[dict[str, str], ...]
    """Cells by heading: a value with its 95 % interval."""
    notes: tuple[str, ...]
    """Reasons for missing numbers, and a warning if the models saw different data."""


def sections(results: Sequence[Results], query: str = "") -> list[ResultSection]:
    """Returns the sections in the order of the tasks, with the rows that contain all words of the query."""
    chosen = []
    for task in [name for name in TASKS if name in tasks_in(results)]:
        for group in grouped(of_task(results, task)):
            section = _section(task, group, [result.name for result in results], query.casefold().split())
            chosen += [section] if section.rows or (section.notes and not query.strip()) else []
    return chosen


def _section(task: str, group: TableSection, models: Sequence[str], words: Sequence[str]) -> ResultSection:
    rows = []
    for label, cells in group.rows.items():
        if all(word in f"{group.heading} {label}".casefold() for word in words):
            numbers = {model: measure_cell(cells[model]) if model in cells else "–" for model in models}
            rows.append({MEASURE: label, **numbers, PAPER: paper_cell(cells, group.objectives)})
    columns = (MEASURE, *models, *([PAPER] if any(row[PAPER] for row in rows) else []))
    kept = tuple({column: row[column] for column in columns} for row in rows)
    return ResultSection(task, group.heading, columns, kept, tuple(group.notes))


def measure_cell(measure: Measure) -> str:
    """Returns a value with its interval, or `undefined` for NaN."""
    return str(measure.estimate) if measure.estimate.value == measure.estimate.value else "undefined"


def paper_cell(cells: dict[str, Measure], objectives: Sequence[str]) -> str:
    """Returns the paper's figures for the same measure and the models' objectives; empty if it has none."""
    figures = published_for(next(iter(cells.values())), objectives)
    values = ", ".join(f"{figure.model} {figure.value:g}" for figure in figures)
    return f"{values} ({figures[0].data})" if figures else ""


def published_rows() -> list[dict[str, str]]:
    """Returns the paper's numbers: one row per measure, one column per model; a dash where it reports none."""
    values = {(p.metric, p.model): f"{p.value:g}" for p in PUBLISHED}
    return [
        {
            "measure": f"{metric.title} ({metric.unit})",
            **{model: values.get((metric, model), "–") for model in MODELS.values()},
            "data": metric.data,
        }
        for metric in dict.fromkeys(p.metric for p in PUBLISHED)
    ]


# files


def table_markdown(results: Sequence[Results]) -> bytes:
    """Returns the tables as `dream evaluate --show --markdown` prints them."""
    return ("\n".join(markdown_table(results)) + "\n").encode()


def table_json(results: Sequence[Results]) -> bytes:
    """Returns all entries with settings, data, seed and weights, one list per model."""
    tree = {result.name: [entry.to_dict() for entry in result.entries] for result in results}
    return json.dumps(tree, indent=1, allow_nan=False).encode()


def table_csv(results: Sequence[Results]) -> bytes:
    """Returns one row per measure and model, with its interval and the paper's figure if it has one."""
    columns = (
        "model",
        "objective",
        "step",
        "model_id",
        "weights",
        "task",
        "data",
        "seed",
        "settings_changed",
        "measure",
        "conditions",
        *NUMBERS,
        "paper",
        "paper_data",
    )
    rows: list[dict[str, object]] = []
    for result in results:
        for entry in result.entries:
            about: dict[str, object] = {
                "model": result.name,
                "objective": entry.objective,
                "step": entry.step,
                "model_id": entry.model_id,
                "weights": entry.weights,
                "task": entry.task,
                "data": entry.data,
                "seed": entry.seed,
                "settings_changed": " ".join(f"{key}={value}" for key, value in entry.changed.items()),
            }
            rows += [{**about, **_numbers(measure, entry.objective)} for measure in entry.measures]
    return csv_of(columns, ([row.get(column) for column in columns] for row in rows))


def _numbers(measure: Measure, objective: str) -> dict[str, object]:
    estimate = measure.estimate
    numbers = {name: value for name in NUMBERS if (value := getattr(estimate, name)) == value}
    row = {"measure": measure.name, "conditions": conditions(measure.where), **numbers}
    if metric_of(measure):
        figure = published_for(measure, [objective])[0]
        row |= {"paper": f"{figure.model} {figure.value:g}", "paper_data": figure.data}
    return row
