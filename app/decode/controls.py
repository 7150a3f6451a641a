"""Form of the Decode page: model, prompt and settings; other pages and files put their values into it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.keys import DECODE, LARGEST_SEED
from app.models import pick_model
from app.reading import show_reading
from dream.config import DreamConfig
from dream.decoding.selection import DecodeSettings
from dream.pretrained import checkpoint_of
from dream.training.checkpoint import TrainingState, read_state
from workbench.decode.request import WEIGHTS, DecodeRequest, KeptPicture, single, why_not
from workbench.workspace import open_workspace

OWN = DECODE.name("own")
"""Session key: settings of the chosen model, to tell them from what the user typed."""
EXAMPLES = (
    "a red circle left of a blue square on a white background",
    "a green triangle above a yellow cross on a black background",
    "a purple cross on a grey background",
    "a yellow square right of a purple circle on a grey background",
    "a blue triangle below a red triangle on a white background",
    "a black background with an orange circle",
)
"""Prompts in the vocabulary of the drawn shapes."""


@dataclass(frozen=True)
class DecodeChoice:
    """Values of the form."""

    model: str
    """Name or path, as `pretrained` takes it."""
    config: DreamConfig
    prompt: str
    settings: DecodeSettings
    weights: str

    def request(self, start: KeptPicture | None) -> DecodeRequest:
        """Request for a decode with these values, from `start` if given."""
        return DecodeRequest(open_workspace().shown(self.model), self.weights, self.prompt, self.settings, start)


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
    }


def own_values(config: DreamConfig) -> dict[str, Any]:
    """Settings of a model as values of the form's fields, without the seed."""
    own = {"sampling": config.head.sampling_steps}
    values = form_values(DecodeSettings.of(config.decode), own)
    return {name: value for name, value in values.items() if name != "seed"}


def values_now() -> dict[str, Any]:
    """Current values of the form's fields, without the model."""
    names = ("prompt", "seed", "steps", "guidance", "schedule", "temperature", "sampling", "weights")
    return {name: st.session_state.get(DECODE.input(name)) for name in names}


def state_of(model: str) -> TrainingState:
    """Training state in a model's checkpoint, read without its weights. Raises InputError as `checkpoint_of`."""
    folder = checkpoint_of(Path(model))
    return _state(str(folder), (folder / "state.json").stat().st_mtime_ns)


@st.cache_resource(max_entries=32, show_spinner=False)
def _state(folder: str, stamp: int) -> TrainingState:
    return read_state(Path(folder))


def show_decode_form() -> DecodeChoice | None:
    """Draws the form and returns its values; None, with a message, if the model cannot paint.

    Raises InputError if there is no such model.
    """
    model = pick_model(DECODE.name("model"))
    state = state_of(model)
    if reason := why_not(state.config):
        st.warning(reason)
        return None
    own = own_values(state.config)
    _follow_model(own)
    _prompt(model, state.source)
    _numbers(state.config)
    form = values_now()
    sampling = None if form["sampling"] == own["sampling"] else form["sampling"]
    settings = DecodeSettings(
        steps=form["steps"],
        guidance_scale=form["guidance"],
        guidance_schedule=form["schedule"],
        temperature=form["temperature"],
        seed=form["seed"],
        sampling_steps=sampling,
    )
    return DecodeChoice(model, state.config, " ".join(form["prompt"].split()), single(settings), form["weights"])


def _follow_model(own: Mapping[str, Any]) -> None:
    """Takes over the settings of a newly chosen model, except where the user typed another value."""
    before = st.session_state.get(OWN)
    for name, value in own.items():
        key = DECODE.input(name)
        if key not in st.session_state or (before and st.session_state[key] == before[name]):
            st.session_state[key] = value
    st.session_state[OWN] = dict(own)
    defaults = {"seed": 0, "prompt": EXAMPLES[0], "weights": WEIGHTS[0]}
    for name, value in defaults.items():
        st.session_state.setdefault(DECODE.input(name), value)


def _prompt(model: str, source: str) -> None:
    typed = st.text_area(
        "Prompt", key=DECODE.input("prompt"), height=80, help="What to paint, in the words of the training captions."
    )
    show_reading(model, [typed])
    with st.popover("Examples", width="stretch", help="Prompts in the model's vocabulary."):
        if source == "shapes":
            for number, example in enumerate(EXAMPLES):
                st.button(
                    example,
                    key=DECODE.action("example", number),
                    type="tertiary",
                    on_click=put,
                    args=({"prompt": example},),
                    help="Fills in the prompt.",
                )
        else:
            st.caption(f"This model was trained on {source}; the Data page shows its captions.")
    seed, new = st.columns(2, vertical_alignment="bottom", gap="small")
    seed.number_input(
        "Seed",
        0,
        LARGEST_SEED,
        step=1,
        key=DECODE.input("seed"),
        help="Sets the reveal order and all noise: same seed and settings, same picture.",
    )
    new.button(
        "New seed",
        key=DECODE.action("seed"),
        on_click=lambda: put({"seed": secrets.randbelow(100_000)}),
        width="stretch",
        help="Draws another seed.",
    )


def _numbers(config: DreamConfig) -> None:
    limit = config.head.train_steps
    st.session_state[DECODE.input("sampling")] = min(st.session_state[DECODE.input("sampling")], limit)
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Steps",
        1,
        1024,
        step=1,
        key=DECODE.input("steps"),
        help=f"Steps to reveal the {config.image.num_tokens} tokens in, few per step at first (cosine schedule).",
    )
    right.number_input(
        "Denoising steps",
        1,
        limit,
        step=1,
        key=DECODE.input("sampling"),
        help="Diffusion steps that turn noise into one token.",
    )
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Guidance scale",
        1.0,
        100.0,
        step=0.5,
        key=DECODE.input("guidance"),
        help="Strength of classifier-free guidance; 1 turns it off and halves the time.",
    )
    right.selectbox(
        "Guidance schedule",
        ["linear", "constant"],
        key=DECODE.input("schedule"),
        help="Linear: grows from 1 to the scale with the share of visible tokens.",
    )
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Temperature",
        0.0,
        10.0,
        step=0.05,
        key=DECODE.input("temperature"),
        help="Factor on the noise of the diffusion head: below 1 less variety, above 1 more.",
    )
    right.selectbox(
        "Weights",
        list(WEIGHTS),
        key=DECODE.input("weights"),
        help="Averaged over the training (EMA), or raw as the last step left them.",
    )
