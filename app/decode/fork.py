"""Forks on the Decode page: continuing from the middle of a decode with other settings."""

from typing import Any

import streamlit as st

from app.decode.controls import form_values
from app.decode.stage import STAGE, data_of, model_of, start_paint
from app.failures import guarded
from app.keys import DECODE, LARGEST_SEED
from app.number_fields import NumberFields
from app.reveal import bring_into_view
from dream.decoding.selection import DecodeSettings
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
    """Draws the form that continues from a step with another seed, prompt or settings."""
    places = _places(data_of(stored))
    _fill(stored)
    if st.session_state.get(AFTER) not in places:
        st.session_state[AFTER] = list(places)[len(places) // 3]
    with st.form(DECODE.action("fork"), border=False):
        place, seed, temperature = st.columns([2, 1, 1])
        place.selectbox(
            "Continue after",
            list(places),
            format_func=places.__getitem__,
            key=AFTER,
            help="The tokens revealed up to there stay bit for bit, and so does the reveal order.",
        )
        numbers = NumberFields()
        about = "Seeds the noise of the new steps."
        seeded = numbers.whole(seed, "Seed", 0, LARGEST_SEED, key=_key("seed"), help=about)
        about = "Factor on that noise."
        noise = numbers.real(temperature, "Temperature", 0.0, 10.0, step=0.05, key=_key("temperature"), help=about)
        prompt, guidance, schedule = st.columns([2, 1, 1])
        prompt.text_input("Prompt", key=_key("prompt"), help="The prompt of the new steps.")
        about = "1 turns guidance off."
        scale = numbers.real(guidance, "Guidance scale", 1.0, 100.0, step=0.5, key=_key("guidance"), help=about)
        schedule.selectbox(
            "Guidance schedule",
            ["linear", "constant"],
            key=_key("schedule"),
            help="Linear: grows from 1 to the scale with the share of visible tokens.",
        )
        if st.form_submit_button("Fork", type="primary", help="Paints from there on and stores the result."):
            with guarded():
                numbers.require()
                _start(stored, seeded, scale, noise)


def _key(name: str) -> str:
    return DECODE.input("fork", name)


def _start(stored: StoredDecode, seed: int, guidance: float, temperature: float) -> None:
    state, settings = st.session_state, stretches(stored)[-1].settings
    opened = model_of(stored)
    changed = DecodeSettings(
        steps=settings.steps,
        guidance_scale=guidance,
        seed=seed,
        guidance_schedule=state[_key("schedule")],
        temperature=temperature,
        sampling_steps=settings.sampling_steps,
        selection="none",
    )
    request = DecodeRequest(
        stored.about["model"],
        stored.about.get("weights", "averaged"),
        " ".join(state[_key("prompt")].split()),
        changed,
        fork=Fork(stored, state[AFTER]),
    )
    check_decode_request(opened.config, request)
    start_paint(request, str(opened.path))
    bring_into_view(STAGE)
    st.rerun()


def _fill(stored: StoredDecode) -> None:
    """Fills the form with the decode's own settings, once per decode, with the next seed."""
    if st.session_state.get(PARENT) == stored.id and _key("seed") in st.session_state:
        return
    st.session_state[PARENT] = stored.id
    last = stretches(stored)[-1]
    values = form_values(last.settings, {})
    for name in ("seed", "guidance", "schedule", "temperature"):
        st.session_state[_key(name)] = values[name]
    st.session_state[_key("seed")] = (values["seed"] + 1) % LARGEST_SEED
    st.session_state[_key("prompt")] = last.prompt
    st.session_state.pop(AFTER, None)


def _places(data: dict[str, Any]) -> dict[int, str]:
    """Steps after which a decode can be forked, with labels; the first is its start."""
    tokens = data["grid"] ** 2
    places = {0: "the start (nothing revealed)"}
    for step in data["steps"][:-1]:
        visible = round(step["decoded"] * tokens)
        places[step["step"]] = f"step {step['step']} of {step['of']} ({visible} of {tokens} tokens stay)"
    return places
