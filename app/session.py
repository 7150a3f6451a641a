"""What every page shares: the workspace, cached models, work in the background, figures with their downloads,
failures as one sentence, and values carried from page to page. It decides nothing about DREAM.

Keys of widgets that hold a user's input begin with `in.` and outlive a change of page; keys of buttons,
uploads and charts begin with `do.`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import plotly.graph_objects as go
import streamlit as st

from dream.errors import InputError, RunError
from dream.pretrained import SHIPPED, Pretrained, checkpoint_of, load_pretrained
from workbench.figures import export, style
from workbench.opening import set_threads
from workbench.runs.folders import list_runs
from workbench.runs.words import duration as duration  # for pages
from workbench.runs.words import sentence as as_sentence
from workbench.work import Work
from workbench.workspace import Workspace, open_workspace

T = TypeVar("T")

LARGEST_SEED = 2**53 - 1
"""The browser's numbers are exact up to here."""
INPUT = "in."
"""How keys of widgets begin whose values outlive a change of page."""
SAVE = "save-"
"""How keys of the containers begin that hold a figure's downloads; they lie on its lower right corner."""
LOOKS = f"""<style>
[class*="st-key-{SAVE}"] {{ margin-top: -3.4rem; pointer-events: none; }}
[class*="st-key-{SAVE}"] button {{ pointer-events: auto; opacity: 0.75; }}
</style>"""
"""What Streamlit's theme cannot say."""
HANDED = "handed."
"""How keys begin under which one page leaves values for another."""


def keep_inputs() -> None:
    """Keeps what widgets of other pages hold; Streamlit forgets it otherwise when the page changes."""
    for key in list(st.session_state):
        if str(key).startswith(INPUT):
            st.session_state[key] = st.session_state[key]


def workspace() -> Workspace:
    """The workspace; its settings are read anew each time, so a change needs no restart."""
    return open_workspace()


def theme() -> str:
    """`light` or `dark`, as the reader's page is."""
    return "dark" if st.context.theme.type == "dark" else "light"


# failures


@contextmanager
def guarded() -> Iterator[None]:
    """Turns a failure inside into a sentence on the page; details are a click away and in the log."""
    try:
        yield
    except (InputError, RunError) as error:
        st.error(error_sentence(error))
    except Exception as error:  # Streamlit's own control flow is no Exception
        show_failure(error)


def show_failure(error: BaseException) -> None:
    """One sentence for a failure, with its details a click away if it is not one of ours."""
    if isinstance(error, (InputError, RunError)):
        st.error(error_sentence(error))
        return
    here = workspace()
    details = here.note_failure(error)
    st.error(
        f"Something went wrong that should not: {error_sentence(error)} The details are in {here.shown(here.log)}."
    )
    with st.expander("Details"):
        st.code(details, language="text", wrap_lines=True)


def error_sentence(error: BaseException) -> str:
    """The error's message as a sentence."""
    return as_sentence(str(error).strip() or type(error).__name__)


# models


def pretrained(model: str, *, ema: bool = True) -> Pretrained:
    """The model of this name or path; opened once for all tabs, again when its files change.

    Raises InputError as `load_pretrained` does.
    """
    folder = checkpoint_of(Path(model))
    stamp = max(file.stat().st_mtime_ns for file in folder.iterdir())
    found = _pretrained(str(folder), stamp, ema)
    set_threads(found)
    return found


@st.cache_resource(max_entries=3, show_spinner="Opening the model ...")
def _pretrained(folder: str, stamp: int, ema: bool) -> Pretrained:
    return load_pretrained(folder, ema=ema)


def models() -> list[str]:
    """Models to choose from: those shipped, then the workspace's runs that hold a checkpoint, newest
    first.
    """
    here = workspace()
    runs = [run.path for run in list_runs(here.runs)]
    return [*SHIPPED, *(here.shown(run) for run in runs if any(run.glob("checkpoints/*/state.json")))]


def pick_model(key: str, label: str = "Model", **options: Any) -> str:
    """A selection box of the models, or a path typed in; what `pretrained` takes. `key` without `in.`."""
    about = "A shipped model, a run of this workspace, or the path of a run or checkpoint."
    return workspace().model(choose_or_type(label, models(), INPUT + key, about, **options))


def choose_or_type(label: str, choices: Sequence[str], key: str, about: str, **options: Any) -> str:
    """A selection box that takes what is not listed too; at the beginning on the first choice."""
    given = st.session_state.get(key)
    if not given:
        st.session_state[key] = choices[0]
    elif given not in choices:
        choices = [given, *choices]
    return st.selectbox(label, choices, key=key, accept_new_options=True, help=about, **options)


# work in the background


def work(key: str) -> Work[Any] | None:
    """This tab's work of that name, if it was ever started."""
    return st.session_state.get(f"work.{key}")


def start_work(key: str, function: Callable[[Work[T]], T]) -> Work[T]:
    """Starts work of that name in this tab; what ran under it is asked to stop."""
    before = work(key)
    if before is not None:
        before.cancel()
    st.session_state[f"work.{key}"] = started = Work(function, key)
    return started


def show_progress(running: Work[Any], key: str) -> None:
    """A bar with what is being done and the time left, and a button that cancels."""
    left = running.seconds_left
    text = running.text or "starting"
    bar, button = st.columns([6, 1], vertical_alignment="center")
    bar.progress(running.share, text=text + (f" · {duration(left)} left" if left is not None else ""))
    button.button("Cancel", key=f"do.cancel.{key}", on_click=running.cancel, help="Stop this; nothing else is lost.")


def follow(key: str, show: Callable[[Work[Any]], None], every: float = 0.3) -> None:
    """Shows this tab's work of that name while it runs, again and again, then reruns the page once.

    `show` draws what `Work.partial` holds so far.
    """
    running = work(key)
    if running is None or not running.running:
        return

    @st.fragment(run_every=every)
    def watch() -> None:
        show_progress(running, key)
        show(running)
        if not running.running:
            st.rerun()

    watch()


# figures


def figure_of(plot: Callable[..., go.Figure], *given: Any) -> go.Figure:
    """What `plot` makes of plain values, in the page's theme; the same values are not drawn twice.

    All tabs share it: it must not be changed.
    """
    return _figure_of(f"{plot.__module__}.{plot.__qualname__}", given, theme(), plot)


@st.cache_resource(max_entries=64, show_spinner=False)
def _figure_of(name: str, given: tuple[Any, ...], theme: str, _plot: Callable[..., go.Figure]) -> go.Figure:
    return style.themed(_plot(*given), theme)


def show_figure(figure: go.Figure, key: str, *, alt: str, name: str = "", **options: Any) -> Any:
    """The figure in the page's theme, with its downloads below; what was selected in it, if anything.

    `alt` says what a reader who cannot see it should know; `name` is the files' name (default: the key).
    """
    name = name or key.replace(".", "-")
    style.themed(figure, theme())
    config = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": name},
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
    }
    event = st.plotly_chart(figure, key=f"do.{key}", theme=None, config=config, alt=alt, **options)
    with st.container(key=f"{SAVE}{name}", horizontal=True, horizontal_alignment="right"):
        _downloads(figure, key, name)
    return event


def _downloads(figure: go.Figure, key: str, name: str) -> None:
    """A small button with the figure as files; each is made when it is asked for."""
    with st.popover("Save", type="tertiary", width="content", help="This figure and its data as files."):
        for label, suffix, mime, make in (
            ("HTML, works offline", "html", "text/html", export.figure_html),
            ("Data as CSV", "csv", "text/csv", export.figure_csv),
            ("PNG", "png", "image/png", export.figure_png),
        ):
            if suffix == "png" and not export.can_draw_png():
                st.caption("PNG: by the camera at the chart's upper right.")
                continue
            st.download_button(
                label,
                data=lambda make=make: make(figure),
                file_name=f"{name}.{suffix}",
                mime=mime,
                key=f"do.{key}.{suffix}",
                on_click="ignore",
                width="stretch",
            )


# from page to page


def hand_over(page: str, **values: Any) -> None:
    """Opens the page of that address with these values, which it takes with `handed`."""
    st.session_state[HANDED + page] = values
    st.switch_page(f"{page}/page.py")


def handed(page: str) -> dict[str, Any]:
    """What another page left for this one; empty the second time."""
    return st.session_state.pop(HANDED + page, {})
