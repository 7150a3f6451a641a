"""How far an evaluation is, told from its command and its log."""

from pathlib import Path

import pytest

from dream.evaluation.session import Inquiry as Asked
from dream.evaluation.session import _title
from dream.evaluation.tasks import TASKS
from workbench.evaluate.progress import progress_of
from workbench.jobs.job import Job

ARGUMENTS = ("evaluate", "--model", "demo", "--model", "x=runs/a", "--tasks", "knn,losses")


def job(tmp_path: Path, text: str, state: str = "running", arguments: tuple[str, ...] = ARGUMENTS) -> Job:
    log = tmp_path / "log"
    log.write_text(text)
    return Job("1", "evaluate", "a", arguments, tmp_path, log, state, 0.0)  # type: ignore[arg-type]


def states(progress) -> dict[str, str]:
    return {question.title: question.state for question in progress.questions}


def test_questions_are_in_the_order_in_which_they_are_asked(tmp_path):
    progress = progress_of(job(tmp_path, "", arguments=(*ARGUMENTS, "--data", "shapes", "--data", "birds")))
    assert [(q.model, q.data, q.task) for q in progress.questions] == [
        (model, data, task) for model in ("demo", "x") for data in ("shapes", "birds") for task in ("losses", "knn")
    ]
    assert progress.share == 0.0 and progress.at_work is None and progress.left == ""


def test_the_log_tells_what_is_done_at_work_and_skipped(tmp_path):
    text = (
        "demo: losses on shapes, 2 min 05 s left in all\ndemo: losses on shapes: took 12 s\n"
        "demo: knn on shapes: cached\nx: losses on shapes: skipped, it cannot: paint\n"
        "x: knn on shapes  45% features, 12 s left in all\n"
    )
    progress = progress_of(job(tmp_path, text))
    assert list(states(progress).values()) == ["done", "cached", "skipped", "at work"]
    assert progress.questions[0].note == "12 s" and progress.questions[2].note == "it cannot: paint"
    assert progress.at_work is not None and progress.at_work.note == "features"
    assert progress.left == "12 s left in all" and progress.ended == 3
    usual = TASKS["losses"].seconds + TASKS["knn"].seconds
    assert progress.share == pytest.approx((usual + TASKS["losses"].seconds + 0.45 * TASKS["knn"].seconds) / usual / 2)


def test_a_job_that_ended_is_at_work_at_nothing(tmp_path):
    text = "demo: losses on shapes: took 12 s\ndemo: knn on shapes, 5 s left in all\n"
    progress = progress_of(job(tmp_path, text, "stopped"))
    assert list(states(progress).values()) == ["done", "waiting", "waiting", "waiting"]
    assert progress.left == ""


def test_lines_are_those_that_the_walk_writes(tmp_path):
    asked = Asked("demo", TASKS["knn"], None, type("Entry", (), {"data": "shapes"})(), "")
    progress = progress_of(job(tmp_path, f"{_title(asked)}: took 3 s\n"))
    assert states(progress)["demo: knn on shapes"] == "done"


def test_a_missing_log_and_an_unknown_task_are_no_failure(tmp_path):
    there = job(tmp_path, "")
    there.log.unlink()
    assert progress_of(there).share == 0.0
    odd = progress_of(job(tmp_path, "", arguments=("evaluate", "--model", "demo", "--tasks", "gone")))
    assert odd.questions == () and odd.share == 0.0
