"""The controls of the Masking page: widgets in, a MaskingConfig out."""

import streamlit as st

from dream.config import DreamConfig, MaskingConfig, ObjectiveConfig
from workbench.masking.form import GROUPS, SCHEDULES, SHAPES, Settings, masking_settings_of, values_of
from workbench.masking.settings import COUNTING, preset_of, presets

KEY = "in.masking."
GRID = 5
"""Tokens a side at first: those of the model that ships."""


def masking_controls() -> Settings:
    """Draws the controls and returns what they say."""
    _defaults()
    found = _read()
    st.session_state[KEY + "preset"] = preset_of(found.masking)
    st.pills(
        "Preset",
        [preset.name for preset in presets()],
        key=KEY + "preset",
        on_change=_take_preset,
        help="\n".join(f"- **{preset.name}**: {preset.about}" for preset in presets()),
    )
    st.segmented_control(
        "Schedule",
        list(SCHEDULES),
        format_func=SCHEDULES.get,
        key=KEY + "schedule",
        required=True,
        width="stretch",
        help="Warm-up moves the location of the mask ratios; Constant keeps it; Uniform draws every ratio "
        "equally often; None hides nothing.",
    )
    schedule = st.session_state[KEY + "schedule"]
    if schedule in ("warmup", "constant"):
        _location(schedule)
        _spread()
    if schedule != "never":
        st.slider(
            "Allowed ratios",
            0.0,
            1.0,
            step=0.05,
            key=KEY + "interval",
            help="masking.low and masking.high: no ratio is drawn outside.",
        )
    _groups()
    with st.expander("Who counts, and how many tokens"):
        _counting()
    return _read()


def apply(masking: MaskingConfig, objective: ObjectiveConfig, grid: int | None = None) -> None:
    """Sets the controls; only before they are drawn, or in a callback."""
    for name, value in values_of(masking, objective, grid).items():
        st.session_state[KEY + name] = tuple(map(round, value)) if name == "times" else value


def apply_config(config: DreamConfig) -> None:
    """Sets the controls to a run's configuration."""
    apply(config.masking, config.objective, config.image.grid)


def _defaults() -> None:
    if KEY + "schedule" not in st.session_state:
        apply(MaskingConfig(), ObjectiveConfig(), GRID)


def _take_preset() -> None:
    name = st.session_state[KEY + "preset"]
    chosen = [preset.masking for preset in presets() if preset.name == name]
    if chosen:
        apply(chosen[0], ObjectiveConfig(**{name: st.session_state[KEY + name] for name in COUNTING}))


def _read() -> Settings:
    state = {key.removeprefix(KEY): value for key, value in st.session_state.items() if key.startswith(KEY)}
    return masking_settings_of(state, ObjectiveConfig())


def _location(schedule: str) -> None:
    if schedule == "warmup":
        st.slider(
            "Location at the start",
            -0.5,
            1.5,
            step=0.05,
            key=KEY + "center_start",
            help="masking.center_start: where the normal sits before the warm-up; not the mean ratio.",
        )
    st.slider(
        "Location at the end" if schedule == "warmup" else "Location",
        -0.5,
        1.5,
        step=0.05,
        key=KEY + "center_end",
        help="masking.center_end: where the normal sits in the end.",
    )
    if schedule == "warmup":
        st.slider(
            "It moves between (% of the training)",
            0,
            100,
            step=1,
            format="%d %%",
            key=KEY + "times",
            help="masking.hold and masking.warmup_end: before and after, the location stands still.",
        )
        st.segmented_control(
            "Path",
            list(SHAPES),
            format_func=SHAPES.get,
            key=KEY + "shape",
            required=True,
            help="masking.shape: Linear moves evenly; Cosine starts and arrives gently.",
        )


def _spread() -> None:
    st.slider(
        "Spread" + (" at the start" if st.session_state[KEY + "widens"] else ""),
        0.05,
        1.0,
        step=0.01,
        key=KEY + "std",
        help="masking.std: standard deviation of the normal before it is cut to the ratios.",
    )
    st.toggle("Spread changes", key=KEY + "widens", help="masking.std_end: another spread at the end.")
    st.toggle(
        "Moving bounds",
        key=KEY + "moving",
        help="masking.moving_interval: only ratios within one spread of the location.",
    )
    if st.session_state[KEY + "widens"]:
        st.slider(
            "Spread at the end",
            0.05,
            1.0,
            step=0.01,
            key=KEY + "std_end",
            help="masking.std_end: the spread moves there evenly over the whole training.",
        )


def _groups() -> None:
    choices = sorted({*GROUPS, st.session_state[KEY + "groups"]})
    st.select_slider(
        "Groups in a batch",
        choices,
        key=KEY + "groups",
        help="masking.groups: parts of a batch with a ratio each. The paper draws one a rank, on 32 ranks: "
        "together like 32 groups.",
    )
    st.toggle(
        "Spread evenly",
        key=KEY + "stratified",
        help="masking.stratified: one ratio from each of as many quantile bands as there are groups.",
    )
    st.toggle(
        "Shared out",
        key=KEY + "shared",
        help="masking.generation_share: some groups draw only where generation counts, the rest only where "
        "contrast does.",
    )
    if st.session_state[KEY + "shared"]:
        groups = st.session_state[KEY + "groups"]
        st.session_state[KEY + "for_generation"] = min(st.session_state[KEY + "for_generation"], groups)
        st.slider(
            f"Groups for generation (of {groups})",
            0,
            groups,
            step=1,
            key=KEY + "for_generation",
            help="How many groups draw where generation counts.",
        )


def _counting() -> None:
    st.slider(
        "Contrast needs visible",
        0.0,
        1.0,
        step=0.05,
        key=KEY + "min_visible",
        help="objective.min_visible: share of visible tokens from which the contrastive loss counts.",
    )
    st.slider(
        "Generation needs hidden",
        0.0,
        1.0,
        step=0.05,
        key=KEY + "min_masked",
        help="objective.min_masked: share of hidden tokens from which the generative loss counts.",
    )
    st.number_input(
        "Tokens a side",
        2,
        32,
        step=1,
        key=KEY + "grid",
        help="5 x 5 in the shipped model, 16 x 16 in the paper. A ratio becomes a whole number of tokens.",
    )
