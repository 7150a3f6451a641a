"""Work in the background ends in one of three ways, shows what it has, and stops when asked."""

import threading

from dream.errors import InputError
from workbench.work import Work

SECONDS = 20
"""More than any of these takes."""


def test_a_result_is_there_once_the_work_is_done():
    done = Work(lambda work: 3).wait(SECONDS)
    assert (done.state, done.result, done.share, done.seconds_left) == ("done", 3, 1.0, None)


def test_a_failure_is_kept_and_ours_is_told_from_others():
    def fails(error):
        def function(work):
            raise error

        return Work(function).wait(SECONDS)

    ours, other = fails(InputError("no such file")), fails(ZeroDivisionError())
    assert ours.state == other.state == "failed"
    assert ours.expected and not other.expected


def test_cancelled_work_stops_at_its_next_word_and_gives_no_result():
    first_word, go_on = threading.Event(), threading.Event()

    def function(work):
        work.tell(0.5, "half")
        first_word.set()
        go_on.wait(SECONDS)
        work.tell(0.6)
        return "never"

    work = Work(function)
    assert first_word.wait(SECONDS)
    assert work.running and work.text == "half" and work.seconds_left is not None
    work.cancel()
    go_on.set()
    work.wait(SECONDS)
    assert (work.state, work.result) == ("cancelled", None)


def test_progress_never_goes_back_and_partial_results_stay():
    def function(work):
        work.tell(0.7)
        work.tell(0.2)
        work.show("picture")
        return work.share

    work = Work(function).wait(SECONDS)
    assert work.result == 0.7 and work.partial == "picture"
