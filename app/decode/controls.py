"""Form of the Decode page: model, prompt and settings; other pages and files put their values into it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.credits import show_credits
from app.decode.prompts import show_prompts
from app.keys import DECODE, LARGEST_SEED
from app.links import LINKED
from app.models import pick_model, state_of
from app.number_fields import NumberFields
from app.reading import show_reading
from app.text import as_text
from dream.config import DreamConfig
from dream.decoding.settings import DecodeSettings
from dream.decoding.solvers import SOLVERS, solver_of
from workbench.decode.request import WEIGHTS, DecodeRequest, KeptPicture, single, why_not
from workbench.prompts import example_prompts, fitting_prompt
from workbench.workspace import open_workspace

OWN = DECODE.name("own")
"""Session key: settings of the chosen model, to tell them from what the user typed."""
SCHEDULES = ["linear", "constant"]


@dataclass(frozen=True)
class DecodeChoice:
    """Values of the form."""

    model: str
    """Name or path, as `pretrained` takes it."""
    config: DreamConfig
    prompt: str
    form: Mapping[str, Any]
    """The other fields by name."""
    numbers: NumberFields

    def request(self, start: KeptPicture | None) -> DecodeRequest:
        """Request for a decode with these values, from `start` if given. Raises InputError if one is out of range."""
        self.numbers.require()
        form = self.form
        settings = DecodeSettings(
            steps=form["steps"],
            guidance_scale=form["guidance"],
            guidance_schedule=form["schedule"],
            temperature=form["temperature"],
            seed=form["seed"],
            sampling_steps=None if form["sampling"] == self.config.head.sampling_steps else form["sampling"],
            solver=None if form["solver"] == solver_of(self.config.head, None) else form["solver"],
        )
        model = open_workspace().shown(self.model)
        return DecodeRequest(model, form["weights"], self.prompt, single(settings), start)


def put(values: Mapping[str, Any]) -> None:
    """Puts values into the form by field name; only before the form is drawn, or in a callback."""
    for name, value in values.items():
        st.session_state[DECODE.input(name)] = value


def form_values(settings: DecodeSettings, own: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as values of the form's fields; `own` are those of the model."""
    return {
        "seed": min(settings.seed, LARGEST_SEED),
        "steps": settings.steps,
        "guidance": float(settings.guidance_scale),
        "schedule": settings.guidance_schedule,
        "temperature": float(settings.temperature),
        "sampling": settings.sampling_steps or own.get("sampling", 16),
        "solver": settings.solver or own.get("solver", "euler"),
    }


def own_values(config: DreamConfig) -> dict[str, Any]:
    """Settings of a model as values of the form's fields, without the seed."""
    own = {"sampling": config.head.sampling_steps, "solver": solver_of(config.head, None)}
    values = form_values(DecodeSettings.of(config.decode), own)
    return {name: value for name, value in values.items() if name != "seed"}


def values_now() -> dict[str, Any]:
    """Current values of the form's fields, without the model."""
    names = ("prompt", "seed", "steps", "guidance", "schedule", "temperature", "sampling", "solver", "weights")
    values: dict[str, Any] = {name: st.session_state.get(DECODE.input(name)) for name in names}
    whole = {name: int(values[name]) for name in ("seed", "steps", "sampling") if values[name] is not None}
    return {**values, **whole}


def show_decode_form(top: DeltaGenerator, below: DeltaGenerator) -> DecodeChoice | None:
    """Draws model and prompt on `top`, the rest `below`, and returns the values of the form.

    None, with a message, if the model cannot paint. Raises InputError if there is no such model.
    """
    with top:
        model = pick_model(DECODE.name("model"), bind=LINKED)
        state = state_of(model)
        if reason := why_not(state.config):
            st.warning(reason)
            return None
        own = own_values(state.config)
        _follow_model(own, state.source)
        _keep_known_solver(state.config)
        typed = st.text_area(
            "Prompt",
            value=next(iter(example_prompts(state.source).values()), ""),
            key=DECODE.input("prompt"),
            bind=LINKED,
            height=80,
            help="What to paint, in the words of the training captions.",
        )
    with below:
        show_reading(model, [typed])
        show_prompts(model, state.source)
        show_credits(state.source)
        summary = st.container()
        with st.expander("Settings"):
            form, numbers = _settings(state.config, own)
        summary.caption(_summary(form, own, numbers))
    return DecodeChoice(model, state.config, " ".join(typed.split()), form, numbers)


def _summary(form: Mapping[str, Any], own: Mapping[str, Any], numbers: NumberFields) -> str:
    """One line that says what is set, in Markdown; what is out of range, if anything is."""
    if numbers.faults:
        return f":red[{as_text('; '.join(numbers.faults))}.]"
    said = [f"seed {form['seed']}", f"{form['steps']} steps", f"guidance {form['guidance']:g} {form['schedule']}"]
    if form["sampling"] != own["sampling"]:
        said.append(f"{form['sampling']} denoising steps")
    if form["solver"] != own["solver"]:
        said.append(f"solver {form['solver']}")
    if form["temperature"] != own["temperature"]:
        said.append(f"temperature {form['temperature']:g}")
    if form["weights"] != WEIGHTS[0]:
        said.append(f"{form['weights']} weights")
    return " · ".join(said)


def _follow_model(own: Mapping[str, Any], source: str) -> None:
    """Takes over settings and example of a newly chosen model, except where the user typed another value."""
    prompt = DECODE.input("prompt")
    if prompt in st.session_state:
        st.session_state[prompt] = fitting_prompt(st.session_state[prompt], source)
    before = st.session_state.get(OWN)
    for name, value in own.items():
        key = DECODE.input(name)
        if key in st.session_state and before and st.session_state[key] == before[name]:
            st.session_state[key] = value
    st.session_state[OWN] = dict(own)


def _keep_known_solver(config: DreamConfig) -> None:
    """Takes over the model's own solver if its head cannot be sampled by the one that is chosen."""
    key = DECODE.input("solver")
    if key in st.session_state and st.session_state[key] not in SOLVERS[config.head.objective]:
        st.session_state[key] = solver_of(config.head, None)


def _settings(config: DreamConfig, own: Mapping[str, Any]) -> tuple[dict[str, Any], NumberFields]:
    """Draws the fields of the settings, with the model's `own` as defaults; returns their values."""
    numbers = NumberFields()
    form: dict[str, Any] = {}
    field, tokens = partial(_field, own), config.image.num_tokens
    left, right = st.columns(2, vertical_alignment="bottom", gap="small")
    seeded = "Sets the reveal order and all noise: same seed and settings, same picture."
    form["seed"] = numbers.whole(left, "Seed", 0, LARGEST_SEED, **field("seed", seeded))
    right.button(
        "New seed",
        key=DECODE.action("seed"),
        on_click=lambda: put({"seed": secrets.randbelow(100_000)}),
        width="stretch",
        help="Draws another seed.",
    )
    left, right = st.columns(2, gap="small")
    revealed = f"Steps to reveal the {tokens} tokens in, few per step at first (cosine schedule)."
    form["steps"] = numbers.whole(left, "Steps", 1, 1024, **field("steps", revealed))
    denoised = "Diffusion steps that turn noise into one token."
    form["sampling"] = numbers.whole(
        right, "Denoising steps", 1, config.head.train_steps, **field("sampling", denoised)
    )
    left, right = st.columns(2, gap="small")
    solved = "Method that takes the denoising steps. All but ddpm add no noise on the way."
    form["solver"] = _choice(left, "Solver", list(SOLVERS[config.head.objective]), **field("solver", solved))
    noise = "Factor on the noise of the diffusion head: below 1 less variety, above 1 more."
    form["temperature"] = numbers.real(right, "Temperature", 0.0, 10.0, step=0.05, **field("temperature", noise))
    left, right = st.columns(2, gap="small")
    guided = "Strength of classifier-free guidance; 1 turns it off and halves the time."
    form["guidance"] = numbers.real(left, "Guidance scale", 1.0, 100.0, step=0.5, **field("guidance", guided))
    grows = "Linear: grows from 1 to the scale with the share of visible tokens."
    form["schedule"] = _choice(right, "Schedule", SCHEDULES, **field("schedule", grows))
    averaged = "Averaged over the training (EMA), or raw as the last step left them."
    form["weights"] = _choice(st.container(), "Weights", list(WEIGHTS), **field("weights", averaged))
    return form, numbers


def _field(own: Mapping[str, Any], name: str, about: str) -> dict[str, Any]:
    """Arguments of the field of that name: its default is the model's own value, and the address holds another."""
    value = own.get(name, {"seed": 0, "weights": WEIGHTS[0]}.get(name))
    return {"key": DECODE.input(name), "value": value, "help": about, "bind": LINKED}


def _choice(where: DeltaGenerator, label: str, choices: list[str], *, value: str, key: str, **options: Any) -> str:
    return str(where.selectbox(label, choices, index=choices.index(value), key=key, **options))
