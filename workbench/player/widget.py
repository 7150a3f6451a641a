"""The player as a notebook widget; the same front-end as in the app and in offline HTML."""

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from workbench.player import check_player_data, player_css, player_script

ADAPTER = """
function render({ model, el }) {
  const player = mount(el, model.get("data"), (event) => {
    model.set("event", event);
    if (event.kind === "step") model.set("step", event.index);
    model.save_changes();
  });
  const onData = () => player.update(model.get("data"));
  const onStep = () => player.go(model.get("step"));
  model.on("change:data", onData);
  model.on("change:step", onStep);
  return () => {
    model.off("change:data", onData);
    model.off("change:step", onStep);
    player.destroy();
  };
}
export default { render };
"""


class DecodePlayer(anywidget.AnyWidget):
    """A decode, race, board of cells or pair of pictures in a notebook: `DecodePlayer(data=...)`.

    Other data replaces what is shown. Raises InputError as `check_player_data` does.
    """

    _esm = player_script(ADAPTER)
    _css = player_css()

    data = traitlets.Dict().tag(sync=True)
    """What is shown, as `workbench.player` describes."""
    event = traitlets.Dict().tag(sync=True)
    """The last thing the reader did; `id` rises."""
    step = traitlets.Int(0).tag(sync=True)
    """Index of the step that the reader rests at; set it to go there."""

    @traitlets.validate("data")
    def _checked(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        check_player_data(proposal["value"])
        return proposal["value"]
