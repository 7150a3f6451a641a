"""Controls of the Trajectories page: model, prompt, sampling, and when candidates are compared."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.failures import error_sentence
from app.keys import LARGEST_SEED, TRAJECTORIES
from app.links import LINKED
from app.models import pick_model, pretrained, state_of
from app.number_fields import NumberFields
from app.reading import show_reading
from app.text import as_text
from dream.decoding.critic import critic_for
from dream.decoding.selection import SelectPoint
from dream.decoding.settings import DecodeSettings, Selection
from dream.decoding.solvers import SOLVERS, solver_of
from dream.errors import InputError
from dream.model.pretrained import Pretrained
from workbench.prompts import fitting_prompt
from workbench.trajectories.prompts import EXAMPLES, MOST_CHARACTERS, Example
from workbench.trajectories.race import MOST_CANDIDATES, UNITS, place_name, race_settings_of, refusal
from workbench.trajectories.scores import SCORE_WORDS
from workbench.workspace import open_workspace

GO = TRAJECTORIES.name("go")
"""Session key: whether to paint as soon as the controls are drawn."""
WHOLE = TRAJECTORIES.name("whole")
"""Session key: whether to finish all candidates of what `GO` paints, as examples do."""
FITTED = TRAJECTORIES.name("fitted")
"""Session key: there once the number of steps was fitted to the model."""
MODEL_OF_SETTINGS = TRAJECTORIES.name("model")
"""Session key: the model whose settings the controls were filled with."""
OF_MODEL = TRAJECTORIES.name("of_model")
"""Session key: names of settings that the taken ones leave to the model."""
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
    whole: bool
    """Whether to finish all of its candidates at once."""

    opened: Pretrained
    model: str
    prompt: str
    settings: DecodeSettings
    points: list[SelectPoint]


def read_controls(one: bool) -> RaceChoice | None:
    """Draws the controls and returns their values; None, with a message, if they do not go together.

    With `one` they include the prompt and a button that paints, instead of what is being painted; the settings are
    folded.
    """
    go, whole = st.session_state.pop(GO, False), st.session_state.pop(WHOLE, False)  # a request counts once
    above, form = st.container(), st.expander("Settings")
    with form:
        name = pick_model(TRAJECTORIES.name("model"), first=EXAMPLES[0].model, bind=LINKED)
    with above:
        pressed, reading = _prompt(learned_from(name)) if one else (False, None)
    text, shown = st.session_state.get(_key("prompt"), EXAMPLES[0].prompt), open_workspace().shown(name)
    if reading is not None:
        with reading:
            show_reading(name, [text])
    try:
        opened = pretrained(name)
    except InputError as error:
        st.error(error_sentence(error))
        return None
    if why := refusal(opened.config):
        st.info(
            f"{as_text(shown)} cannot choose among its own pictures: {why}. Choose another model, such as demo, "
            "in the settings."
        )
        return None
    _defaults(shown, opened)
    with form:
        race = _race_settings(opened, one)
    if isinstance(race, InputError):
        st.warning(error_sentence(race))
        return None
    settings, points = race
    if one:
        with form:
            show_moment(points, settings)
    return RaceChoice(pressed or go, go and whole, opened, shown, text, settings, points)


def show_examples() -> None:
    """Draws a button per example."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("Examples", width="content")
        for number, example in enumerate(EXAMPLES):
            st.button(
                example.name,
                key=_action("example", number),
                on_click=take_example,
                args=(number,),
                help=f"{example.what} Paints at once.",
            )


def take_example(number: int) -> None:
    """Fills the controls with an example and asks for it to be painted, with all candidates finished."""
    example: Example = EXAMPLES[number]
    take_settings({"score": "cosine", **example.settings}, example.model, example.prompt)
    st.session_state[GO] = st.session_state[WHOLE] = True


def take_settings(settings: Mapping[str, Any], model: str = "", prompt: str = "") -> None:
    """Puts settings of a decode into the controls; only before they are drawn, or in a callback."""
    state = st.session_state
    if model:
        state[_key("model")] = open_workspace().shown(model)
    if model and settings:
        state[MODEL_OF_SETTINGS] = state[_key("model")]
    if prompt:
        state[_key("prompt")] = prompt
    for name, most in MOST.items():
        if name in settings:
            state[_key(name)] = min(type(most)(settings[name]), most)
    if settings:
        state[OF_MODEL] = [name for name in ("sampling_steps", "solver") if settings.get(name) is None]
        state.update({_key(name): settings[name] for name in ("sampling_steps", "solver") if settings.get(name)})
    if "steps" in settings:
        state.pop(FITTED, None)
    if 2 <= (count := int(settings.get("candidates", 0))) <= MOST_CANDIDATES:
        state[_key("candidates")] = count
    if settings.get("selection") in SELECTIONS:
        state[_key("selection")] = settings["selection"]
    if settings.get("score") in SCORE_WORDS:
        state[_key("score")] = settings["score"]
    if places := settings.get("select_steps"):
        state[_key("unit")], state[_key("at", "steps")] = "steps", int(places[0])
    if "tokens" in settings:
        state[_key("unit")], state[_key("at", "%tokens")] = "% of the tokens", int(settings["tokens"])


def show_moment(points: list[SelectPoint], settings: DecodeSettings) -> None:
    """Draws when candidates are compared, in tokens and in steps."""
    places = "; then ".join(place_name(p.step, settings.steps, p.decoded_fraction) for p in points)
    later = " and at every later step" if settings.selection == "every" else ""
    st.caption(f"Compared at **{places}**{later}.", width="content")


def learned_from(model: str) -> str:
    """What a model has learned from; empty if it cannot be opened, which the page says."""
    try:
        return state_of(open_workspace().model(model)).source
    except (InputError, OSError):
        return ""


def _prompt(source: str) -> tuple[bool, DeltaGenerator]:
    """Draws prompt and button; returns whether it was pressed, and the place below for what the model reads.

    An example of other pictures than those of `source` gives way to one of these.
    """
    typed = st.session_state.setdefault(_key("prompt"), EXAMPLES[0].prompt)
    fitting = fitting_prompt(typed, source, {example.prompt: learned_from(example.model) for example in EXAMPLES})
    if fitting != typed:
        st.session_state[_key("prompt")] = fitting
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Prompt",
            EXAMPLES[0].prompt,
            key=_key("prompt"),
            max_chars=MOST_CHARACTERS,
            bind=LINKED,
            help="What to paint, in words.",
        )
        pressed = st.button(
            "Paint",
            key=_action("paint"),
            type="primary",
            help="Paints the candidates with these settings and stores them.",
        )
        st.button("Next seed", key=_action("seed"), on_click=_next_seed, help="Paints with the next seed.")
    return pressed, st.container()


def _defaults(model: str, opened: Pretrained) -> None:
    """Fills in the model's own settings where there are none yet, and when another model is chosen."""
    state, own = st.session_state, opened.config.decode
    changed = state.get(MODEL_OF_SETTINGS) not in (None, model)
    for name in ("steps", "guidance_scale", "temperature"):
        if changed or _key(name) not in state:
            state[_key(name)] = min(getattr(own, name), MOST[name])
    head, of_model = opened.config.head, state.pop(OF_MODEL, ())
    for name, value in (("sampling_steps", head.sampling_steps), ("solver", solver_of(head, None))):
        if changed or name in of_model or _key(name) not in state:
            state[_key(name)] = value
    if state[_key("solver")] not in SOLVERS[head.objective]:
        state[_key("solver")] = solver_of(head, None)
    state[MODEL_OF_SETTINGS] = model
    for name, value in (
        ("candidates", 8),
        ("seed", 0),
        ("selection", "once"),
        ("score", "cosine"),
        ("unit", "% of the tokens"),
    ):
        state.setdefault(_key(name), value)
    if changed or FITTED not in state:  # later numbers are the user's, and refused if they do not fit
        state[_key("steps")] = min(max(2, state[_key("steps")]), opened.config.image.num_tokens)
        state[FITTED] = True


def _race_settings(opened: Pretrained, one: bool) -> tuple[DecodeSettings, list[SelectPoint]] | InputError:
    """Draws the numbers; returns settings and selection points, or what is wrong with them."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        candidates = st.slider(
            "Candidates (K)",
            2,
            MOST_CANDIDATES,
            8,
            key=_key("candidates"),
            bind=LINKED,
            width=190,
            help="Pictures painted for the prompt; they share one reveal order and differ by noise.",
        )
    fields, sampling = _sampling(opened, row)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        selection = st.selectbox(
            "Selection",
            list(SELECTIONS),
            format_func=SELECTIONS.__getitem__,
            key=_key("selection"),
            bind=LINKED,
            width=340,
            help="How K candidates become one, by a score of the unfinished pictures.",
        )
        score = st.selectbox(
            "Score",
            list(SCORE_WORDS),
            format_func=SCORE_WORDS.__getitem__,
            key=_key("score"),
            bind=LINKED,
            width=270,
            help="What unfinished pictures are compared by. emoji has a critic; other models: dream critic train.",
        )
        unit = st.selectbox(
            "Selection point in",
            list(UNITS),
            key=_key("unit"),
            bind=LINKED,
            width=170,
            help="The same share of tokens and of steps are two different moments; the line below names both.",
        )
        try:
            fields.require()
            amount = _amount(UNITS[unit], unit, sampling["steps"])
            select_at, kind = f"{amount}{UNITS[unit]}", cast(Selection, selection)
            if "critic" in score:
                critic_for(opened)  # refused in a sentence if it has none
            chosen: dict[str, Any] = {"selection": kind, "candidates": candidates, "score": score}
            return race_settings_of(opened.config, select_at, **chosen, **sampling)
        except InputError as error:
            return error


def _sampling(opened: Pretrained, where: DeltaGenerator) -> tuple[NumberFields, dict[str, Any]]:
    """Draws the settings that every candidate is painted with; returns them by their names in DecodeSettings."""
    own, tokens, fields = opened.config.decode, opened.config.image.num_tokens, NumberFields()
    head, solvers = opened.config.head, SOLVERS[opened.config.head.objective]
    about = {
        "steps": f"Decoding steps per picture, at most one for each of its {tokens} tokens.",
        "sampling_steps": "Diffusion steps that turn noise into one token.",
        "solver": "Method that takes the denoising steps. heun takes two passes a step, dpm++ uses the step before.",
        "guidance_scale": "Strength of classifier-free guidance; 1 turns it off.",
        "temperature": "Factor on the noise of the diffusion head; more makes candidates differ more.",
        "seed": "The same seed and settings paint the same candidates.",
    }

    def told(name: str, width: int, **options: Any) -> dict[str, Any]:
        return {"key": _key(name), "bind": LINKED, "width": width, "help": about[name], **options}

    guidance, heat = told("guidance_scale", 140, step=0.5), told("temperature", 130, step=0.1)
    settings: dict[str, Any] = {
        "steps": fields.whole(where, "Steps", 2, tokens, **told("steps", 110, value=min(own.steps, tokens))),
        "guidance_scale": fields.real(
            where, "Guidance scale", 1.0, MOST["guidance_scale"], value=own.guidance_scale, **guidance
        ),
        "temperature": fields.real(where, "Temperature", 0.0, MOST["temperature"], value=own.temperature, **heat),
        "seed": fields.whole(where, "Seed", 0, LARGEST_SEED, **told("seed", 130)),
    }
    denoising = told("sampling_steps", 150, value=head.sampling_steps)
    sampling_steps = fields.whole(where, "Denoising steps", 1, head.train_steps, **denoising)
    solver = where.selectbox("Solver", list(solvers), **told("solver", 110))
    settings["sampling_steps"] = None if sampling_steps == head.sampling_steps else sampling_steps
    settings["solver"] = None if solver == solvers[0] else solver
    return fields, settings


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
        min(usual, most),
        key=name,
        bind=LINKED,
        width=240,
        format="%d" if suffix == "steps" else "%d %%",
        help="When candidates are compared: early is cheap, late is reliable.",
    )


def _next_seed() -> None:
    st.session_state[_key("seed")] += 1
    st.session_state[GO] = True
