"""The Home page: DREAM in three pictures, the shipped model to play with, the runs, where to go first."""

import streamlit as st

from app.handing_over import hand_over
from app.home.pictures import three_pictures
from app.home.runs import show_runs
from dream.__main__ import COMMANDS, EXAMPLES
from workbench.pictures_of_dream import PROMPT

KEY = "in.home."
PROMPTS = {
    "circle and square": PROMPT,
    "triangle and cross": "a green triangle left of a purple cross on a grey background",
    "one cross": "an orange cross on a black background",
}
# Page, label of its button, and what is to be seen there. (A string here would be shown on the page.)
TRY = (
    ("masking", "Turn the warm-up", "Move the schedule and see which draws train what."),
    ("decode", "Watch a decode", "Paint live, then scrub: what was seen, filled and looked at."),
    ("trajectories", "Watch the choice", "Candidates side by side, their scores, and the moment of choice."),
    ("train", "Train your own", "Ten minutes on drawn shapes, with live curves and samples."),
    ("search", "Search by words", "The nearest pictures of a text, at any share hidden."),
    ("checkpoints", "Open the weights", "Parameters, norms, averages beside raw, differences."),
)


def render() -> None:
    """Show the page."""
    st.title("DREAM workbench")
    st.caption(
        "One model for two things: telling which caption belongs to which picture, and painting a picture "
        "from a caption. Here it can be watched while it learns, paints and chooses."
    )
    three_pictures()
    left, right = st.columns([2, 3], gap="medium")
    with left.container(border=True, height="stretch"):
        _play()
    with right:
        _try_first()
    st.subheader("Runs on this machine")
    show_runs()
    with st.expander("From the command line"):
        _command_line()


def _play() -> None:
    st.markdown("**The model that ships is ready**")
    st.session_state.setdefault(KEY + "prompt", PROMPT)
    with st.form("do.home.form", border=False):
        st.text_input(
            "Prompt",
            key=KEY + "prompt",
            max_chars=200,
            help="It knows circles, squares, triangles and crosses, alone or two together, in six colours.",
        )
        asked = st.form_submit_button(
            "Paint it",
            key="do.home.decode",
            type="primary",
            width="stretch",
            help="Opens the Decode page and paints this step by step.",
        )
    st.pills(
        "Or one of these", list(PROMPTS), key="do.home.example", on_change=_take_example, help="Fills the box above."
    )
    prompt = st.session_state[KEY + "prompt"].strip()
    if asked and prompt:
        hand_over("decode", model="demo", prompt=prompt)
    if asked:
        st.warning("Type what it should paint first.")


def _take_example() -> None:
    chosen = st.session_state["do.home.example"]
    if chosen:
        st.session_state[KEY + "prompt"] = PROMPTS[chosen]


def _try_first() -> None:
    """The pages to go to, in the order in which they explain each other."""
    for row in range(0, len(TRY), 3):
        for column, (page, label, words) in zip(st.columns(3), TRY[row : row + 3], strict=True):
            with column.container(border=True, height="stretch"):
                pressed = st.button(label, key=f"do.home.to.{page}", help=f"Opens the page. {words}", width="stretch")
                st.caption(words)
            if pressed:
                given = {"model": "demo", "prompt": st.session_state[KEY + "prompt"]}
                hand_over(page, **(given if page in ("decode", "trajectories") else {}))


def _command_line() -> None:
    st.markdown("Everything can be done in a terminal with `.venv` active, too:")
    st.code(EXAMPLES, language="bash", wrap_lines=True)
    st.markdown("\n".join(f"- `dream {name}`: {summary}" for name, summary in COMMANDS.items()))
    st.caption("`dream COMMAND --help` lists a command's options.")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
