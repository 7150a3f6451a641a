"""Forks on the Decode page: continuing from the middle of a decode with other settings."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from app.decode.controls import SCHEDULES, form_values
from app.decode.stage import STAGE, data_of, model_of, start_paint
from app.failures import guarded
from app.keys import DECODE, LARGEST_SEED
from app.links import LINKED
from app.number_fields import NumberFields
from app.reveal import bring_into_view
from dream.decoding.settings import DecodeSettings
from workbench.decode.request import DecodeRequest, Fork, check_decode_request, stretches
from workbench.store import StoredDecode

AFTER = DECODE.input("fork", "after")
PARENT = DECODE.name("fork_of")
"""Session key: id of the decode whose settings the form was filled with."""


def fork_at(stored: StoredDecode, entry: int) -> None:
    """Puts the step of the player's entry into the form."""
    _fill(stored)
    places = _places(data_of(stored))
    st.session_state[AFTER] = list(places)[min(entry + 1, len(places) - 1)]


def show_fork(stored: StoredDecode) -> None:
    """Draws the fields of what continues from a step with another seed, prompt or settings, and the button.

    The address holds those that differ from the decode's own.
    """
    places = _places(data_of(stored))
    own = _fill(stored)
    if st.session_state.get(AFTER, 0) not in places:
        del st.session_state[AFTER]
    place, seed, temperature = st.columns([2, 1, 1])
    after = place.selectbox(
        "Continue after",
        list(places),
        len(places) // 3,
        format_func=places.__getitem__,
        key=AFTER,
        bind=LINKED,
        help="The tokens revealed up to there stay bit for bit, and so does the reveal order.",
    )
    numbers, field = NumberFields(), partial(_field, own)
    seeded = numbers.whole(seed, "Seed", 0, LARGEST_SEED, **field("seed", "Seeds the noise of the new steps."))
    about = "Factor on that noise."
    noise = numbers.real(temperature, "Temperature", 0.0, 10.0, step=0.05, **field("temperature", about))
    prompt, guidance, schedule = st.columns([2, 1, 1])
    words = prompt.text_input("Prompt", **field("prompt", "The prompt of the new steps."))
    scale = numbers.real(guidance, "Guidance scale", 1.0, 100.0, step=0.5, **field("guidance", "1 turns guidance off."))
    options = field("schedule", "Linear: grows from 1 to the scale with the share of visible tokens.")
    kind = schedule.selectbox("Guidance schedule", SCHEDULES, SCHEDULES.index(options.pop("value")), **options)
    about = "Paints from there on and stores the result."
    if st.button("Fork", key=DECODE.action("fork"), type="primary", help=about):
        with guarded():
            numbers.require()
            last = stretches(stored)[-1].settings
            settings = DecodeSettings(
                steps=last.steps,
                guidance_scale=scale,
                seed=seeded,
                guidance_schedule=kind,
                temperature=noise,
                **last.denoising,
                selection="none",
            )
            _start(stored, after, words, settings)


def _key(name: str) -> str:
    return DECODE.input("fork", name)


def _field(own: Mapping[str, Any], name: str, about: str) -> dict[str, Any]:
    return {"key": _key(name), "value": own[name], "help": about, "bind": LINKED}


def _start(stored: StoredDecode, after: int, prompt: str, settings: DecodeSettings) -> None:
    opened = model_of(stored)
    weights = stored.about.get("weights", "averaged")
    fork = Fork(stored, after)
    request = DecodeRequest(stored.about["model"], weights, " ".join(prompt.split()), settings, fork=fork)
    check_decode_request(opened.config, request)
    start_paint(request, str(opened.path))
    bring_into_view(STAGE)
    st.rerun()


def _fill(stored: StoredDecode) -> dict[str, Any]:
    """The decode's own values by field, with the next seed; another decode than before also puts them into the fields.

    The first one of a tab does not, since what differs from them may be in the address.
    """
    last = stretches(stored)[-1]
    values = form_values(last.settings, {})
    own = {name: values[name] for name in ("seed", "guidance", "schedule", "temperature")}
    own |= {"seed": (values["seed"] + 1) % LARGEST_SEED, "prompt": last.prompt}
    before = st.session_state.get(PARENT)
    if before not in (None, stored.id):
        st.session_state.update({_key(name): value for name, value in own.items()})
        st.session_state.pop(AFTER, None)
    st.session_state[PARENT] = stored.id
    return own


def _places(data: dict[str, Any]) -> dict[int, str]:
    """Steps after which a decode can be forked, with labels; the first is its start."""
    tokens = data["grid"] ** 2
    places = {0: "the start (nothing revealed)"}
    for step in data["steps"][:-1]:
        visible = round(step["decoded"] * tokens)
        places[step["step"]] = f"step {step['step']} of {step['of']} ({visible} of {tokens} tokens stay)"
    return places
