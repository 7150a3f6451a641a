"""The player as a notebook widget, with the same front end as the app and offline HTML."""

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from workbench.player import EVENTS, check_player_data, player_css, player_script

ADAPTER = """
function render({ model, el }) {
  let player = null;
  const emit = (event) => {
    model.set("event", event);
    if (event.kind === "step") model.set("step", event.index);
    if (event.kind === "position") model.set("position", event.position ?? -1);
    if (event.kind === "cells") model.set("cells", event.cells);
    model.save_changes();
  };
  const onData = () => {
    const data = model.get("data");
    if (player) player.update(data);
    else if (data.mode) {
      player = mount(el, data, emit, model.get("events"));
      onStep();
      if (model.get("position") >= 0) onPosition();
    }
  };
  const onStep = () => model.get("step") >= 0 && player?.go(model.get("step"));
  const onPosition = () => player?.pin(model.get("position") >= 0 ? model.get("position") : null);
  const handlers = { "change:data": onData, "change:step": onStep, "change:position": onPosition };
  for (const [name, handler] of Object.entries(handlers)) model.on(name, handler);
  onData();
  return () => {
    for (const [name, handler] of Object.entries(handlers)) model.off(name, handler);
    player?.destroy();
  };
}
export default { render };
"""


class DecodePlayer(anywidget.AnyWidget):
    """A decode, race, board of cells or pair of pictures in a notebook: `DecodePlayer(data=...)`.

    Setting `data` replaces what is shown; without data the widget is empty. Raises InputError as
    `check_player_data` does.
    """

    _esm = player_script(ADAPTER)
    _css = player_css()

    data = traitlets.Dict().tag(sync=True)
    """The data shown, in the format of `workbench.player`."""
    events = traitlets.List(traitlets.Unicode(), list(EVENTS)).tag(sync=True)
    """Kinds of events to report; read when the widget is first shown. Without `fork` that button is missing."""
    event = traitlets.Dict().tag(sync=True)
    """Last event from the reader; `id` increases."""
    step = traitlets.Int(-1).tag(sync=True)
    """Index of the step shown; -1 at first, which means the last one. Set it to go to a step."""
    position = traitlets.Int(-1).tag(sync=True)
    """Position of the pinned token, -1 if there is none. Set it to pin one."""
    cells = traitlets.List(traitlets.Int()).tag(sync=True)
    """Positions selected on a board of cells."""

    @traitlets.validate("data")
    def _checked(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        check_player_data(proposal["value"])
        return proposal["value"]

    @traitlets.observe("data")
    def _taken(self, change: traitlets.Bunch) -> None:
        self.cells = list(change["new"].get("cells", []))
