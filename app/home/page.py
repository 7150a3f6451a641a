"""The Home page: DREAM in three pictures, the shipped model to play with, the runs, where to go first."""

from collections.abc import Mapping

import streamlit as st

from app.credits import show_credits
from app.handing_over import hand_over
from app.home.pictures import three_pictures
from app.home.runs import show_runs
from app.keys import HOME
from app.links import LINKED
from dream.__main__ import COMMANDS, EXAMPLES
from dream.pretrained import SHIPPED
from workbench.prompts import example_prompts, fitting_prompt

MODEL_KEY, PROMPT_KEY = HOME.input("model"), HOME.input("prompt")
LEARNED = {
    "demo": ("Drawn shapes", "shapes", "circles, squares, triangles and crosses, alone or in pairs, in six colours"),
    "emoji": ("Emoji", "emoji", "1,900 things, each in the styles glossy, flat, ink, classic, blob and cartoon"),
}
SHOWN = 6  # examples
# Page, label of its button, caption. (A string below a constant would be drawn, since Streamlit runs this file.)
TRY = (
    ("masking", "Explore masking", "Change the schedule; see which loss each ratio counts for."),
    ("decode", "Watch a decode", "Paint live, then scrub: tokens revealed, previews, attention."),
    ("trajectories", "Compare candidates", "Candidates next to each other, their scores, and the choice among them."),
    ("train", "Train your own", "Ten minutes on drawn shapes, with live curves and samples."),
    ("search", "Search by text", "The pictures nearest to a text, with any share of them hidden."),
    ("checkpoints", "Inspect weights", "Parameters, norms, averaged and raw weights, differences."),
)


def render() -> None:
    """Draws the page."""
    st.title("DREAM workbench")
    st.caption(
        "One model for two tasks: matching captions with pictures, and painting a picture from a caption. "
        "Watch it learn, paint and choose."
    )
    three_pictures()
    left, right = st.columns([2, 3], gap="medium")
    with left.container(border=True, height="stretch"):
        _play()
    with right:
        _try_first()
    st.subheader("Runs on this machine")
    show_runs()
    with st.expander("Command line"):
        _command_line()


def _play() -> None:
    st.markdown("**Paint something**")
    model = _pick_shipped()
    _, source, known = LEARNED[model]
    examples = example_prompts(source)
    if PROMPT_KEY in st.session_state:
        st.session_state[PROMPT_KEY] = fitting_prompt(st.session_state[PROMPT_KEY], source)
    with st.form(HOME.action("form"), border=False):
        st.text_input(
            "Prompt",
            value=next(iter(examples.values())),
            key=PROMPT_KEY,
            bind=LINKED,
            max_chars=200,
            help=f"The model knows {known}.",
        )
        pressed = st.form_submit_button(
            "Paint",
            key=HOME.action("decode"),
            type="primary",
            width="stretch",
            help="Paints this prompt on the Decode page.",
        )
    short = list(examples)[:SHOWN]
    key = HOME.action("example", model)
    st.pills("Examples", short, key=key, on_change=_take_example, args=(key, examples), help="Fills in the prompt.")
    show_credits(source)
    prompt = st.session_state[PROMPT_KEY].strip()
    if pressed and prompt:
        hand_over("decode", model=model, prompt=prompt, paint=True)
    if pressed:
        st.warning("Type a prompt first.")


def _pick_shipped() -> str:
    """The shipped model to paint with; drawn only if there are several."""
    names = [name for name in LEARNED if name in SHIPPED]
    if len(names) == 1:
        return names[0]
    chosen = st.segmented_control(
        "Model",
        names,
        default=names[-1],
        format_func=lambda name: LEARNED[name][0],
        key=MODEL_KEY,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
    )
    return str(chosen or names[-1])


def _take_example(key: str, examples: Mapping[str, str]) -> None:
    if chosen := st.session_state[key]:
        st.session_state[PROMPT_KEY] = examples[chosen]


def _try_first() -> None:
    """Draws the pages to visit, in the order in which they explain each other."""
    for row in range(0, len(TRY), 3):
        for column, (page, label, about) in zip(st.columns(3), TRY[row : row + 3], strict=True):
            with column.container(border=True, height="stretch"):
                key = HOME.action("to", page)
                pressed = st.button(label, key=key, help=f"Opens the page. {about}", width="stretch")
                st.caption(about)
            if pressed:
                values = {"model": st.session_state.get(MODEL_KEY) or "demo", "prompt": st.session_state[PROMPT_KEY]}
                hand_over(page, **({**values, "paint": True} if page in ("decode", "trajectories") else {}))


def _command_line() -> None:
    st.markdown("Everything can also be done in a terminal with `.venv` active:")
    st.code(EXAMPLES, language="bash", wrap_lines=True)
    st.markdown("\n".join(f"- `dream {name}`: {summary}" for name, summary in COMMANDS.items()))
    st.caption("`dream COMMAND --help` lists a command's options.")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
