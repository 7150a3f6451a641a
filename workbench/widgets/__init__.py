"""The workbench in a notebook: five widgets, documented in `workbench.widgets.api`.

Every widget is an `Instrument`: a box with controls and figures that also returns its result as data.
"""

from workbench.widgets.api import checkpoint_browser, decode_player, masking_explorer, run_monitor, trajectory_race

__all__ = ["checkpoint_browser", "decode_player", "masking_explorer", "run_monitor", "trajectory_race"]
