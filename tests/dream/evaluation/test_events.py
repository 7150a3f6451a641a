"""Events of an evaluation as JSON, in a file with sessions, and while a task runs."""

import json
import math
import os
import signal
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from dream.errors import InputError
from dream.evaluation import session
from dream.evaluation.event_log import EventLog, read_events
from dream.evaluation.events import (
    BrokenDataFound,
    ClassesRead,
    EvaluationEnded,
    Question,
    TaskAnswered,
    TaskAsked,
    TaskAtWork,
    TaskCached,
    TaskSkipped,
    event_from_dict,
    event_to_dict,
)
from dream.evaluation.results import TaskResult, read_results
from dream.evaluation.session import EvaluationRequest, evaluate, results_of
from dream.evaluation.statistics import Estimate, Measure
from dream.evaluation.task_thread import TaskThread
from dream.evaluation.tasks import Task
from dream.training import checkpoint
from dream.training.live_tensors import model_tensors
from tests.dream.evaluation.evaluation_small import small_pretrained

KNN = Question("demo", "knn", "shapes")
MEASURE = Measure("knn", "accuracy", {"k": 5}, Estimate(0.5, 0.4, 0.6, 9))
ENTRY = TaskResult("knn", "shapes", {"k": [5]}, {}, 0, "ema", "abc", {"level": 1}, measures=(MEASURE,), seconds=3.0)
EVENTS = [
    TaskAsked(KNN),
    TaskAtWork(KNN, 0.25, "features", 12.5),
    TaskAnswered(KNN, ENTRY),
    TaskSkipped(KNN, replace(ENTRY, measures=(), skipped="it cannot: paint")),
    TaskCached(KNN, ENTRY),
    ClassesRead("birds", "class folders: 2 classes, 8 train and 2 test pictures"),
    BrokenDataFound("birds", 2, {"broken picture": {"a.tar": {"count": 2, "first": [{"key": "x", "detail": ""}]}}}),
    EvaluationEnded("knn: not on this set"),
]


# records


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_json(event):
    assert event_from_dict(json.loads(json.dumps(event_to_dict(event)))) == event


def test_an_entry_without_numbers_survives_json():
    undefined = replace(MEASURE, estimate=Estimate(math.nan, math.nan, math.nan, 0))
    tree = json.dumps(event_to_dict(TaskAnswered(KNN, replace(ENTRY, measures=(undefined,)))), allow_nan=False)
    assert math.isnan(event_from_dict(json.loads(tree)).entry.measures[0].estimate.value)


def test_events_of_a_later_version_are_no_failure():
    assert event_from_dict({"event": "paused", "why": "lunch"}) is None
    asked = event_to_dict(TaskAsked(KNN))
    assert event_from_dict({**asked, "priority": 1, "question": {**asked["question"], "group": "x"}}) == TaskAsked(KNN)


# the file


def test_only_the_last_session_of_a_file_counts(tmp_path):
    path = tmp_path / "progress.jsonl"
    for events in (EVENTS, EVENTS[:2]):
        log = EventLog(path)
        for event in events:
            log.write(event)
    assert read_events(path) == EVENTS[:2]
    EventLog(path)
    assert read_events(path) == []


def test_torn_damaged_and_unknown_lines_are_skipped(tmp_path):
    path = tmp_path / "progress.jsonl"
    assert read_events(path) == []
    log = EventLog(path)
    log.write(EVENTS[0])
    with path.open("a") as file:
        file.write(
            '[]\n{"event": "answered"}\n{"event": "answered", "question": 3, "entry": {}}\n{"event": "paused"}\n'
        )
        file.write('{"event": "at wo')
    assert read_events(path) == EVENTS[:1]
    EventLog(path).write(EVENTS[1])
    assert read_events(path) == EVENTS[1:2]


def test_a_session_of_another_version_reads_as_empty(tmp_path):
    path = tmp_path / "progress.jsonl"
    EventLog(path).write(EVENTS[0])
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    assert read_events(path) == []


# the thread of a task


def test_a_thread_reports_progress_and_returns_what_its_function_returns():
    step = threading.Event()

    def function(progress):
        progress(0.5, "half way")
        step.wait(10)
        return 7

    with TaskThread(function) as thread:
        assert thread.runs_after(0.2) and thread.progress == (0.5, "half way")
        step.set()
        assert not thread.runs_after(10) and thread.result() == 7


def test_what_the_function_raises_is_raised_to_whoever_asks_for_its_result():
    def function(progress):
        raise InputError("no such set")

    with TaskThread(function) as thread:
        assert not thread.runs_after(10)
    with pytest.raises(InputError, match="no such set"):
        thread.result()


def stubborn(progress):
    """Swallows the first stop."""
    try:
        while True:
            time.sleep(0.01)
    except SystemExit:
        while True:
            progress(0.1, "still here")
            time.sleep(0.01)


def silent(progress):
    """Never reports progress."""
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("function", [silent, stubborn])
def test_leaving_early_stops_a_function_that_does_not_cooperate(function):
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), TaskThread(function) as thread:
        assert thread.runs_after(0.05)
        raise KeyboardInterrupt
    assert threading.active_count() == before


def test_a_real_ctrl_c_while_waiting_stops_the_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), TaskThread(silent) as thread:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        thread.runs_after(10)
    timer.join()
    assert threading.active_count() == before and not thread._thread.is_alive()


# the walk


@dataclass(frozen=True)
class FakeSettings:
    """Settings of the fake tasks."""

    size: int = 5


@dataclass(frozen=True)
class FakeTask(Task):
    """Counts at once, or never ends."""

    endless: bool = False

    def defaults(self):
        return FakeSettings()

    def measure(self, pretrained, data, settings, seed, progress):
        while self.endless:
            time.sleep(0.01)
        progress(0.5, "counting")
        return [Measure(self.name, "size", {"ratios": (0.1, 0.5)}, Estimate(settings.size, 0.0, 9.0, 9))]


COUNT = FakeTask("count", "counts", "", ("shapes",))
ENDLESS = FakeTask("endless", "never ends", "", ("shapes",), endless=True)


@pytest.fixture
def request_for(tmp_path, monkeypatch):
    """Makes a request to a small model for some tasks."""
    monkeypatch.setattr(session, "AT_WORK_SECONDS", 0.05)
    pretrained = small_pretrained(None)
    tensors = model_tensors(pretrained.model)
    averages = {name: tensors[name] for name, _ in pretrained.model.named_parameters()}
    state = checkpoint.TrainingState(3, pretrained.config, "shapes", None)
    checkpoint.write_checkpoint(tmp_path / "m", state, {"model": tensors, "ema": averages}, pretrained.tokenizer)
    return lambda *tasks: EvaluationRequest({"m": tmp_path / "m"}, tasks, ["shapes"], tmp_path / "out")


def test_every_question_is_asked_then_at_work_then_answered_and_the_end_is_last(request_for):
    request = request_for(COUNT)
    events = list(evaluate(request))
    assert [type(e) for e in events] == [TaskAsked, TaskAtWork, TaskAnswered, EvaluationEnded]
    assert {e.question for e in events[:-1]} == {Question("m", "count", "shapes")}
    assert events[2].entry == read_results(request.out / "m.json").entries[0], "as its file gives it back"
    assert results_of(request.models, [events[2]])[0].entries == (events[2].entry,)
    again = list(evaluate(request))
    assert [type(e) for e in again] == [TaskAsked, TaskCached, EvaluationEnded]
    assert again[1].entry == events[2].entry


def test_a_task_that_reports_nothing_is_at_work_again_and_again(request_for):
    with closing(evaluate(request_for(ENDLESS))) as events:
        asked, first, second = next(events), next(events), next(events)
    assert isinstance(asked, TaskAsked) and isinstance(first, TaskAtWork) and isinstance(second, TaskAtWork)
    assert second.share == 0.0 and second.seconds_left <= first.seconds_left


def test_at_work_events_come_at_most_so_often(request_for, monkeypatch):
    monkeypatch.setattr(FakeTask, "measure", lambda self, p, d, s, seed, progress: busy(progress))
    start = time.monotonic()
    events = [event for event in evaluate(request_for(COUNT)) if isinstance(event, TaskAtWork)]
    assert 1 < len(events) <= 2 + (time.monotonic() - start) / session.AT_WORK_SECONDS


def busy(progress):
    """Reports far more often than anybody reads."""
    for step in range(20_000):
        progress(step / 20_000, "busy")
    time.sleep(0.1)
    return [MEASURE]


def test_closing_keeps_the_answers_and_leaves_no_thread(request_for):
    before, request = threading.active_count(), request_for(COUNT, ENDLESS)
    events = evaluate(request)
    while not isinstance(event := next(events), TaskAtWork) or event.question.task != "endless":
        pass
    assert threading.active_count() == before + 1
    events.close()
    assert threading.active_count() == before
    assert [entry.task for entry in read_results(request.out / "m.json").entries] == ["count"]


def test_ctrl_c_while_a_task_is_at_work_leaves_no_thread(request_for):
    before, events = threading.active_count(), evaluate(request_for(ENDLESS))
    next(events)
    next(events)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)
    assert threading.active_count() == before
