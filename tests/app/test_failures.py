"""Failures on pages: one sentence for ours, details a click away and in the log for others."""

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Empty workspace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_failure_of_ours_is_one_sentence_without_details():
    def script():
        from app.failures import guarded
        from dream.errors import InputError

        with guarded():
            raise InputError("no such run: runs/x")

    app = AppTest.from_function(script, default_timeout=180).run()
    assert [error.value for error in app.error] == ["No such run: runs/x."]
    assert not app.exception and not app.expander


def test_any_other_failure_has_its_details_a_click_away_and_in_the_log(folder):
    def script():
        from app.failures import guarded

        with guarded():
            raise ZeroDivisionError("by zero")

    app = AppTest.from_function(script, default_timeout=180).run()
    assert len(app.error) == 1 and ".workbench/log.txt" in app.error[0].value
    assert "ZeroDivisionError: by zero" in app.expander[0].code[0].value
    assert "ZeroDivisionError: by zero" in (folder / ".workbench" / "log.txt").read_text()
    assert not app.exception
