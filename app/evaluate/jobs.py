"""Evaluation jobs on the Evaluate page: progress of queued and running ones, and a list of ended ones."""

import time
from collections.abc import Callable, Sequence

import streamlit as st

from app.failures import guarded
from app.keys import EVALUATE
from app.text import as_text
from dream.console import duration
from workbench.evaluate.progress import EvaluationProgress, activity, progress_of
from workbench.jobs.job import Job, last_message, log_tail
from workbench.jobs.queue import enqueue, forget_job, list_jobs, stop_job
from workbench.workspace import Workspace

EVERY_SECONDS = 1.0
MARKS = {"waiting": "○", "at work": "▸", "done": "✓", "cached": "✓", "skipped": "–"}
COLOURS = {
    "queued": "gray",
    "running": "blue",
    "finished": "green",
    "stopped": "orange",
    "failed": "red",
    "killed": "red",
}
SEEN = EVALUATE.name("seen")
"""Session key: ids, states and answers of the evaluations when the page was last drawn."""
SHOWN = 3
"""Number of failed or stopped evaluations that are shown outside of the list of earlier ones."""


def show_jobs(here: Workspace) -> None:
    """Shows running and queued evaluations, refreshed every second, then those that failed or were stopped."""
    active = any(job.active for job in list_jobs(here, "evaluate"))

    @st.fragment(run_every=EVERY_SECONDS if active else None)
    def watch() -> None:
        with guarded():
            _show(here)

    watch()


def _show(here: Workspace) -> None:
    jobs = list_jobs(here, "evaluate")
    progress = {job.id: progress_of(job) for job in jobs if job.active}
    seen = sorted((job.id, job.state, progress[job.id].ended if job.active else 0) for job in jobs)
    if st.session_state.setdefault(SEEN, seen) != seen:
        st.session_state[SEEN] = seen
        st.rerun()  # the table has new rows
    for job in sorted((job for job in jobs if job.active), key=lambda job: job.queued):
        _active(here, job, progress[job.id])
    for job in _split(jobs)[0]:
        _ended(here, job)


def show_earlier(here: Workspace) -> None:
    """Shows a collapsed list of the other ended evaluations."""
    rest = _split(list_jobs(here, "evaluate"))[1]
    if rest:
        with st.expander(f"Earlier evaluations ({len(rest)})"):
            for job in rest:
                _ended(here, job)


def _split(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Returns the ended jobs that need attention, and the other ended ones."""
    ended = [job for job in jobs if not job.active]
    bad = [job for job in ended if job.state != "finished"][:SHOWN]
    return bad, [job for job in ended if job not in bad]


def _active(here: Workspace, job: Job, progress: EvaluationProgress) -> None:
    with st.container(border=True, gap="small"):
        title, button = st.columns([6, 1], vertical_alignment="center")
        title.markdown(_title(job))
        button.button(
            "Stop",
            key=EVALUATE.action("stop", job.id),
            on_click=_do,
            args=(stop_job, here, job.id),
            width="stretch",
            disabled=job.stop_asked is not None,
            help="Only the current task is lost. Starting the evaluation again continues from there.",
        )
        if job.state == "queued":
            st.caption(f"Waiting for earlier jobs · {len(progress.questions)} tasks to measure")
            return
        now = activity(progress.at_work) if progress.at_work else "Opening the models"
        left = f" · {duration(progress.seconds_left)} left in all" if progress.seconds_left is not None else ""
        st.progress(min(1.0, progress.share), text=as_text(now + left))
        _questions(progress)


def _questions(progress: EvaluationProgress) -> None:
    """Shows one line per model and source, with the state of each task."""
    lines: dict[str, list[str]] = {}
    for each in progress.questions:
        note = f" {each.share:.0%}" if each.state == "at work" and each.share else ""
        note = f" {each.note}" if each.state == "done" else note
        asked = each.question
        lines.setdefault(f"{asked.model} on {asked.data}", []).append(f"{MARKS[each.state]} {asked.task}{note}")
    for name, marks in lines.items():
        st.caption(as_text(f"{name}: " + " · ".join(marks)))


def _ended(here: Workspace, job: Job) -> None:
    with st.container(border=True, gap="small"):
        title, again, log, forget = st.columns([5, 1, 1, 1], vertical_alignment="center")
        title.markdown(_title(job))
        again.button(
            "Continue" if job.state != "finished" else "Run again",
            key=EVALUATE.action("again", job.id),
            on_click=_do,
            args=(_again, here, job),
            width="stretch",
            help="Runs the same command again; finished tasks are not repeated.",
        )
        with log.popover("Log", width="stretch", help="Output of the command."):
            st.code(job.command, language="bash", wrap_lines=True)
            st.code(log_tail(job) or "No output.", language="text", wrap_lines=True, height=300)
        forget.button(
            "Remove",
            key=EVALUATE.action("forget", job.id),
            on_click=_do,
            args=(forget_job, here, job.id),
            width="stretch",
            help="Removes the job and its log from this list; its results stay.",
        )
        if job.state in ("failed", "killed"):
            st.error(as_text(_why(job)))
        elif job.state == "stopped":
            st.caption("Stopped. Results of finished tasks are kept; Continue measures the rest.")


def _why(job: Job) -> str:
    """Returns why a job failed, in a sentence."""
    output = last_message(job)
    if job.state == "killed":
        last = f" Its last output: {output}" if output else ""
        return f"The process ended without a message: it was killed, or the machine was switched off.{last}"
    return output or "The evaluation failed without a message."


def _title(job: Job) -> str:
    end = job.ended or time.time()
    took = f" · {duration(end - job.started)}" if job.started else ""
    begun = time.strftime("%d %b %H:%M", time.localtime(job.started or job.queued))
    return f"**{as_text(job.name)}** :{COLOURS[job.state]}-badge[{job.state}] :gray[{begun}{took}]"


def _again(here: Workspace, job: Job) -> None:
    """Queues the same command again, and removes the ended job."""
    enqueue(here, "evaluate", job.name, job.arguments, job.out)
    forget_job(here, job.id)


def _do(action: Callable[..., object], *args: object) -> None:
    with guarded():
        action(*args)
