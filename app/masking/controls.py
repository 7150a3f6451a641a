"""Controls of the Masking page: they make a MaskingConfig."""

import streamlit as st

from app.keys import MASKING
from dream.config import DreamConfig, MaskingConfig, ObjectiveConfig
from workbench.masking.form import GROUPS, SCHEDULES, SHAPES, Settings, masking_settings_of, values_of
from workbench.masking.settings import COUNTING, preset_of, presets

GRID = 5
"""Tokens per side at first: those of the shipped model."""

_key = MASKING.input


def masking_controls() -> Settings:
    """Draws the controls and returns their settings."""
    _defaults()
    st.session_state[_key("preset")] = preset_of(_read().masking)
    st.pills(
        "Preset",
        [preset.name for preset in presets()],
        key=_key("preset"),
        on_change=_take_preset,
        help="\n".join(f"- **{preset.name}**: {preset.about}" for preset in presets()),
    )
    st.segmented_control(
        "Schedule",
        list(SCHEDULES),
        format_func=SCHEDULES.__getitem__,
        key=_key("schedule"),
        required=True,
        width="stretch",
        help="Warm-up moves the location of the mask ratios; Constant keeps it; Uniform draws every ratio "
        "equally often; None hides nothing.",
    )
    schedule = st.session_state[_key("schedule")]
    if schedule in ("warmup", "constant"):
        _location(schedule)
        _spread()
    if schedule != "never":
        st.slider(
            "Allowed ratios",
            0.0,
            1.0,
            step=0.05,
            key=_key("interval"),
            help="masking.low and masking.high: no ratio outside is drawn.",
        )
    _groups()
    with st.expander("Loss thresholds and token grid"):
        _counting()
    return _read()


def apply(masking: MaskingConfig, objective: ObjectiveConfig, grid: int | None = None) -> None:
    """Sets the controls; only before they are drawn, or in a callback."""
    for name, value in values_of(masking, objective, grid).items():
        st.session_state[_key(name)] = tuple(map(round, value)) if name == "times" else value


def apply_config(config: DreamConfig) -> None:
    """Sets the controls to the masking of a configuration."""
    apply(config.masking, config.objective, config.image.grid)


def _defaults() -> None:
    if _key("schedule") not in st.session_state:
        apply(MaskingConfig(), ObjectiveConfig(), GRID)


def _take_preset() -> None:
    name = st.session_state[_key("preset")]
    chosen = [preset.masking for preset in presets() if preset.name == name]
    if chosen:
        apply(chosen[0], ObjectiveConfig(**{name: st.session_state[_key(name)] for name in COUNTING}))


def _read() -> Settings:
    prefix = MASKING.inputs
    state = {
        str(key).removeprefix(prefix): st.session_state[key] for key in st.session_state if str(key).startswith(prefix)
    }
    return masking_settings_of(state, ObjectiveConfig())


def _location(schedule: str) -> None:
    if schedule == "warmup":
        st.slider(
            "Location at the start",
            -0.5,
            1.5,
            step=0.05,
            key=_key("center_start"),
            help="masking.center_start: location of the normal before the warm-up; not the mean ratio.",
        )
    st.slider(
        "Location at the end" if schedule == "warmup" else "Location",
        -0.5,
        1.5,
        step=0.05,
        key=_key("center_end"),
        help="masking.center_end: location of the normal after the warm-up.",
    )
    if schedule == "warmup":
        st.slider(
            "Warm-up (% of training)",
            0,
            100,
            step=1,
            format="%d %%",
            key=_key("times"),
            help="masking.hold and masking.warmup_end: the location moves between them and is constant outside.",
        )
        st.segmented_control(
            "Path",
            list(SHAPES),
            format_func=SHAPES.__getitem__,
            key=_key("shape"),
            required=True,
            help="masking.shape: Linear moves at constant speed; Cosine eases in and out.",
        )


def _spread() -> None:
    st.slider(
        "Spread" + (" at the start" if st.session_state[_key("widens")] else ""),
        0.05,
        1.0,
        step=0.01,
        key=_key("std"),
        help="masking.std: standard deviation of the normal before truncation.",
    )
    st.toggle("Spread changes", key=_key("widens"), help="masking.std_end: another spread at the end.")
    st.toggle(
        "Limit to one spread",
        key=_key("moving"),
        help="masking.moving_interval: ratios are drawn within one spread of the location only.",
    )
    if st.session_state[_key("widens")]:
        st.slider(
            "Spread at the end",
            0.05,
            1.0,
            step=0.01,
            key=_key("std_end"),
            help="masking.std_end: the spread changes linearly to this over the whole training.",
        )


def _groups() -> None:
    choices = sorted({*GROUPS, st.session_state[_key("groups")]})
    st.select_slider(
        "Groups per batch",
        choices,
        key=_key("groups"),
        help="masking.groups: parts of a batch with a ratio each. The paper draws one per rank on 32 ranks, "
        "which is like 32 groups.",
    )
    st.toggle(
        "Stratified groups",
        key=_key("stratified"),
        help="masking.stratified: each group draws from its own quantile band of the distribution.",
    )
    st.toggle(
        "Reserved groups",
        key=_key("shared"),
        help="masking.generation_share: some groups draw only ratios that count for generation, the others only "
        "ratios that count for contrast.",
    )
    if st.session_state[_key("shared")]:
        groups = st.session_state[_key("groups")]
        st.session_state[_key("for_generation")] = min(st.session_state[_key("for_generation")], groups)
        st.slider(
            f"Groups reserved for generation (of {groups})",
            0,
            groups,
            step=1,
            key=_key("for_generation"),
            help="Groups that draw only ratios that count for generation.",
        )


def _counting() -> None:
    st.slider(
        "Visible share for contrast",
        0.0,
        1.0,
        step=0.05,
        key=_key("min_visible"),
        help="objective.min_visible: least share of visible tokens at which the contrastive loss counts.",
    )
    st.slider(
        "Hidden share for generation",
        0.0,
        1.0,
        step=0.05,
        key=_key("min_masked"),
        help="objective.min_masked: least share of hidden tokens at which the generative loss counts.",
    )
    st.number_input(
        "Tokens per side",
        2,
        32,
        step=1,
        key=_key("grid"),
        help="5 x 5 in the shipped model, 16 x 16 in the paper. Ratios are rounded to whole tokens.",
    )
