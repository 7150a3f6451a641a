"""Controls of the Masking page: they make a MaskingConfig. Preset, groups and moment stand open, the others unfold."""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from app.keys import MASKING
from app.links import LINKED
from app.number_fields import NumberFields
from dream.config import DreamConfig, MaskingConfig, ObjectiveConfig
from workbench.masking.form import GROUPS, SCHEDULES, SHAPES, Settings, masking_settings_of, values_of
from workbench.masking.settings import COUNTING, preset_of, presets

T = TypeVar("T")

GRID = 5
"""Tokens per side at first: those of the shipped model."""
MOST_GRID = 32
MOMENT = 30
"""Moment of the training shown at first, in percent."""
HEAT, RIDGES = "Heat map", "Ridges"

_key = MASKING.input


def masking_controls(pick_run: Callable[[], T]) -> tuple[Settings, str, T]:
    """Draws the controls; returns their settings, how to show the density, and what `pick_run` draws and returns.

    Raises InputError for a number out of range.
    """
    preset = st.container()
    groups, about = st.columns([1, 2], gap="large", vertical_alignment="center")
    with groups:
        _groups()
    about.caption("Each group of a batch draws one mask ratio: the more groups, the surer a batch trains both losses.")
    numbers = NumberFields()
    with st.expander("All settings, and a run to compare"):
        view, run = _unfolded(numbers, pick_run)
    with preset:
        _presets()
    numbers.require()
    return _read(), view, run


def moment_slider() -> None:
    """Draws the moment of the training that is shown."""
    st.slider(
        "Moment of the training",
        0,
        100,
        MOMENT,
        step=1,
        format="%d %%",
        key=_key("moment"),
        bind=LINKED,
        help="Moves everything below to this share of the training.",
    )


def apply(masking: MaskingConfig, objective: ObjectiveConfig, grid: int | None = None) -> None:
    """Sets the controls; only before they are drawn, or in a callback."""
    for name, value in _shown(masking, objective, grid).items():
        st.session_state[_key(name)] = float(value) if name == "grid" else value


def apply_config(config: DreamConfig) -> None:
    """Sets the controls to the masking of a configuration."""
    apply(config.masking, config.objective, config.image.grid)


def progress_shown() -> float:
    """Share of the training at the moment shown."""
    return float(_value("moment") / 100)


def _shown(masking: MaskingConfig, objective: ObjectiveConfig, grid: int | None = None) -> dict[str, Any]:
    """Values of the controls, as these hold them."""
    values = values_of(masking, objective, grid)
    return {**values, "times": tuple(map(round, values["times"]))}


_FIRST = {**_shown(MaskingConfig(), ObjectiveConfig(), GRID), "moment": MOMENT}
"""Values of the controls at first, by name; the address holds those that differ."""


def _value(name: str) -> Any:
    """Value of a control, drawn or not."""
    return st.session_state.get(_key(name), _FIRST[name])


def _linked(name: str) -> dict[str, Any]:
    """Options of the control of that name, for all kinds of controls but choices: first value, key and address."""
    return {"value": _FIRST[name], "key": _key(name), "bind": LINKED}


def _presets() -> None:
    """Draws the presets; the one with the settings of the other controls is lit."""
    st.session_state[_key("preset")] = preset_of(_read().masking)
    st.pills(
        "Preset",
        [preset.name for preset in presets()],
        key=_key("preset"),
        on_change=_take_preset,
        help="\n".join(f"- **{preset.name}**: {preset.about}" for preset in presets()),
    )


def _take_preset() -> None:
    name = st.session_state[_key("preset")]
    chosen = [preset.masking for preset in presets() if preset.name == name]
    if chosen:
        apply(chosen[0], ObjectiveConfig(**{name: _value(name) for name in COUNTING}))


def _read() -> Settings:
    return masking_settings_of({name: _value(name) for name in _FIRST}, ObjectiveConfig())


def _groups() -> None:
    st.select_slider(
        "Groups per batch",
        sorted({*GROUPS, _value("groups")}),
        **_linked("groups"),
        help="masking.groups: parts of a batch with a ratio each. The paper draws one per rank on 32 ranks, "
        "which is like 32 groups.",
    )


def _unfolded(numbers: NumberFields, pick_run: Callable[[], T]) -> tuple[str, T]:
    """Draws all other controls in three columns; returns how to show the density, and what `pick_run` returns."""
    location, spread, batch = st.columns(3, gap="large")
    schedule = _choice(location, "schedule", "Schedule", SCHEDULES, SCHEDULE_HELP)
    with location:
        if schedule in ("warmup", "constant"):
            _location(schedule)
    with spread:
        if schedule in ("warmup", "constant"):
            _spread()
        if schedule != "never":
            st.slider(
                "Allowed ratios",
                0.0,
                1.0,
                step=0.05,
                **_linked("interval"),
                help="masking.low and masking.high: no ratio outside is drawn.",
            )
    with batch:
        _batch()
        _counting(numbers)
    with batch:
        view = st.segmented_control(
            "Density as",
            [HEAT, RIDGES],
            default=HEAT,
            key=_key("view"),
            bind=LINKED,
            required=True,
            help="The same density seen from above, or as a stack of curves.",
        )
    return str(view), pick_run()


SCHEDULE_HELP = (
    "Warm-up moves the location of the mask ratios; Constant keeps it; Uniform draws every ratio equally often; "
    "None hides nothing."
)


def _choice(where: Any, name: str, label: str, choices: dict[str, str], about: str) -> str:
    chosen = where.segmented_control(
        label,
        list(choices),
        default=_FIRST[name],
        format_func=choices.__getitem__,
        key=_key(name),
        bind=LINKED,
        required=True,
        width="stretch",
        help=about,
    )
    return str(chosen)


def _location(schedule: str) -> None:
    if schedule == "warmup":
        st.slider(
            "Location at the start",
            -0.5,
            1.5,
            step=0.05,
            **_linked("center_start"),
            help="masking.center_start: location of the normal before the warm-up; not the mean ratio.",
        )
    st.slider(
        "Location at the end" if schedule == "warmup" else "Location",
        -0.5,
        1.5,
        step=0.05,
        **_linked("center_end"),
        help="masking.center_end: location of the normal after the warm-up.",
    )
    if schedule == "warmup":
        st.slider(
            "Warm-up (% of training)",
            0,
            100,
            step=1,
            format="%d %%",
            **_linked("times"),
            help="masking.hold and masking.warmup_end: the location moves between them and is constant outside.",
        )
        about = "masking.shape: Linear moves at constant speed; Cosine eases in and out."
        _choice(st, "shape", "Path", SHAPES, about)


def _spread() -> None:
    st.slider(
        "Spread" + (" at the start" if _value("widens") else ""),
        0.05,
        1.0,
        step=0.01,
        **_linked("std"),
        help="masking.std: standard deviation of the normal before truncation.",
    )
    st.toggle("Spread changes", **_linked("widens"), help="masking.std_end: another spread at the end.")
    st.toggle(
        "Limit to one spread",
        **_linked("moving"),
        help="masking.moving_interval: ratios are drawn within one spread of the location only.",
    )
    if _value("widens"):
        st.slider(
            "Spread at the end",
            0.05,
            1.0,
            step=0.01,
            **_linked("std_end"),
            help="masking.std_end: the spread changes linearly to this over the whole training.",
        )


def _batch() -> None:
    st.toggle(
        "Stratified groups",
        **_linked("stratified"),
        help="masking.stratified: each group draws from its own quantile band of the distribution.",
    )
    st.toggle(
        "Reserved groups",
        **_linked("shared"),
        help="masking.generation_share: some groups draw only ratios that count for generation, the others only "
        "ratios that count for contrast.",
    )
    if _value("shared"):
        groups = _value("groups")
        st.session_state[_key("for_generation")] = min(_value("for_generation"), groups)
        st.slider(
            f"Groups reserved for generation (of {groups})",
            0,
            groups,
            step=1,
            key=_key("for_generation"),
            bind=LINKED,
            help="Groups that draw only ratios that count for generation.",
        )


def _counting(numbers: NumberFields) -> None:
    st.slider(
        "Visible share for contrast",
        0.0,
        1.0,
        step=0.05,
        **_linked("min_visible"),
        help="objective.min_visible: least share of visible tokens at which the contrastive loss counts.",
    )
    st.slider(
        "Hidden share for generation",
        0.0,
        1.0,
        step=0.05,
        **_linked("min_masked"),
        help="objective.min_masked: least share of hidden tokens at which the generative loss counts.",
    )
    numbers.whole(
        st.container(),
        "Tokens per side",
        2,
        MOST_GRID,
        **_linked("grid"),
        help="5 x 5 in the shipped model, 16 x 16 in the paper. Ratios are rounded to whole tokens.",
    )
