"""The form of the Evaluate page: models, data, tasks and settings, and the command that they make."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import streamlit as st

from app.evaluate.settings import SETTINGS, show_settings
from app.failures import error_sentence, guarded
from app.keys import EVALUATE, LARGEST_SEED
from app.links import LINKED
from app.models import models
from app.number_fields import NumberFields
from app.text import as_text
from dream.config import DreamConfig
from dream.console import duration
from dream.errors import InputError
from dream.evaluation.tasks import TASKS
from workbench.evaluate.plan import (
    GROUPS,
    QUICK,
    QUICK_SETTINGS,
    EvaluationPlan,
    TaskFit,
    checked,
    model_column,
    named_apart,
    named_sources,
    planned_config,
    verdicts,
)
from workbench.evaluate.results import result_folders
from workbench.jobs.job import command_line
from workbench.jobs.queue import enqueue
from workbench.sources.places import list_sources
from workbench.workspace import Workspace

PART, MODELS, SOURCES = EVALUATE.input("part"), EVALUATE.input("models"), EVALUATE.input("sources")
OUT, SEED = EVALUATE.input("out"), EVALUATE.input("seed")
RAW, OVERWRITE = EVALUATE.input("raw"), EVALUATE.input("overwrite")
TASK = EVALUATE.input("task.")
WEIGHTS = {False: "averaged (EMA)", True: "raw"}


def prefer(names: Iterable[str], tasks: Sequence[str] = ()) -> None:
    """Opens the form with these models (and tasks) selected."""
    st.session_state[PART] = "Measure"
    st.session_state[MODELS] = list(names)
    if tasks:
        tick_tasks(tasks)


def tick_tasks(tasks: Iterable[str], settings: Sequence[str] | None = None) -> None:
    """Selects these tasks and no others."""
    wanted = set(tasks)
    for name in TASKS:
        st.session_state[TASK + name] = name in wanted
    if settings is not None:
        st.session_state[SETTINGS] = "\n".join(settings)


def show_evaluation_form(here: Workspace) -> None:
    """Shows the whole form, from the choice of models to the start button."""
    models_chosen, sources = _models_and_data(here)
    tasks = _tasks(_fits(here, models_chosen, sources))
    assignments = show_settings(tasks)
    fields = NumberFields()
    plan = _with_options(here, EvaluationPlan(models_chosen, tasks, sources, assignments), fields)
    _start(here, plan, fields)


def _models_and_data(here: Workspace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    left, right = st.columns(2)
    chosen = left.multiselect(
        "Models",
        _with(models(), st.session_state.get(MODELS, [])),
        default=["demo"],
        key=MODELS,
        bind=LINKED,
        accept_new_options=True,
        placeholder="Choose models, or type a path",
        help="Shipped models, runs of this workspace, or a path; NAME=PATH names the column.",
    )
    sources = right.multiselect(
        "Data",
        _with(list_sources(here), st.session_state.get(SOURCES, [])),
        default=["shapes"],
        key=SOURCES,
        bind=LINKED,
        accept_new_options=True,
        placeholder="Choose data, or type a path",
        help="shapes (drawn pictures with an answer key), a folder, 'shards-*.tar' or hf:owner/name[:split].",
    )
    return tuple(chosen), tuple(sources)


def _with(options: Sequence[str], chosen: Iterable[str]) -> list[str]:
    """Returns the options and what was typed."""
    return list(dict.fromkeys([*options, *chosen]))


# tasks


def _fits(here: Workspace, models_chosen: Sequence[str], words: Sequence[str]) -> dict[str, TaskFit]:
    """Returns for each task whether it fits; shows what cannot be opened, and leaves it out."""
    configs: dict[str, DreamConfig] = {}
    sources: list[str] = []
    for model in models_chosen:
        try:
            (word,) = named_apart(here, [model])
            configs[model_column(word)] = planned_config(here, word)
        except InputError as error:
            st.error(error_sentence(error))
    for source in words:
        try:
            sources += named_sources(here, [source])
        except InputError as error:
            st.error(error_sentence(error))
    return verdicts(configs, sources)


def _tasks(fits: dict[str, TaskFit]) -> tuple[str, ...]:
    """Shows the tasks; returns those that are selected and fit."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Tasks**")
        for key, label, names, settings, help_ in (
            ("quick", "First look", QUICK, QUICK_SETTINGS, "A few small tasks: about two minutes per model."),
            (
                "minutes",
                "All quick tasks",
                [n for n, t in TASKS.items() if not t.named_only],
                None,
                "All tasks except those that take much longer or do not measure the model.",
            ),
            ("none", "None", [], None, "Deselect all tasks."),
        ):
            st.button(
                label,
                key=EVALUATE.action(key),
                help=help_,
                type="tertiary",
                on_click=tick_tasks,
                args=(names, settings),
            )
    columns = st.columns(2)
    sides = (("Captions and pictures", "Choosing"), ("Frozen features", "Painting"))
    for column, groups in zip(columns, sides, strict=True):
        for group in groups:
            with column.container(border=True, gap="small"):
                st.markdown(f"**{group}**")
                for name in GROUPS[group]:
                    _task(fits[name])
    return tuple(name for name in TASKS if st.session_state[TASK + name] and fits[name].fits)


def _task(fit: TaskFit) -> None:
    """Shows a task's checkbox, and the reasons why it does not fit some models or data."""
    task = fit.task
    longer = " · only when selected by hand" if task.named_only else ""
    st.checkbox(
        f"**{task.name}** {task.about} :gray[· {duration(task.seconds)}]",
        value=task.name in QUICK,
        key=TASK + task.name,
        bind=LINKED,
        disabled=not fit.fits,
        help=f"Needs {' or '.join(task.takes)}{longer}. The time is for default settings, a small model and two cores.",
    )
    for reason in fit.reasons:
        st.caption(f"{'✗' if not fit.fits else '–'} {as_text(reason)}")


# other settings, and the start


def _with_options(here: Workspace, plan: EvaluationPlan, fields: NumberFields) -> EvaluationPlan:
    """Shows seed, weights, results folder and overwriting; returns the plan with them."""
    seed, weights, folder, again = st.columns(4, vertical_alignment="bottom")
    folders = _with(["results", *result_folders(here)], [st.session_state.get(OUT) or "results"])
    number = fields.whole(
        seed,
        "Seed",
        0,
        LARGEST_SEED,
        key=SEED,
        bind=LINKED,
        help="Seed of pictures, masks, prompts, episodes and noise.",
    )
    raw = weights.selectbox(
        "Weights",
        list(WEIGHTS),
        format_func=WEIGHTS.__getitem__,
        key=RAW,
        bind=LINKED,
        help="The average over the last steps, which all pages use, or the raw weights of the last step.",
    )
    overwrite = again.checkbox(
        "Measure again",
        key=OVERWRITE,
        bind=LINKED,
        help="If off, results with the same weights, data, settings and seed are reused.",
    )
    out = folder.selectbox(
        "Results folder",
        folders,
        key=OUT,
        bind=LINKED,
        accept_new_options=True,
        help="Folder of the numbers, one file per model; another folder below results makes a separate table.",
    )
    return replace(plan, seed=number, raw=bool(raw), overwrite=overwrite, out=str(out or "results"))


def _start(here: Workspace, plan: EvaluationPlan, fields: NumberFields) -> None:
    try:
        fields.require()
        plan, wrong = checked(here, plan), ""
    except InputError as error:
        wrong = error_sentence(error)
    if not wrong:
        st.code(command_line(plan.arguments()), language="bash", wrap_lines=True)
    button, words = st.columns([1, 4], vertical_alignment="center")
    button.button(
        "Measure",
        key=EVALUATE.action("start"),
        type="primary",
        disabled=bool(wrong),
        width="stretch",
        on_click=queue_plan,
        args=(here, plan),
        help="Runs the command above; it continues if you leave this page.",
    )
    words.caption(wrong or f"About {duration(plan.seconds())} with the tasks' default settings on two cores.")


def queue_plan(here: Workspace, plan: EvaluationPlan) -> None:
    """Adds the plan to the queue and opens the results, where its progress is shown."""
    with guarded():
        plan = checked(here, plan)
        enqueue(here, "evaluate", plan.name, plan.arguments(), here.path(plan.out))
        st.session_state[PART] = "Results"
        st.toast(f"Queued: {as_text(plan.name)}. Its progress is at the top of the page.")
