"""Work beside the kernel's thread is shown, can be cancelled, and its failures are a sentence."""

import threading
from pathlib import Path

import ipywidgets
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from dream.errors import InputError
from workbench.widgets.instrument import Instrument


class Counter(Instrument[int]):
    """Counts to three when told, and shows how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[int] = []
        self.go = threading.Event()
        self.slider = ipywidgets.IntSlider()
        self.react(self.slider, self._slid)

    def count(self) -> None:
        def work(at):
            for number in (1, 2, 3):
                at.show(number)
                while not self.go.wait(0.02):
                    at.check()
                at.tell(number / 3, f"number {number}")
            return 3

        self.begin(work, show=self.shown.append, done=lambda result: setattr(self, "result", result))

    def _slid(self, value):
        if value > 50:
            raise InputError("at most 50")


def said(box):
    return box._note.value


def test_what_it_shows_comes_meanwhile_and_the_result_at_the_end():
    box = Counter()
    box.count()
    assert box.running and box.result is None and box._strip.layout.display == "flex"
    box.go.set()
    assert box.wait(30).result == 3 and not box.running
    assert box.shown == sorted(box.shown) and box._strip.layout.display == "none" and not said(box)


def test_cancelling_by_its_button_keeps_what_was_shown():
    box = Counter()
    box.count()
    box._strip.button.click()
    assert box.wait(30).result is None and "Cancelled" in said(box)


def test_new_work_replaces_what_runs_and_that_is_heard_no_more():
    box = Counter()
    box.count()
    box.begin(lambda work: 7, done=lambda result: setattr(box, "result", result))
    assert box.wait(30).result == 7
    box.go.set()
    assert box.result == 7


def test_a_failure_is_a_sentence_and_wait_raises_it():
    box = Counter()
    box.begin(lambda work: Path("/nowhere/at/all").read_text())
    with pytest.raises(FileNotFoundError):
        box.wait(30)
    assert "Unexpected error (FileNotFoundError)" in said(box)
    box.slider.value = 60
    assert said(box).count("at most 50") == 1
    box.slider.value = 40
    assert not said(box)


def test_a_notebook_shows_our_errors_without_a_traceback(capsys):
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("from dream.errors import InputError\nraise InputError('no such model: name another')")
    told = capsys.readouterr().out
    assert "InputError: no such model: name another" in told and "Traceback" not in told
