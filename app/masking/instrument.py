"""What the Masking page shows of its settings at a moment of the training, with a run's ratios on top."""

from pathlib import Path

import streamlit as st

from app.failures import guarded
from app.figures import figure_of, show_figure
from app.keys import MASKING
from app.links import LINKED
from app.masking.controls import RIDGES, apply_config, progress_shown
from app.masking.pictures import masked_pictures
from dream.config import MaskingConfig, ObjectiveConfig
from dream.pretrained import SHIPPED
from workbench.figures import masking as figures
from workbench.masking.drawn import DrawnRatios, drawn_table, near, read_drawn
from workbench.masking.form import Settings
from workbench.masking.study import Moment, Schedule, at_moment, over_training
from workbench.runs.folders import list_runs
from workbench.workspace import open_workspace

RUN = MASKING.input("run")
NO_RUN = "none"
HOW = """
- A **ratio** is drawn for each group of a batch from a normal distribution truncated to the allowed ratios. Its
  *location* moves from 0 to 1; the *true mean* moves far less, because truncation keeps it inside.
- Below the blue line enough is visible to count for **contrast**, above the green line enough is hidden to count for
  **generation**; between them a draw counts for both. Early on most draws count for contrast, later for generation.
- A batch with one group often counts for only one of the two. **More groups** make both nearly certain;
  *Stratified groups* and *Reserved groups* make both certain with few.
"""


def show_instrument(settings: Settings, view: str, drawn: DrawnRatios | None) -> None:
    """Draws the moment in a sentence, as masks on a picture, and in the density over the training."""
    moment, schedule = _moment(settings), _schedule(settings)
    st.markdown(_sentence(moment, settings.masking.groups))
    masked_pictures(settings, moment.progress)
    show_figure(
        figure_of(figures.plot_ridges if view == RIDGES else figures.plot_density, schedule, moment.progress, drawn),
        MASKING.name("density"),
        name="mask-ratio-density",
        alt=f"Density of the mask ratio over the training; its mean goes from {schedule.mean[0]:.2f} to "
        f"{schedule.mean[-1]:.2f}.",
    )


def show_details(settings: Settings, drawn: DrawnRatios | None) -> None:
    """Draws the readings and the figures of draws, objectives and batches."""
    moment, schedule = _moment(settings), _schedule(settings)
    _show_readings(moment, settings)
    _show_figures(schedule, moment, drawn)


def _moment(settings: Settings) -> Moment:
    return _at_moment(progress_shown(), settings.masking, settings.objective, settings.num_tokens)


def _schedule(settings: Settings) -> Schedule:
    return _over_training(settings.masking, settings.objective, settings.num_tokens)


def _sentence(moment: Moment, groups: int) -> str:
    shares, batch = moment.shares, "one group" if groups == 1 else f"{groups} groups"
    return (
        f"At **{moment.progress:.0%}** of the training **{moment.mean:.0%}** of a picture is hidden on average. "
        f":blue[**{shares.contrast:.0%}** of the draws leave enough visible for contrast], :green[**"
        f"{shares.generation:.0%}** hide enough for generation], :orange[**{shares.both:.0%}** do both]. "
        f"A batch of {batch} trains both with a chance of **{moment.chance:.0%}**."
    )


def _show_readings(moment: Moment, settings: Settings) -> None:
    shares, groups = moment.shares, settings.masking.groups
    with st.container(horizontal=True):
        for name, value, about in (
            (
                "Location",
                "-" if moment.center is None else f"{moment.center:.2f}",
                "Location of the normal at this moment; not the mean of the ratios.",
            ),
            (
                "True mean ratio",
                f"{moment.mean:.2f}",
                "Mean of the ratios drawn: truncation to the allowed ratios keeps it well inside.",
            ),
            ("Contrast draws", f"{shares.contrast:.0%}", "Share of the draws with enough visible tokens for contrast."),
            ("Generation draws", f"{shares.generation:.0%}", "Share of the draws with enough hidden tokens."),
            ("Both losses", f"{shares.both:.0%}", "Share of the draws that count in both losses."),
            (
                "Batch has both",
                f"{moment.chance:.1%}",
                f"Chance that a batch of {groups} group{'s' * (groups > 1)} counts for contrast and for generation.",
            ),
        ):
            st.metric(name, value, help=about)


def _show_figures(schedule: Schedule, moment: Moment, drawn: DrawnRatios | None) -> None:
    at, run = moment.progress, drawn.name if drawn else ""
    left, right = st.columns(2)
    with left:
        show_figure(
            figure_of(figures.plot_moment, moment, near(drawn, at) if drawn else None, run),
            MASKING.name("moment"),
            name="mask-ratio-draws",
            alt=f"Histogram of draws at {at:.0%} of the training, and closed form; mean {moment.mean:.2f}.",
        )
        show_figure(
            figure_of(figures.plot_chance, schedule, at),
            MASKING.name("chance"),
            name="both-regimes",
            alt=f"Chance that a batch holds both regimes, by number of groups; now {moment.chance:.0%}.",
        )
    with right:
        show_figure(
            figure_of(figures.plot_shares, schedule, at, drawn),
            MASKING.name("shares"),
            name="draws-by-loss",
            alt=f"Shares of draws over the training; now contrast {moment.shares.contrast:.0%}, generation "
            f"{moment.shares.generation:.0%}, both {moment.shares.both:.0%}.",
        )
        _show_counted(moment, drawn)


def _show_counted(moment: Moment, drawn: DrawnRatios | None) -> None:
    """Draws the table of closed form, draws and run, and how to read the figures."""
    with st.container(border=True):
        rows = drawn_table(moment, drawn)
        st.markdown(f"**Closed form and draws at {moment.progress:.0%} of the training**")
        st.table(rows, border="horizontal")
    with st.expander("How to read this"):
        st.markdown(HOW)


def pick_run() -> DrawnRatios | None:
    """Draws the choice of the run to overlay, and a button that takes over its settings."""
    folders = {f"{name} (shipped)": folder for name, folder in SHIPPED.items()}
    folders |= {run.path.name: run.path for run in list_runs(open_workspace().runs)}
    if st.session_state.get(RUN, NO_RUN) not in folders:
        st.session_state.pop(RUN, None)  # deleted meanwhile
    box, button, _ = st.columns([1.6, 1, 1.4], vertical_alignment="bottom")
    name = box.selectbox(
        "Overlay a run",
        [NO_RUN, *folders],
        key=RUN,
        bind=LINKED,
        help="Ratios from its log: dots in the density, marks in the shares and an outline in the histogram.",
    )
    drawn = None
    if name != NO_RUN:
        with guarded():
            log = folders[name] / "metrics.jsonl"
            drawn = _read_drawn(str(folders[name]), folders[name].name, log.stat().st_mtime_ns if log.exists() else 0)
    button.button(
        "Use its settings",
        key=MASKING.action("use"),
        on_click=_use,
        args=(drawn,),
        disabled=drawn is None,
        width="stretch",
        help="Sets the controls to those that the run was trained with.",
    )
    return drawn


def _use(drawn: DrawnRatios) -> None:
    apply_config(drawn.config)


@st.cache_data(max_entries=64, show_spinner=False)
def _over_training(masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int) -> Schedule:
    return over_training(masking, objective, num_tokens)


@st.cache_data(max_entries=128, show_spinner=False)
def _at_moment(progress: float, masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int) -> Moment:
    return at_moment(progress, masking, objective, num_tokens)


@st.cache_data(max_entries=8, show_spinner="Reading the run's log ...")
def _read_drawn(folder: str, name: str, stamp: int) -> DrawnRatios:
    return read_drawn(Path(folder), name)
