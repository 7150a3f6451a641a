"""Opens the app under test on one of its pages."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")


def page_of(name: str, timeout: float = 180, **state: object) -> AppTest:
    """The app with `state` in its session, which its first run will open on the page of that address.

    `AppTest.switch_page` knows an address only after a run, and the first would be Home's, which paints.
    """
    app = AppTest.from_file(MAIN, default_timeout=timeout)
    for key, value in state.items():
        app.session_state[key] = value
    app._page_hash = calc_hash(name)
    return app
