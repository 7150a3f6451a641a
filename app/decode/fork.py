"""Going on from the middle of a decode with other settings, and a decode beside another one."""

from typing import Any

import streamlit as st

from app.decode.controls import form_values
from app.decode.stage import data_of, model_of, start_paint
from app.failures import guarded
from app.keys import INPUT, LARGEST_SEED
from app.player import show_player
from dream.decoding.selection import DecodeSettings
from workbench.decode.recall import changes
from workbench.decode.request import DecodeRequest, Fork, check_decode_request, stretches
from workbench.decode.sides import compare_data
from workbench.store import StoredDecode, list_stored
from workbench.workspace import open_workspace

FORK = INPUT + "decode.fork."
OF = "decode.fork_of"
OTHER, SIDE = INPUT + "decode.compare_with", INPUT + "decode.compare_as"
SIDES = {"slider": "Slider", "players": "Two players"}
SLIDER_WIDTH = 340  # pixels
LISTED = 40
"""Most decodes to compare with."""


def fork_at(stored: StoredDecode, entry: int) -> None:
    """Puts the step of the player's entry into the form."""
    _fill(stored)
    places = _places(data_of(stored))
    st.session_state[FORK + "after"] = list(places)[min(entry + 1, len(places) - 1)]


def show_fork(stored: StoredDecode) -> None:
    """The form that goes on from a step with another seed, prompt or settings."""
    places = _places(data_of(stored))
    _fill(stored)
    if st.session_state.get(FORK + "after") not in places:
        st.session_state[FORK + "after"] = list(places)[len(places) // 3]
    with st.form("do.decode.fork", border=False):
        place, seed, temperature = st.columns([2, 1, 1])
        place.selectbox(
            "Go on after",
            list(places),
            format_func=places.__getitem__,
            key=FORK + "after",
            help="What is painted up to there stays, to the bit; the order of revealing stays as well.",
        )
        seed.number_input("Seed", 0, LARGEST_SEED, step=1, key=FORK + "seed", help="Noise of the new steps.")
        temperature.number_input(
            "Temperature", 0.0, 10.0, step=0.05, key=FORK + "temperature", help="Factor on that noise."
        )
        prompt, guidance, schedule = st.columns([2, 1, 1])
        prompt.text_input("Prompt", key=FORK + "prompt", help="What the new steps are to paint.")
        guidance.number_input(
            "Guidance scale", 1.0, 100.0, step=0.5, key=FORK + "guidance", help="1 turns guidance off."
        )
        schedule.selectbox(
            "Guidance schedule",
            ["linear", "constant"],
            key=FORK + "schedule",
            help="Linear in the share of tokens that is visible, or constant.",
        )
        if st.form_submit_button("Fork", type="primary", help="Paints on from there and stores the result."):
            with guarded():
                _start(stored)


def show_compare(stored: StoredDecode) -> None:
    """This decode (B) beside another (A): its parent if it is a fork."""
    others = {one.id: one for one in _others(stored)}
    if not others:
        st.info("There is no other decode by this model yet: fork this one, or decode another prompt.")
        return
    if st.session_state.get(OTHER) not in others:
        st.session_state[OTHER] = next(iter(others))
    other = st.selectbox(
        "Compare with",
        list(others),
        format_func=lambda id: _name(others[id], stored),
        key=OTHER,
        help="A: the decode on the left. B is the one shown above.",
    )
    st.session_state.setdefault(SIDE, "slider")
    side = st.segmented_control(
        "As",
        list(SIDES),
        format_func=SIDES.__getitem__,
        key=SIDE,
        required=True,
        label_visibility="collapsed",
        help="Both finished pictures under one slider, or both decodes step by step.",
    )
    first, second = data_of(others[other]), data_of(stored)
    if side == "slider":
        _slider(first, second, others[other], stored)
    else:
        for column, name, data in zip(st.columns(2), "AB", (first, second), strict=True):
            with column:
                st.markdown(f"**{name}** · {data['title']}")
                show_player(data, f"decode.compare.{name}", events=())


def _slider(first: dict[str, Any], second: dict[str, Any], a: StoredDecode, b: StoredDecode) -> None:
    row = st.container(horizontal=True, gap="large")
    with row.container(width=SLIDER_WIDTH):
        show_player(compare_data(first, second, a, b), "decode.compare.slider", events=())
    with row.container(width="stretch"):
        different = changes(_settings(a), _settings(b))
        same = sum(x == y for x, y in zip(first["frames"], second["frames"], strict=False))
        if "parent" in b.about and b.about["parent"] == a.id:
            st.caption(f"B went on from A after step {b.about['fork_step']}; {same} pictures are the same.")
        if different:
            rows = [{"setting": one.name, "A": one.now, "B": one.then} for one in different]
            st.table(rows, hide_index=True, border="horizontal")
        else:
            st.caption("Prompt and settings are the same.")


def _start(stored: StoredDecode) -> None:
    state, settings = st.session_state, stretches(stored)[-1].settings
    opened = model_of(stored)
    wanted = DecodeSettings(
        steps=settings.steps,
        guidance_scale=state[FORK + "guidance"],
        seed=state[FORK + "seed"],
        guidance_schedule=state[FORK + "schedule"],
        temperature=state[FORK + "temperature"],
        sampling_steps=settings.sampling_steps,
        selection="none",
    )
    request = DecodeRequest(
        stored.about["model"],
        stored.about.get("weights", "averaged"),
        " ".join(state[FORK + "prompt"].split()),
        wanted,
        fork=Fork(stored, state[FORK + "after"]),
    )
    check_decode_request(opened.config, request)
    start_paint(request, str(opened.path))
    st.rerun()


def _fill(stored: StoredDecode) -> None:
    """The form starts from the decode's own settings, anew for another decode."""
    if st.session_state.get(OF) == stored.id and FORK + "seed" in st.session_state:
        return
    st.session_state[OF] = stored.id
    last = stretches(stored)[-1]
    values = form_values(last.settings, {})
    for name in ("seed", "guidance", "schedule", "temperature"):
        st.session_state[FORK + name] = values[name]
    st.session_state[FORK + "seed"] = (values["seed"] + 1) % LARGEST_SEED
    st.session_state[FORK + "prompt"] = last.prompt
    st.session_state.pop(FORK + "after", None)


def _places(data: dict[str, Any]) -> dict[int, str]:
    """Steps done at which a decode can be forked, with what stands then; the first is its start."""
    tokens = data["grid"] ** 2
    places = {0: "the start (nothing revealed)"}
    for step in data["steps"][:-1]:
        visible = round(step["decoded"] * tokens)
        places[step["step"]] = f"step {step['step']} of {step['of']} ({visible} of {tokens} tokens stay)"
    return places


def _others(stored: StoredDecode) -> list[StoredDecode]:
    """Decodes of the same model: its parent first, then its forks, then the newest."""
    model = stored.about.get("model_id")
    found = [one for one in list_stored(open_workspace()) if one.id != stored.id]
    found = [one for one in found if one.about.get("model_id") == model and model]
    parent = stored.about.get("parent")
    found.sort(key=lambda one: (one.id != parent, one.about.get("parent") != stored.id))
    return found[:LISTED]


def _name(other: StoredDecode, stored: StoredDecode) -> str:
    kin = " (parent)" if stored.about.get("parent") == other.id else ""
    kin = kin or (" (fork of this)" if other.about.get("parent") == stored.id else "")
    return f"{other.prompt} · seed {other.about.get('seed')} · {other.when}{kin}"


def _settings(stored: StoredDecode) -> dict[str, Any]:
    last = stretches(stored)[-1]
    return {"prompt": last.prompt, **last.settings.to_dict()}
