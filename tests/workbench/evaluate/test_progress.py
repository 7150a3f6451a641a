"""How far an evaluation is: folded from its events, or read from a job's file."""

from pathlib import Path

import pytest

from dream.evaluation.event_log import EventLog
from dream.evaluation.events import (
    BrokenDataFound,
    EvaluationEnded,
    Question,
    TaskAnswered,
    TaskAsked,
    TaskAtWork,
    TaskCached,
    TaskSkipped,
)
from dream.evaluation.tasks import TASKS
from tests.workbench.evaluate.sample_results import entry
from workbench.evaluate.progress import EvaluationProgress, activity, progress_of
from workbench.jobs.job import Job

ARGUMENTS = ("evaluate", "--model", "demo", "--model", "x=runs/a", "--tasks", "knn,losses")
ASKED = [Question(model, task, "shapes") for model in ("demo", "x") for task in ("losses", "knn")]
EVENTS = [
    *map(TaskAsked, ASKED),
    TaskAtWork(ASKED[0], 0.0, "", 125.0),
    TaskAnswered(ASKED[0], entry("losses", [], seconds=12.2)),
    BrokenDataFound("shapes", 1, {}),
    TaskCached(ASKED[1], entry("knn", [], seconds=3.0)),
    TaskSkipped(ASKED[2], entry("losses", [], skipped="it cannot: paint")),
    TaskAtWork(ASKED[3], 0.45, "features", 12.0),
]


def job(tmp_path: Path, events=(), state: str = "running", arguments: tuple[str, ...] = ARGUMENTS) -> Job:
    made = Job("1", "evaluate", "a", arguments, tmp_path, tmp_path / "1.log", state, 0.0)  # type: ignore[arg-type]
    if events:
        log = EventLog(made.progress)
        for event in events:
            log.write(event)
    return made


def states(progress: EvaluationProgress) -> list[str]:
    return [each.state for each in progress.questions]


def test_questions_are_in_the_order_in_which_they_are_asked(tmp_path):
    progress = progress_of(job(tmp_path, arguments=(*ARGUMENTS, "--data", "shapes", "--data", "birds")))
    assert [(q.question.model, q.question.data, q.question.task) for q in progress.questions] == [
        (model, data, task) for model in ("demo", "x") for data in ("shapes", "birds") for task in ("losses", "knn")
    ]
    assert progress.share == 0.0 and progress.at_work is None and progress.seconds_left is None


def test_the_events_say_what_is_done_at_work_and_skipped(tmp_path):
    progress = progress_of(job(tmp_path, EVENTS))
    assert states(progress) == ["done", "cached", "skipped", "at work"]
    assert progress.questions[0].note == "12 s" and progress.questions[2].note == "it cannot: paint"
    assert progress.at_work is not None and progress.at_work.note == "features"
    assert activity(progress.at_work) == "x: knn on shapes, features"
    assert progress.seconds_left == 12.0 and progress.ended == 3
    usual = TASKS["losses"].seconds + TASKS["knn"].seconds
    assert progress.share == pytest.approx((usual + TASKS["losses"].seconds + 0.45 * TASKS["knn"].seconds) / usual / 2)


def test_a_job_that_ended_is_at_work_at_nothing(tmp_path):
    progress = progress_of(job(tmp_path, EVENTS, "stopped"))
    assert states(progress) == ["done", "cached", "skipped", "waiting"]
    assert progress.seconds_left is None and progress.questions[3].share == 0.0


def test_a_job_that_was_started_again_counts_from_its_last_start(tmp_path):
    again = job(tmp_path, [*EVENTS, EvaluationEnded("")])
    job(tmp_path, EVENTS[:5])
    assert states(progress_of(again)) == ["at work", "waiting", "waiting", "waiting"]


@pytest.mark.parametrize("state", ["queued", "running", "finished", "failed"])
def test_a_job_of_an_earlier_version_that_wrote_no_events_waits(tmp_path, state):
    old = job(tmp_path, state=state)
    old.log.write_text("demo: losses on shapes: took 12 s\ndemo: knn on shapes, 5 s left in all\n")
    assert states(progress_of(old)) == ["waiting"] * 4


def test_an_unknown_task_is_no_failure(tmp_path):
    odd = progress_of(job(tmp_path, arguments=("evaluate", "--model", "demo", "--tasks", "gone")))
    assert odd.questions == () and odd.share == 0.0
    known = progress_of(job(tmp_path, [TaskAsked(Question("demo", "later", "shapes"))]))
    assert states(known) == ["waiting"] and known.share == 0.0
