"""Evaluations that wait, run or ended, on the Evaluate page: followed, stopped, gone on with, forgotten."""

import time
from collections.abc import Callable, Sequence

import streamlit as st

from app.failures import guarded
from dream.console import duration
from workbench.evaluate.progress import EvaluationProgress, progress_of
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
SHOWN = 3
"""Evaluations that ended badly and are shown before others are folded away."""


def show_jobs(here: Workspace) -> None:
    """What runs and waits, looked at again every second; then what ended badly."""
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
    if st.session_state.setdefault("evaluate.seen", seen) != seen:
        st.session_state["evaluate.seen"] = seen
        st.rerun()  # the table has news
    for job in sorted((job for job in jobs if job.active), key=lambda job: job.queued):
        _active(here, job, progress[job.id])
    for job in _split(jobs)[0]:
        _ended(here, job)


def show_earlier(here: Workspace) -> None:
    """What ended, folded away: well, or badly and long ago."""
    rest = _split(list_jobs(here, "evaluate"))[1]
    if rest:
        with st.expander(f"Earlier evaluations ({len(rest)})"):
            for job in rest:
                _ended(here, job)


def _split(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """The ended ones that want attention, and the others."""
    ended = [job for job in jobs if not job.active]
    bad = [job for job in ended if job.state != "finished"][:SHOWN]
    return bad, [job for job in ended if job not in bad]


def _active(here: Workspace, job: Job, progress: EvaluationProgress) -> None:
    with st.container(border=True, gap="small"):
        title, button = st.columns([6, 1], vertical_alignment="center")
        title.markdown(_title(job))
        button.button(
            "Stop",
            key=f"do.evaluate.stop.{job.id}",
            on_click=_do,
            args=(stop_job, here, job.id),
            width="stretch",
            disabled=job.stop_asked is not None,
            help="What is measured stays; only the task at work is lost. Measuring again goes on from there.",
        )
        if job.state == "queued":
            st.caption(f"Waits for what is before it · {len(progress.questions)} tasks to measure")
            return
        now = progress.at_work
        doing = f"{now.model}: {now.task} on {now.data}" + (f", {now.note}" if now.note else "") if now else ""
        words = [doing or last_message(job) or "starting: opening the models", progress.left]
        st.progress(min(1.0, progress.share), text=" · ".join(filter(None, words)))
        _questions(progress)


def _questions(progress: EvaluationProgress) -> None:
    """A line a model and set: each task with its mark."""
    lines: dict[str, list[str]] = {}
    for each in progress.questions:
        note = f" {each.share:.0%}" if each.state == "at work" and each.share else ""
        note = f" {each.note}" if each.state == "done" else note
        lines.setdefault(f"{each.model} on {each.data}", []).append(f"{MARKS[each.state]} {each.task}{note}")
    for name, marks in lines.items():
        st.caption(f"{name}: " + " · ".join(marks))


def _ended(here: Workspace, job: Job) -> None:
    with st.container(border=True, gap="small"):
        title, again, log, forget = st.columns([5, 1, 1, 1], vertical_alignment="center")
        title.markdown(_title(job))
        again.button(
            "Go on" if job.state != "finished" else "Again",
            key=f"do.evaluate.again.{job.id}",
            on_click=_do,
            args=(_again, here, job),
            width="stretch",
            help="The same command once more; what it has measured is not measured again.",
        )
        with log.popover("Log", width="stretch", help="What the command said."):
            st.code(job.command, language="bash", wrap_lines=True)
            st.code(log_tail(job) or "It said nothing.", language="text", wrap_lines=True, height=300)
        forget.button(
            "Forget",
            key=f"do.evaluate.forget.{job.id}",
            on_click=_do,
            args=(forget_job, here, job.id),
            width="stretch",
            help="Takes it off this list, with its log; its results stay.",
        )
        if job.state in ("failed", "killed"):
            st.error(_why(job))
        elif job.state == "stopped":
            st.caption("Stopped. The tasks that were done are kept; Go on measures the rest.")


def _why(job: Job) -> str:
    """What became of a job that ended badly."""
    words = last_message(job)
    if job.state == "killed":
        said = f" Its last words: {words}" if words else ""
        return f"The process was gone without a word (killed, or the machine went off).{said}"
    return words or "It failed and said nothing."


def _title(job: Job) -> str:
    end = job.ended or time.time()
    took = f" · {duration(end - job.started)}" if job.started else ""
    begun = time.strftime("%d %b %H:%M", time.localtime(job.started or job.queued))
    return f"**{job.name}** :{COLOURS[job.state]}-badge[{job.state}] :gray[{begun}{took}]"


def _again(here: Workspace, job: Job) -> None:
    """The same command once more, in the place of the one that ended."""
    enqueue(here, "evaluate", job.name, job.arguments, job.out)
    forget_job(here, job.id)


def _do(action: Callable[..., object], *args: object) -> None:
    with guarded():
        action(*args)
