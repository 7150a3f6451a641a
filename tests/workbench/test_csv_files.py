"""CSV files hold texts whole, and no cell that a spreadsheet would compute."""

import csv
import io

from tests.app.texts import TEXTS
from workbench.csv_files import csv_of


def test_texts_come_back_as_they_were_and_formulas_with_an_apostrophe():
    odd = [*TEXTS, "=WEBSERVICE(A1)", "@a", 'a "quoted", text', None, -0.5, "-0.5"]
    lines = list(csv.reader(io.StringIO(csv_of(("=name", "text"), [("x", text) for text in odd]).decode(), newline="")))
    assert lines[0] == ["'=name", "text"] and all(len(line) == 2 for line in lines)
    for text, (_, cell) in zip(odd, lines[1:], strict=True):
        wanted = "" if text is None else str(text)
        assert cell in (wanted, f"'{wanted}")
    assert [cell[:2] for _, cell in lines[-6:]] == ["'=", "'@", "a ", "", "-0", "-0"]
