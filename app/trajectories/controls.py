"""The controls of the Trajectories page: what is painted, how, and when the choice is made."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from app.failures import error_sentence
from app.keys import INPUT, LARGEST_SEED
from app.models import pick_model, pretrained
from dream.decoding.selection import DecodeSettings, SelectPoint
from dream.errors import InputError
from dream.model.pretrained import Pretrained
from workbench.trajectories.prompts import EXAMPLES, MOST_CHARACTERS, Example
from workbench.trajectories.race import MOST_CANDIDATES, UNITS, place_name, race_settings_of, refusal
from workbench.workspace import open_workspace

PAGE = "trajectories"
GO = "trajectories.go"
"""Session key: paint as soon as the controls stand."""
MOST = {"steps": 100_000, "guidance_scale": 20.0, "temperature": 5.0, "seed": LARGEST_SEED}
"""The largest numbers that the controls take; steps are also bounded by the model's tokens."""
MODEL_OF_SETTINGS = "trajectories.model"
SELECTIONS = {
    "once": "once, the best goes on alone",
    "halving": "halving, again and again until one is left",
    "every": "every step from there on, K draws of its tokens",
}


class Asked(NamedTuple):
    """What the controls say."""

    go: bool
    """Whether one prompt is to be painted now."""

    opened: Pretrained
    model: str
    prompt: str
    settings: DecodeSettings
    points: list[SelectPoint]


def key(name: str) -> str:
    """The key of one of this page's inputs."""
    return f"{INPUT}{PAGE}.{name}"


def read_controls(one: bool, busy: bool) -> Asked | None:
    """The controls; None (with a sentence on the page) where they cannot be followed.

    With `one` there is a button that paints, unless it is `busy`.
    """
    go = st.session_state.pop(GO, False)  # asked for once, whatever becomes of it
    with st.container(border=True):
        st.session_state.setdefault(key("prompt"), EXAMPLES[0].prompt)
        if one:
            _examples()
        prompt, model = st.columns([3, 2]) if one else (None, st.columns([2, 3])[0])
        with model:
            name = pick_model(f"{PAGE}.model")
        words = st.session_state[key("prompt")]
        if prompt is not None:
            words = prompt.text_input(
                "Prompt", key=key("prompt"), max_chars=MOST_CHARACTERS, help="What is to be painted, in words."
            )
        shown = open_workspace().shown(name)
        try:
            opened = pretrained(name)
        except InputError as error:
            st.error(error_sentence(error))
            return None
        if why := refusal(opened.config):
            st.info(f"{shown} cannot choose among its own pictures: {why}. Choose another model, as `demo`.")
            return None
        _defaults(shown, opened)
        found = _numbers(opened, one)
        if found is None:
            return None
        pressed = one and (_go(found[1], found[0], busy) or go)
        return Asked(pressed, opened, shown, words, *found)


def take_settings(settings: Mapping[str, Any], model: str = "", prompt: str = "") -> None:
    """Puts settings of a decode into the controls (before they are drawn)."""
    state = st.session_state
    if model:
        state[key("model")] = state[MODEL_OF_SETTINGS] = open_workspace().shown(model)
    if prompt:
        state[key("prompt")] = prompt
    for name, most in MOST.items():
        if name in settings:
            state[key(name)] = min(type(most)(settings[name]), most)
    if 2 <= (count := int(settings.get("candidates", 0))) <= MOST_CANDIDATES:
        state[key("candidates")] = count
    if settings.get("selection") in SELECTIONS:
        state[key("selection")] = settings["selection"]
    if places := settings.get("select_steps"):
        state[key("unit")], state[key("at.steps")] = "steps", int(places[0])
    if "tokens" in settings:
        state[key("unit")], state[key("at.%tokens")] = "% of the tokens", int(settings["tokens"])


def _examples() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("Try", width="content")
        for number, example in enumerate(EXAMPLES):
            st.button(
                example.name,
                key=f"do.{PAGE}.example.{number}",
                on_click=_take,
                args=(example,),
                help=f"{example.what} Paints at once.",
            )


def _take(example: Example) -> None:
    take_settings(example.settings, "demo", example.prompt)
    st.session_state[GO] = True


def _defaults(model: str, opened: Pretrained) -> None:
    """The model's own settings where none were set, and when another model is chosen."""
    state, own = st.session_state, opened.config.decode
    fresh = state.get(MODEL_OF_SETTINGS) not in (None, model)
    for name in ("steps", "guidance_scale", "temperature"):
        if fresh or key(name) not in state:
            state[key(name)] = min(getattr(own, name), MOST[name])
    state[MODEL_OF_SETTINGS] = model
    for name, value in (("candidates", 8), ("seed", 0), ("selection", "once"), ("unit", "% of the tokens")):
        state.setdefault(key(name), value)
    most = opened.config.image.num_tokens
    state[key("steps")] = min(max(2, state[key("steps")]), most)


def _numbers(opened: Pretrained, one: bool) -> tuple[DecodeSettings, list[SelectPoint]] | None:
    most = opened.config.image.num_tokens
    with st.container(horizontal=True, vertical_alignment="bottom"):
        candidates = st.slider(
            "Candidates (K)",
            2,
            MOST_CANDIDATES,
            key=key("candidates"),
            width=190,
            help="Tries of the prompt, painted side by side; they share one order and differ by noise.",
        )
        steps = st.number_input(
            "Steps",
            2,
            most,
            key=key("steps"),
            width=110,
            help=f"Reveal steps of a picture; at most one for each of its {most} tokens.",
        )
        guidance = st.number_input(
            "Guidance",
            1.0,
            MOST["guidance_scale"],
            step=0.5,
            key=key("guidance_scale"),
            width=120,
            help="How hard the prompt pulls (classifier-free guidance); 1 = off.",
        )
        temperature = st.number_input(
            "Temperature",
            0.0,
            MOST["temperature"],
            step=0.1,
            key=key("temperature"),
            width=120,
            help="Factor on the noise of each token's denoising; more makes candidates differ more.",
        )
        seed = st.number_input(
            "Seed",
            0,
            LARGEST_SEED,
            key=key("seed"),
            width=130,
            help="The same seed and settings paint the same candidates again.",
        )
        if one:
            st.button("Next seed", key=f"do.{PAGE}.seed", on_click=_next_seed, help="Paints with the next seed.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        selection = st.selectbox(
            "Choose",
            list(SELECTIONS),
            format_func=SELECTIONS.__getitem__,
            key=key("selection"),
            width=340,
            help="How K candidates become one, by the model's own score of the unfinished pictures.",
        )
        unit = st.selectbox(
            "at, counted in",
            list(UNITS),
            key=key("unit"),
            width=170,
            help="A share of the tokens and a share of the steps are two moments; both are named below.",
        )
        amount = _amount(UNITS[unit], unit, steps)
        try:
            settings, points = race_settings_of(
                opened.config,
                f"{amount}{UNITS[unit]}",
                selection=selection,
                candidates=candidates,
                steps=steps,
                guidance_scale=guidance,
                temperature=temperature,
                seed=seed,
            )
        except InputError as error:
            st.warning(f"{error_sentence(error)} Choose earlier or later.", width=420)
            return None
    return settings, points


def _go(points: list[SelectPoint], settings: DecodeSettings, busy: bool) -> bool:
    """Whether the button that paints was pressed; beside it stands the moment by all its names."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        pressed = st.button(
            "Paint",
            key=f"do.{PAGE}.paint",
            type="primary",
            disabled=busy,
            help="Paints the candidates with these settings and stores them.",
        )
        show_moment(points, settings)
    return pressed


def show_moment(points: list[SelectPoint], settings: DecodeSettings) -> None:
    """When candidates are compared, in tokens and in steps."""
    places = "; then ".join(place_name(p.step, settings.steps, p.decoded_fraction) for p in points)
    later = " and at every later step" if settings.selection == "every" else ""
    st.caption(f"Compared at **{places}**{later}.", width="content")


def _amount(suffix: str, unit: str, steps: int) -> int:
    """The number of the moment, in its unit."""
    name, most = key(f"at.{suffix}"), steps - 1 if suffix == "steps" else 99
    usual = {"%tokens": 30, "%steps": 50, "steps": max(1, steps // 2)}[suffix]
    st.session_state[name] = min(max(1, st.session_state.get(name, usual)), most)
    if most == 1:  # a slider of one place is refused
        return 1
    return st.slider(
        unit,
        1,
        most,
        key=name,
        width=240,
        format="%d" if suffix == "steps" else "%d %%",
        help="When candidates are compared: early is cheap, late is sure.",
    )


def _next_seed() -> None:
    st.session_state[key("seed")] += 1
    st.session_state[GO] = True
