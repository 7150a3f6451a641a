"""The Home page: DREAM in three pictures, the shipped model to play with, the runs, where to go first."""

import streamlit as st

from app.handing_over import hand_over
from app.home.pictures import three_pictures
from app.home.runs import show_runs
from app.keys import HOME
from app.links import LINKED
from dream.__main__ import COMMANDS, EXAMPLES
from workbench.pictures_of_dream import PROMPT

PROMPT_KEY = HOME.input("prompt")
PROMPTS = {
    "circle and square": PROMPT,
    "triangle and cross": "a green triangle left of a purple cross on a grey background",
    "one cross": "an orange cross on a black background",
}
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
    st.markdown("**The shipped model**")
    with st.form(HOME.action("form"), border=False):
        st.text_input(
            "Prompt",
            value=PROMPT,
            key=PROMPT_KEY,
            bind=LINKED,
            max_chars=200,
            help="The model knows circles, squares, triangles and crosses, alone or in pairs, in six colours.",
        )
        pressed = st.form_submit_button(
            "Paint",
            key=HOME.action("decode"),
            type="primary",
            width="stretch",
            help="Paints this prompt on the Decode page.",
        )
    st.pills(
        "Examples", list(PROMPTS), key=HOME.action("example"), on_change=_take_example, help="Fills in the prompt."
    )
    prompt = st.session_state[PROMPT_KEY].strip()
    if pressed and prompt:
        hand_over("decode", model="demo", prompt=prompt, paint=True)
    if pressed:
        st.warning("Type a prompt first.")


def _take_example() -> None:
    chosen = st.session_state[HOME.action("example")]
    if chosen:
        st.session_state[PROMPT_KEY] = PROMPTS[chosen]


def _try_first() -> None:
    """Draws the pages to visit, in the order in which they explain each other."""
    for row in range(0, len(TRY), 3):
        for column, (page, label, about) in zip(st.columns(3), TRY[row : row + 3], strict=True):
            with column.container(border=True, height="stretch"):
                key = HOME.action("to", page)
                pressed = st.button(label, key=key, help=f"Opens the page. {about}", width="stretch")
                st.caption(about)
            if pressed:
                values = {"model": "demo", "prompt": st.session_state[PROMPT_KEY]}
                opened = {"decode": {**values, "paint": True}, "trajectories": values}
                hand_over(page, **opened.get(page, {}))


def _command_line() -> None:
    st.markdown("Everything can also be done in a terminal with `.venv` active:")
    st.code(EXAMPLES, language="bash", wrap_lines=True)
    st.markdown("\n".join(f"- `dream {name}`: {summary}" for name, summary in COMMANDS.items()))
    st.caption("`dream COMMAND --help` lists a command's options.")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
