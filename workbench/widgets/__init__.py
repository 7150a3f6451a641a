"""The workbench in a notebook. `workbench.widgets.api` has the five functions and says how they are used.

Each of the other files makes one thing they consist of. Every widget is an `Instrument`: a box with controls
and figures that also gives its result as data. None of this knows Streamlit.
"""

from workbench.widgets.api import checkpoint_browser, decode_player, masking_explorer, run_monitor, trajectory_race

__all__ = ["checkpoint_browser", "decode_player", "masking_explorer", "run_monitor", "trajectory_race"]
