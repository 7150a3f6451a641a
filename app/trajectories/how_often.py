"""How often choosing helps, on the Trajectories page: from the study of the weights that are shown."""

import streamlit as st

from app.failures import guarded
from app.models import state_of
from app.text import as_text
from dream.decoding.settings import DecodeSettings
from workbench.store import StoredDecode
from workbench.trajectories.gain import gain_html
from workbench.trajectories.prompts import HONEST
from workbench.trajectories.race import Race
from workbench.trajectories.scores import SCORE_WORDS, how_often, how_often_words, is_measured

SHOWN_AS_MARKS = 40.0
"""Pictures per hundred without a choice up to which an outcome is drawn as marks first: there is most to choose."""


def show_how_often(stored: StoredDecode, race: Race) -> None:
    """Draws the study's numbers for this model, score and moment; without a study, what is known of demo."""
    settings = DecodeSettings.from_dict(stored.about["settings"])
    choices = race.choices
    decoded = race.decoded[choices[0]] if choices else 0.3
    with guarded():
        found = how_often(stored.about.get("model_id", ""), settings.score, decoded)
        if not found:
            st.caption(as_text(HONEST))
            return
        # where about half of the pictures are right, a choice has most to do
        first = min(found, key=lambda one: abs(one.gain.without - SHOWN_AS_MARKS))
        st.markdown(f"**How often does this help?** Chosen by: {SCORE_WORDS.get(settings.score, settings.score)}.")
        if not is_measured(settings, state_of(stored.about["model"]).config.decode, first):
            st.caption(
                f"Measured with the model's own settings and {first.candidates} candidates, of which one is chosen "
                "once. This race was painted otherwise, so the numbers need not hold for it."
            )
        st.html(gain_html(first.gain))
        same = [one for one in found if one.outcome == first.outcome]
        st.caption("  \n".join(as_text(how_often_words(one)) for one in same))
        if others := [one for one in found if one.outcome != first.outcome]:
            with st.expander("Counted in other ways"):
                st.caption("  \n".join(as_text(how_often_words(one)) for one in others))
