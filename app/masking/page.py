"""The Masking page: the schedule of the mask ratio as an instrument, and the way from there to a training."""

from pathlib import Path

import streamlit as st

from app.failures import guarded
from app.figures import figure_of, show_figure
from app.masking.controls import KEY, apply_config, masking_controls
from app.masking.pictures import masked_pictures
from app.masking.take import take_along
from dream.config import MaskingConfig, ObjectiveConfig
from dream.pretrained import SHIPPED
from workbench.figures import masking as figures
from workbench.masking.drawn import DrawnRatios, drawn_table, near, read_drawn
from workbench.masking.form import Settings
from workbench.masking.settings import check_masking
from workbench.masking.study import Moment, Schedule, at_moment, over_training
from workbench.runs.folders import list_runs
from workbench.workspace import open_workspace

NO_RUN = "none"
HEAT, RIDGES = "Heat map", "Ridges"
HOW = """
- A **ratio** is drawn for each group of a batch from a normal that is cut to the allowed ratios. Its
  *location* moves from 0 to 1; the *true mean* moves far less, since the cut holds it inside.
- Below the blue line enough is visible for **contrast**, above the green line enough is hidden for
  **generation**; between them a draw trains both. Early most draws train contrast, late most generation.
- One group a batch often trains only one of the two. **More groups** make it nearly certain that both are
  there; *Spread evenly* and *Shared out* make it certain with few.
"""


def render() -> None:
    """Show the page."""
    st.title("Masking")
    st.caption(
        "Contrast learns from pictures that are mostly visible, generation from pictures that are mostly "
        "hidden. Masking Warmup moves the share that is hidden over the training, so that every batch has "
        "some of both. Turn the controls and see what the draws train."
    )
    left, right = st.columns([1, 2.9], gap="medium")
    with left.container(border=True):
        settings = masking_controls()
    with right, guarded():
        check_masking(settings.masking, settings.objective)
        _instrument(settings)
        masked_pictures(settings, _progress())
        st.subheader("Take it along")
        take_along(settings)


def _instrument(settings: Settings) -> None:
    st.session_state.setdefault(KEY + "moment", 30)
    st.session_state.setdefault(KEY + "view", HEAT)
    readings = st.container()
    st.slider(
        "Moment (% of the training)",
        0,
        100,
        step=1,
        format="%d %%",
        key=KEY + "moment",
        help="Moves the readings above, the upright line in the figures, the histogram and the masks.",
    )
    how, run = st.columns([1, 2.4], vertical_alignment="bottom")
    with how:
        st.segmented_control(
            "Density as",
            [HEAT, RIDGES],
            key=KEY + "view",
            required=True,
            help="The same density from above, or as a row of curves.",
        )
    with run:
        drawn = _pick_run()
    schedule = _over_training(settings.masking, settings.objective, settings.num_tokens)
    moment = _at_moment(_progress(), settings.masking, settings.objective, settings.num_tokens)
    with readings:
        _show_readings(moment, settings)
    _show_figures(schedule, moment, drawn)


def _show_readings(moment: Moment, settings: Settings) -> None:
    shares, groups = moment.shares, settings.masking.groups
    with st.container(horizontal=True):
        for name, value, text in (
            (
                "Location",
                "-" if moment.center is None else f"{moment.center:.2f}",
                "Where the normal sits at this moment; not where the ratios are on average.",
            ),
            (
                "True mean ratio",
                f"{moment.mean:.2f}",
                "Mean of the ratios drawn: cutting the normal to the allowed ratios holds it well inside.",
            ),
            ("Train contrast", f"{shares.contrast:.0%}", "Share of the draws with enough visible tokens."),
            ("Train generation", f"{shares.generation:.0%}", "Share of the draws with enough hidden tokens."),
            ("Train both", f"{shares.both:.0%}", "Share of the draws that count in both losses."),
            (
                "Batch has both",
                f"{moment.chance:.1%}",
                f"Chance that a batch of {groups} group{'s' * (groups > 1)} trains contrast and generation.",
            ),
        ):
            st.metric(name, value, help=text)


def _show_figures(schedule: Schedule, moment: Moment, drawn: DrawnRatios | None) -> None:
    at, run = moment.progress, drawn.name if drawn else ""
    heat = st.session_state[KEY + "view"] == HEAT
    show_figure(
        figure_of(figures.plot_density if heat else figures.plot_ridges, schedule, at, drawn),
        "masking.density",
        name="mask-ratio-density",
        alt=f"Density of the mask ratio over the training; its mean goes from {schedule.mean[0]:.2f} to "
        f"{schedule.mean[-1]:.2f}.",
    )
    left, right = st.columns(2)
    with left:
        show_figure(
            figure_of(figures.plot_moment, moment, near(drawn, at) if drawn else None, run),
            "masking.moment",
            name="mask-ratio-draws",
            alt=f"Histogram of draws at {at:.0%} of the training, and closed form; mean {moment.mean:.2f}.",
        )
        show_figure(
            figure_of(figures.plot_chance, schedule, at),
            "masking.chance",
            name="both-regimes",
            alt=f"Chance that a batch holds both regimes, by number of groups; now {moment.chance:.0%}.",
        )
    with right:
        show_figure(
            figure_of(figures.plot_shares, schedule, at, drawn),
            "masking.shares",
            name="what-draws-train",
            alt=f"Shares of draws over the training; now contrast {moment.shares.contrast:.0%}, generation "
            f"{moment.shares.generation:.0%}, both {moment.shares.both:.0%}.",
        )
        _show_counted(moment, drawn)


def _show_counted(moment: Moment, drawn: DrawnRatios | None) -> None:
    """Closed form, draws and the run side by side, and how to read all this."""
    with st.container(border=True):
        rows = drawn_table(moment, drawn)
        st.markdown(f"**Closed form and draws at {moment.progress:.0%} of the training**")
        st.table(rows, border="horizontal")
    with st.expander("How to read this"):
        st.markdown(HOW)


def _pick_run() -> DrawnRatios | None:
    """The run that is to be laid over the figures, with a button that takes its settings."""
    folders = {f"{name} (shipped)": folder for name, folder in SHIPPED.items()}
    folders |= {run.path.name: run.path for run in list_runs(open_workspace().runs)}
    key = KEY + "run"
    if st.session_state.get(key) not in folders:
        st.session_state[key] = NO_RUN
    pick, button = st.columns([1.6, 1], vertical_alignment="bottom")
    name = pick.selectbox(
        "Lay over what a run drew",
        [NO_RUN, *folders],
        key=key,
        help="Dots in the density, marks in the shares and an outline in the histogram: ratios from its log.",
    )
    drawn = None
    if name != NO_RUN:
        with guarded():
            log = folders[name] / "metrics.jsonl"
            drawn = _read_drawn(str(folders[name]), folders[name].name, log.stat().st_mtime_ns if log.exists() else 0)
    button.button(
        "Use its settings",
        key="do.masking.use",
        on_click=_use,
        args=(drawn,),
        disabled=drawn is None,
        width="stretch",
        help="Sets the controls to what the run was trained with.",
    )
    return drawn


def _use(drawn: DrawnRatios) -> None:
    apply_config(drawn.config)


def _progress() -> float:
    return float(st.session_state[KEY + "moment"] / 100)


@st.cache_data(max_entries=64, show_spinner=False)
def _over_training(masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int) -> Schedule:
    return over_training(masking, objective, num_tokens)


@st.cache_data(max_entries=128, show_spinner=False)
def _at_moment(progress: float, masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int) -> Moment:
    return at_moment(progress, masking, objective, num_tokens)


@st.cache_data(max_entries=8, show_spinner="Reading the run's log ...")
def _read_drawn(folder: str, name: str, stamp: int) -> DrawnRatios:
    return read_drawn(Path(folder), name)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
