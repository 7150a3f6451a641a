"""A tab of the app without a browser: it speaks Streamlit's protocol over the websocket, as the page in a tab does.

So twenty tabs cost what they cost the app, and not what twenty browsers cost.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

PATIENCE = 120.0
"""Seconds after which an answer counts as never given."""
ENDED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Drawn(NamedTuple):
    """A widget as it was drawn."""

    id: str
    fragment_id: str
    content: Any


class Tab:
    """A tab that shows a page of the app: `widgets` by key, errors, and the settings that its address has by now."""

    def __init__(self, address: str, page: str = "", settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.page = page
        self._script = ""
        """Hash of the page's script, by which Streamlit knows the page when a fragment asks for a whole run."""
        self.widgets: dict[str, Drawn] = {}
        self.errors: list[str] = []
        self.settings = {key: [value] for key, value in settings.items()}
        self._polls: dict[str, float] = {}
        """Seconds between the runs that the page asked for, by fragment; as in a browser, until a whole run."""
        self._states: dict[str, WidgetState] = {}
        self._open = ExitStack()
        self._socket = self._open.enter_context(
            connect(
                address.replace("http", "ws", 1) + "/_stcore/stream",
                origin=Origin(address),
                subprotocols=[Subprotocol("streamlit")],
                max_size=None,
                open_timeout=PATIENCE,
            )
        )
        self.seconds = self.run()
        """Seconds until the page had come."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def set(self, key: str, **value: Any) -> float:
        """Gives the widget of that key a value, such as `double_value=0.5`; returns the seconds until all had come."""
        self._states[key] = self._state(key, value)
        return self.run(self.widgets[key].fragment_id)

    def press(self, key: str) -> float:
        """Presses the button of that key; returns the seconds until all had come."""
        return self.run(self.widgets[key].fragment_id, self._state(key, {"trigger_value": True}))

    def wait(self) -> None:
        """Asks again as often as the page wants it, until it wants nothing more: until its work is done."""
        end = time.monotonic() + PATIENCE
        while self._polls:
            assert time.monotonic() < end, f"{self.page} still works after {PATIENCE:.0f} s"
            time.sleep(min(self._polls.values()))
            for fragment in list(self._polls):
                if fragment in self._polls:  # a fragment that a whole run dropped is never answered
                    self.run(fragment)

    def run(self, fragment: str = "", trigger: WidgetState | None = None) -> float:
        """Runs the page's script, or one of its fragments; returns the seconds until all had come."""
        begun, asked = time.monotonic(), BackMsg()
        asked.rerun_script.page_name = self.page
        asked.rerun_script.page_script_hash = self._script
        asked.rerun_script.fragment_id = fragment
        asked.rerun_script.query_string = urlencode(self.settings, doseq=True)
        asked.rerun_script.widget_states.widgets.extend([*self._states.values(), *([trigger] if trigger else [])])
        self._socket.send(asked.SerializeToString())
        while True:
            message = ForwardMsg()
            message.ParseFromString(self._socket.recv(timeout=PATIENCE))
            if message.WhichOneof("type") == "script_finished" and message.script_finished in ENDED:
                return time.monotonic() - begun
            self._learn(message)

    def _forget(self, fragments: Collection[str]) -> None:
        """Forgets what a run draws anew: those fragments, or the whole page."""
        if not fragments:
            self._polls = {}
        self.widgets = {
            key: each for key, each in self.widgets.items() if fragments and each.fragment_id not in fragments
        }

    def _state(self, key: str, value: dict[str, Any]) -> WidgetState:
        state = WidgetState(id=self.widgets[key].id)
        for name, given in value.items():
            if isinstance(given, list):
                getattr(state, name).data.extend(given)
            else:
                setattr(state, name, given)
        return state

    def _learn(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                self._forget(message.metadata.run.fragment_ids)
            case "navigation":
                self._script = message.navigation.page_script_hash
            case "page_info_changed":
                self.settings = parse_qs(message.page_info_changed.query_string)
            case "auto_rerun":
                self._polls[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._polls.pop(fragment, None)
            case "delta" if message.delta.HasField("new_element"):
                kind = message.delta.new_element.WhichOneof("type")
                shown = getattr(message.delta.new_element, kind) if kind else None
                if kind == "exception":
                    self.errors.append(f"{shown.type}: {shown.message}")
                identity = getattr(shown, "id", "")
                if identity.startswith("$$ID-"):  # $$ID-<hash>-<key>
                    self.widgets[identity.split("-", 2)[2]] = Drawn(identity, message.delta.fragment_id, shown)
