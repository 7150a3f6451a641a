"""CSV files for download, with cells that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence

from dream.plain_text import cell_text


def csv_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Returns a CSV file with a line of headings and one line per row; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    return cell_text(value) if isinstance(value, str) else value
