"""The player as a notebook widget; the same front-end as in the app and in offline HTML."""

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
  const heard = { "change:data": onData, "change:step": onStep, "change:position": onPosition };
  for (const [name, hear] of Object.entries(heard)) model.on(name, hear);
  onData();
  return () => {
    for (const [name, hear] of Object.entries(heard)) model.off(name, hear);
    player?.destroy();
  };
}
export default { render };
"""


class DecodePlayer(anywidget.AnyWidget):
    """A decode, race, board of cells or pair of pictures in a notebook: `DecodePlayer(data=...)`.

    Other data replaces what is shown; without any nothing is. Raises InputError as `check_player_data` does.
    """

    _esm = player_script(ADAPTER)
    _css = player_css()

    data = traitlets.Dict().tag(sync=True)
    """What is shown, as `workbench.player` describes."""
    events = traitlets.List(traitlets.Unicode(), list(EVENTS)).tag(sync=True)
    """Kinds of events that are told; read when it is first shown. Without `fork` there is no such button."""
    event = traitlets.Dict().tag(sync=True)
    """The last thing the reader did; `id` rises."""
    step = traitlets.Int(-1).tag(sync=True)
    """Index of the step that the reader rests at, -1 at first: the last one. Set it to go there."""
    position = traitlets.Int(-1).tag(sync=True)
    """Place of the token that the reader pinned, -1 while none is. Set it to pin one."""
    cells = traitlets.List(traitlets.Int()).tag(sync=True)
    """Places selected on a board of cells."""

    @traitlets.validate("data")
    def _checked(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        check_player_data(proposal["value"])
        return proposal["value"]

    @traitlets.observe("data")
    def _taken(self, change: traitlets.Bunch) -> None:
        self.cells = list(change["new"].get("cells", []))
