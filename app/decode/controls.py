"""The Decode page's form: model, prompt and settings; what other pages and files bring is put into it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.keys import INPUT, LARGEST_SEED
from app.models import pick_model
from dream.config import DreamConfig
from dream.decoding.selection import DecodeSettings
from dream.pretrained import checkpoint_of
from dream.training.checkpoint import TrainingState, read_state
from workbench.decode.request import WEIGHTS, DecodeRequest, KeptPicture, single, why_not
from workbench.workspace import open_workspace

FORM = INPUT + "decode."
OWN = "decode.own"
"""Session key: the settings that the form's model brings, to tell them from what was typed."""
EXAMPLES = (
    "a red circle left of a blue square on a white background",
    "a green triangle above a yellow cross on a black background",
    "a purple cross on a grey background",
    "a yellow square right of a purple circle on a grey background",
    "a blue triangle below a red triangle on a white background",
    "a black background with an orange circle",
)
"""Prompts in the words of the drawn shapes."""


@dataclass(frozen=True)
class DecodeChoice:
    """What the form says."""

    model: str
    """As `pretrained` takes it."""
    config: DreamConfig
    prompt: str
    settings: DecodeSettings
    weights: str

    def request(self, start: KeptPicture | None) -> DecodeRequest:
        """The decode it asks for."""
        return DecodeRequest(open_workspace().shown(self.model), self.weights, self.prompt, self.settings, start)


def put(values: Mapping[str, Any]) -> None:
    """Puts values into the form by the names of its fields; only before it is drawn, or in a callback."""
    for name, value in values.items():
        st.session_state[FORM + name] = value


def form_values(settings: DecodeSettings, own: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the form's fields hold them; `own` are the model's."""
    return {
        "seed": min(settings.seed, LARGEST_SEED),
        "steps": settings.steps,
        "guidance": float(settings.guidance_scale),
        "schedule": settings.guidance_schedule,
        "temperature": float(settings.temperature),
        "sampling": settings.sampling_steps or own.get("sampling", 16),
    }


def own_values(config: DreamConfig) -> dict[str, Any]:
    """The settings that a model brings, as the form's fields hold them (all but the seed)."""
    own = {"sampling": config.head.sampling_steps}
    values = form_values(DecodeSettings.of(config.decode), own)
    return {name: value for name, value in values.items() if name != "seed"}


def values_now() -> dict[str, Any]:
    """What the form holds."""
    names = ("prompt", "seed", "steps", "guidance", "schedule", "temperature", "sampling", "weights")
    return {name: st.session_state.get(FORM + name) for name in names}


def state_of(model: str) -> TrainingState:
    """What a model's checkpoint says of itself, without its weights. Raises InputError as
    `checkpoint_of`.
    """
    folder = checkpoint_of(Path(model))
    return _state(str(folder), (folder / "state.json").stat().st_mtime_ns)


@st.cache_resource(max_entries=32, show_spinner=False)
def _state(folder: str, stamp: int) -> TrainingState:
    return read_state(Path(folder))


def show_decode_form() -> DecodeChoice | None:
    """Draws the form; None where the model cannot paint, which is said.

    Raises InputError where there is no such model.
    """
    model = pick_model("decode.model")
    found = state_of(model)
    if reason := why_not(found.config):
        st.warning(reason)
        return None
    own = own_values(found.config)
    _follow_model(own)
    _prompt(found.source)
    _numbers(found.config)
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
    return DecodeChoice(model, found.config, " ".join(form["prompt"].split()), single(settings), form["weights"])


def _follow_model(own: Mapping[str, Any]) -> None:
    """Another model brings its own settings, but where something was typed that stays."""
    before = st.session_state.get(OWN)
    for name, value in own.items():
        if FORM + name not in st.session_state or (before and st.session_state[FORM + name] == before[name]):
            st.session_state[FORM + name] = value
    st.session_state[OWN] = dict(own)
    defaults = {"seed": 0, "prompt": EXAMPLES[0], "weights": WEIGHTS[0]}
    for name, value in defaults.items():
        st.session_state.setdefault(FORM + name, value)


def _prompt(source: str) -> None:
    st.text_area("Prompt", key=FORM + "prompt", height=80, help="What to paint, in the words of its captions.")
    with st.popover("Examples", width="stretch", help="Prompts that the model has words for."):
        if source == "shapes":
            for number, example in enumerate(EXAMPLES):
                st.button(
                    example,
                    key=f"do.decode.example.{number}",
                    type="tertiary",
                    on_click=put,
                    args=({"prompt": example},),
                    help="Puts this into the prompt.",
                )
        else:
            st.caption(f"This model learned its words from {source}: the Data page shows its captions.")
    seed, new = st.columns(2, vertical_alignment="bottom", gap="small")
    seed.number_input(
        "Seed",
        0,
        LARGEST_SEED,
        step=1,
        key=FORM + "seed",
        help="Decides the order of revealing and all noise: same seed and settings, same picture.",
    )
    new.button(
        "New seed",
        key="do.decode.seed",
        on_click=lambda: put({"seed": secrets.randbelow(100_000)}),
        width="stretch",
        help="Draws another seed.",
    )


def _numbers(config: DreamConfig) -> None:
    limit = config.head.train_steps
    st.session_state[FORM + "sampling"] = min(st.session_state[FORM + "sampling"], limit)
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Steps",
        1,
        1024,
        step=1,
        key=FORM + "steps",
        help=f"Steps in which the {config.image.num_tokens} tokens are revealed, few at first (cosine).",
    )
    right.number_input(
        "Denoising steps",
        1,
        limit,
        step=1,
        key=FORM + "sampling",
        help="Steps of the diffusion head that turn noise into one token.",
    )
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Guidance scale",
        1.0,
        100.0,
        step=0.5,
        key=FORM + "guidance",
        help="How much the prompt is exaggerated against no prompt; 1 turns it off and halves the time.",
    )
    right.selectbox(
        "Guidance schedule",
        ["linear", "constant"],
        key=FORM + "schedule",
        help="Linear: grows from 1 to the scale with the share of tokens that is visible.",
    )
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Temperature",
        0.0,
        10.0,
        step=0.05,
        key=FORM + "temperature",
        help="Factor on the noise of the diffusion head: below 1 safer, above 1 wilder.",
    )
    right.selectbox(
        "Weights",
        list(WEIGHTS),
        key=FORM + "weights",
        help="Averaged over the training (EMA), or as they are at its end.",
    )
