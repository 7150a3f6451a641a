"""Controls of the Trajectories page: model, prompt, sampling, and when candidates are compared."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import streamlit as st

from app.failures import error_sentence
from app.keys import LARGEST_SEED, TRAJECTORIES
from app.models import pick_model, pretrained
from app.reading import show_reading
from dream.decoding.selection import DecodeSettings, Selection, SelectPoint
from dream.errors import InputError
from dream.model.pretrained import Pretrained
from workbench.trajectories.prompts import EXAMPLES, MOST_CHARACTERS, Example
from workbench.trajectories.race import MOST_CANDIDATES, UNITS, place_name, race_settings_of, refusal
from workbench.workspace import open_workspace

GO = TRAJECTORIES.name("go")
"""Session key: whether to paint as soon as the controls are drawn."""
MODEL_OF_SETTINGS = TRAJECTORIES.name("model")
"""Session key: the model whose settings the controls were filled with."""
MOST = {"steps": 100_000, "guidance_scale": 20.0, "temperature": 5.0, "seed": LARGEST_SEED}
"""Upper bounds of the controls; steps are also bounded by the model's number of tokens."""
SELECTIONS: dict[Selection, str] = {
    "once": "once: only the best continues",
    "halving": "halving: half continue, until one is left",
    "every": "every step from then on: best of K draws",
}

_key = TRAJECTORIES.input
_action = TRAJECTORIES.action


class RaceChoice(NamedTuple):
    """Values of the controls."""

    go: bool
    """Whether to paint one prompt now."""

    opened: Pretrained
    model: str
    prompt: str
    settings: DecodeSettings
    points: list[SelectPoint]


def read_controls(one: bool, busy: bool) -> RaceChoice | None:
    """Draws the controls and returns their values; None, with a message, if they do not go together.

    With `one` they include the prompt and a button that paints, disabled while `busy`.
    """
    go = st.session_state.pop(GO, False)  # a request counts once, whatever becomes of it
    with st.container(border=True):
        st.session_state.setdefault(_key("prompt"), EXAMPLES[0].prompt)
        if one:
            _examples()
        prompt, model = st.columns([3, 2]) if one else (None, st.columns([2, 3])[0])
        reading = st.container()
        with model:
            name = pick_model(TRAJECTORIES.name("model"))
        text = st.session_state[_key("prompt")]
        if prompt is not None:
            text = prompt.text_input(
                "Prompt", key=_key("prompt"), max_chars=MOST_CHARACTERS, help="What to paint, in words."
            )
            with reading:
                show_reading(name, [text])
        shown = open_workspace().shown(name)
        try:
            opened = pretrained(name)
        except InputError as error:
            st.error(error_sentence(error))
            return None
        if why := refusal(opened.config):
            st.info(f"{shown} cannot choose among its own pictures: {why}. Choose another model, such as `demo`.")
            return None
        _defaults(shown, opened)
        race = _race_settings(opened, one)
        if race is None:
            return None
        settings, points = race
        pressed = one and (_go(points, settings, busy) or go)
        return RaceChoice(pressed, opened, shown, text, settings, points)


def take_settings(settings: Mapping[str, Any], model: str = "", prompt: str = "") -> None:
    """Puts settings of a decode into the controls; only before they are drawn, or in a callback."""
    state = st.session_state
    if model:
        state[_key("model")] = state[MODEL_OF_SETTINGS] = open_workspace().shown(model)
    if prompt:
        state[_key("prompt")] = prompt
    for name, most in MOST.items():
        if name in settings:
            state[_key(name)] = min(type(most)(settings[name]), most)
    if 2 <= (count := int(settings.get("candidates", 0))) <= MOST_CANDIDATES:
        state[_key("candidates")] = count
    if settings.get("selection") in SELECTIONS:
        state[_key("selection")] = settings["selection"]
    if places := settings.get("select_steps"):
        state[_key("unit")], state[_key("at", "steps")] = "steps", int(places[0])
    if "tokens" in settings:
        state[_key("unit")], state[_key("at", "%tokens")] = "% of the tokens", int(settings["tokens"])


def show_moment(points: list[SelectPoint], settings: DecodeSettings) -> None:
    """Draws when candidates are compared, in tokens and in steps."""
    places = "; then ".join(place_name(p.step, settings.steps, p.decoded_fraction) for p in points)
    later = " and at every later step" if settings.selection == "every" else ""
    st.caption(f"Compared at **{places}**{later}.", width="content")


def _examples() -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("Examples", width="content")
        for number, example in enumerate(EXAMPLES):
            st.button(
                example.name,
                key=_action("example", number),
                on_click=_take,
                args=(example,),
                help=f"{example.what} Paints at once.",
            )


def _take(example: Example) -> None:
    take_settings(example.settings, "demo", example.prompt)
    st.session_state[GO] = True


def _defaults(model: str, opened: Pretrained) -> None:
    """Fills in the model's own settings where there are none yet, and when another model is chosen."""
    state, own = st.session_state, opened.config.decode
    changed = state.get(MODEL_OF_SETTINGS) not in (None, model)
    for name in ("steps", "guidance_scale", "temperature"):
        if changed or _key(name) not in state:
            state[_key(name)] = min(getattr(own, name), MOST[name])
    state[MODEL_OF_SETTINGS] = model
    for name, value in (("candidates", 8), ("seed", 0), ("selection", "once"), ("unit", "% of the tokens")):
        state.setdefault(_key(name), value)
    most = opened.config.image.num_tokens
    state[_key("steps")] = min(max(2, state[_key("steps")]), most)


def _race_settings(opened: Pretrained, one: bool) -> tuple[DecodeSettings, list[SelectPoint]] | None:
    """Draws the numbers; returns settings and selection points, or None, with a message, if they clash."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        candidates = st.slider(
            "Candidates (K)",
            2,
            MOST_CANDIDATES,
            key=_key("candidates"),
            width=190,
            help="Pictures painted for the prompt; they share one reveal order and differ by noise.",
        )
        sampling = _sampling(opened.config.image.num_tokens)
        if one:
            st.button("Next seed", key=_action("seed"), on_click=_next_seed, help="Paints with the next seed.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        selection = st.selectbox(
            "Selection",
            list(SELECTIONS),
            format_func=SELECTIONS.__getitem__,
            key=_key("selection"),
            width=340,
            help="How K candidates become one, by the model's own score of the unfinished pictures.",
        )
        unit = st.selectbox(
            "Selection point in",
            list(UNITS),
            key=_key("unit"),
            width=170,
            help="The same share of tokens and of steps are two different moments; the line below names both.",
        )
        amount = _amount(UNITS[unit], unit, sampling["steps"])
        select_at, kind = f"{amount}{UNITS[unit]}", cast(Selection, selection)
        try:
            return race_settings_of(opened.config, select_at, selection=kind, candidates=candidates, **sampling)
        except InputError as error:
            st.warning(f"{error_sentence(error)} Choose an earlier or later moment.", width=420)
            return None


def _sampling(num_tokens: int) -> dict[str, Any]:
    """Draws the settings that every candidate is painted with; returns them by their names in DecodeSettings."""
    return {
        "steps": st.number_input(
            "Steps",
            2,
            num_tokens,
            key=_key("steps"),
            width=110,
            help=f"Decoding steps per picture, at most one for each of its {num_tokens} tokens.",
        ),
        "guidance_scale": st.number_input(
            "Guidance scale",
            1.0,
            MOST["guidance_scale"],
            step=0.5,
            key=_key("guidance_scale"),
            width=140,
            help="Strength of classifier-free guidance; 1 turns it off.",
        ),
        "temperature": st.number_input(
            "Temperature",
            0.0,
            MOST["temperature"],
            step=0.1,
            key=_key("temperature"),
            width=130,
            help="Factor on the noise of the diffusion head; more makes candidates differ more.",
        ),
        "seed": st.number_input(
            "Seed",
            0,
            LARGEST_SEED,
            key=_key("seed"),
            width=130,
            help="The same seed and settings paint the same candidates.",
        ),
    }


def _amount(suffix: str, unit: str, steps: int) -> int:
    """Draws and returns the number of the selection point, in its unit."""
    name, most = _key("at", suffix), steps - 1 if suffix == "steps" else 99
    usual = {"%tokens": 30, "%steps": 50, "steps": max(1, steps // 2)}[suffix]
    st.session_state[name] = min(max(1, st.session_state.get(name, usual)), most)
    if most == 1:  # Streamlit refuses a slider with a single value
        return 1
    return st.slider(
        unit,
        1,
        most,
        key=name,
        width=240,
        format="%d" if suffix == "steps" else "%d %%",
        help="When candidates are compared: early is cheap, late is reliable.",
    )


def _go(points: list[SelectPoint], settings: DecodeSettings, busy: bool) -> bool:
    """Draws the button that paints, next to the selection points; returns whether it was pressed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        pressed = st.button(
            "Paint",
            key=_action("paint"),
            type="primary",
            disabled=busy,
            help="Paints the candidates with these settings and stores them.",
        )
        show_moment(points, settings)
    return pressed


def _next_seed() -> None:
    st.session_state[_key("seed")] += 1
    st.session_state[GO] = True
