"""The form of the Evaluate page: models, data, tasks, settings, the command that they are, and its start."""

from collections.abc import Iterable, Sequence

import streamlit as st

from app.evaluate.settings import SETTINGS, show_settings
from app.failures import error_sentence, guarded
from app.models import models
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

PART, MODELS, SOURCES = "in.evaluate.part", "in.evaluate.models", "in.evaluate.sources"
OUT, SEED = "in.evaluate.out", "in.evaluate.seed"
RAW, OVERWRITE = "in.evaluate.raw", "in.evaluate.overwrite"
TASK = "in.evaluate.task."
WEIGHTS = {False: "averaged (EMA)", True: "raw"}


def prefer(names: Iterable[str], tasks: Sequence[str] = ()) -> None:
    """Opens the form with these models (and tasks) chosen."""
    st.session_state[PART] = "Measure"
    st.session_state[MODELS] = list(names)
    if tasks:
        tick_tasks(tasks)


def tick_tasks(tasks: Iterable[str], settings: Sequence[str] | None = None) -> None:
    """Ticks these tasks and no other."""
    wanted = set(tasks)
    for name in TASKS:
        st.session_state[TASK + name] = name in wanted
    if settings is not None:
        st.session_state[SETTINGS] = "\n".join(settings)


def show_evaluation_form(here: Workspace) -> None:
    """Everything from the choice of models to the button that starts."""
    plan = _models_and_data(here)
    found = _verdicts(here, plan)
    plan = EvaluationPlan(plan.models, _tasks(found), plan.sources)
    assignments = show_settings(plan.tasks)
    seed, raw, overwrite, out = _options(here)
    plan = EvaluationPlan(plan.models, plan.tasks, plan.sources, assignments, seed, raw, overwrite, out)
    _start(here, plan)


def _models_and_data(here: Workspace) -> EvaluationPlan:
    st.session_state.setdefault(MODELS, ["demo"])
    st.session_state.setdefault(SOURCES, ["shapes"])
    left, right = st.columns(2)
    chosen = left.multiselect(
        "Models",
        _with(models(), st.session_state[MODELS]),
        key=MODELS,
        accept_new_options=True,
        placeholder="Choose models, or type a path",
        help="Shipped models, runs of this workspace, or a typed path; NAME=PATH names the column.",
    )
    sources = right.multiselect(
        "Data",
        _with(list_sources(here), st.session_state[SOURCES]),
        key=SOURCES,
        accept_new_options=True,
        placeholder="Choose data, or type a path",
        help="shapes (drawn pictures with an answer key), a folder, 'shards-*.tar' or hf:owner/name[:split].",
    )
    return EvaluationPlan(tuple(chosen), (), tuple(sources))


def _with(options: Sequence[str], chosen: Iterable[str]) -> list[str]:
    """The options, and what was typed."""
    return list(dict.fromkeys([*options, *chosen]))


# tasks


def _verdicts(here: Workspace, plan: EvaluationPlan) -> dict[str, TaskFit]:
    """Of each task whether it fits; what cannot be opened is named and left out."""
    configs, sources = {}, []
    for model in plan.models:
        try:
            (word,) = named_apart(here, [model])
            configs[model_column(word)] = planned_config(here, word)
        except InputError as error:
            st.error(error_sentence(error))
    for source in plan.sources:
        try:
            sources += named_sources(here, [source])
        except InputError as error:
            st.error(error_sentence(error))
    return verdicts(configs, sources)


def _tasks(found: dict[str, TaskFit]) -> tuple[str, ...]:
    """The tasks that are ticked and fit."""
    for name in TASKS:
        st.session_state.setdefault(TASK + name, name in QUICK)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Tasks**")
        for key, label, names, settings, help_ in (
            ("quick", "First look", QUICK, QUICK_SETTINGS, "Few tasks, in small: about two minutes a model."),
            (
                "minutes",
                "All that take minutes",
                [n for n, t in TASKS.items() if not t.named_only],
                None,
                "Every task but those that take much longer, or say nothing of the model.",
            ),
            ("none", "None", [], None, "Tick none."),
        ):
            st.button(
                label,
                key=f"do.evaluate.{key}",
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
                    _task(found[name])
    return tuple(name for name in TASKS if st.session_state[TASK + name] and found[name].fits)


def _task(verdict: TaskFit) -> None:
    """A tick with what the task asks; why it does not fit, if it does not, or not everywhere."""
    task = verdict.task
    longer = " · only when ticked by hand" if task.named_only else ""
    st.checkbox(
        f"**{task.name}** {task.about} :gray[· {duration(task.seconds)}]",
        key=TASK + task.name,
        disabled=not verdict.fits,
        help=f"Needs {' or '.join(task.takes)}{longer}. Time: usual settings, a small model, two cores.",
    )
    for reason in verdict.reasons:
        st.caption(f"{'✗' if not verdict.fits else '–'} {reason}")


# other settings, and the start


def _options(here: Workspace) -> tuple[int, bool, bool, str]:
    st.session_state.setdefault(SEED, 0)
    st.session_state.setdefault(OUT, "results")
    seed, weights, folder, again = st.columns(4, vertical_alignment="bottom")
    folders = _with(["results", *result_folders(here)], [st.session_state[OUT]])
    return (
        int(
            seed.number_input(
                "Seed", min_value=0, step=1, key=SEED, help="Of pictures, masks, prompts, episodes and noise."
            )
        ),
        bool(
            weights.selectbox(
                "Weights",
                list(WEIGHTS),
                format_func=WEIGHTS.__getitem__,
                key=RAW,
                help="The average over the last steps, which all pages use, or the weights as they were trained.",
            )
        ),
        again.checkbox(
            "Measure anew",
            key=OVERWRITE,
            help="Otherwise what was measured with the same weights, data, settings and seed is taken.",
        ),
        str(
            folder.selectbox(
                "Results folder",
                folders,
                key=OUT,
                accept_new_options=True,
                help="Where the numbers are kept, a file a model; a folder below results makes another table.",
            )
            or "results"
        ),
    )


def _start(here: Workspace, plan: EvaluationPlan) -> None:
    try:
        plan, wrong = checked(here, plan), ""
    except InputError as error:
        wrong = error_sentence(error)
    if not wrong:
        st.code(command_line(plan.arguments()), language="bash", wrap_lines=True)
    button, words = st.columns([1, 4], vertical_alignment="center")
    button.button(
        "Measure",
        key="do.evaluate.start",
        type="primary",
        disabled=bool(wrong),
        width="stretch",
        on_click=queue_plan,
        args=(here, plan),
        help="Runs the command above; it goes on without this page.",
    )
    words.caption(wrong or f"About {duration(plan.seconds())} with the tasks' usual settings on two cores.")


def queue_plan(here: Workspace, plan: EvaluationPlan) -> None:
    """Puts the plan into the queue and shows the results, where it can be followed."""
    with guarded():
        plan = checked(here, plan)
        enqueue(here, "evaluate", plan.name, plan.arguments(), here.path(plan.out))
        st.session_state[PART] = "Results"
        st.toast(f"In the queue: {plan.name}. The top of the page shows how far it is.")
