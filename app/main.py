"""The router: declares the pages, keeps their inputs, and runs the page that the address names.

Start it with `make app`. Streamlit imports this file once as a server, where `app` asks `app/doors.py` about every
request first, and runs it as a script for every view of a page.
"""

from contextlib import suppress
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from app.contents import PAGES
from app.doors import Doors, HostNames, announced, own_token
from app.failures import guarded
from app.figures import LOOKS
from app.handing_over import switch_page
from app.keys import action_key, keep_inputs
from app.reveal import keep_focus
from dream.errors import InputError
from workbench.workspace import confine, open_workspace

LOCAL = ("localhost", "127.0.0.1")
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses to listen on that are none to open."""


def main() -> None:
    """Runs one view of a page."""
    st.set_page_config(page_title="DREAM workbench", page_icon="🌙", layout="wide")
    st.html(LOOKS)
    keep_inputs()
    sections = {
        section: [
            st.Page(f"{name}/page.py", title=title, url_path=name, default=name == "home") for name, title in pages
        ]
        for section, pages in PAGES.items()
    }
    chosen = st.navigation(sections, expanded=True)
    _show_neighbours([page for pages in sections.values() for page in pages], chosen)
    with st.sidebar:
        keep_focus(chosen.url_path)
    with guarded():
        chosen.run()


def _show_neighbours(pages: list[st.Page], chosen: st.Page) -> None:
    """Draws buttons to the previous and the next page, with keyboard shortcuts."""
    at = pages.index(chosen)
    with st.sidebar:
        if st.button(
            "‹ Back",
            key=action_key("page", "back"),
            shortcut="Alt+PageUp",
            disabled=at == 0,
            width="stretch",
            help="Opens the previous page.",
        ):
            switch_page(pages[at - 1])
        if st.button(
            "Next ›",
            key=action_key("page", "next"),
            shortcut="Alt+PageDown",
            disabled=at == len(pages) - 1,
            width="stretch",
            help="Opens the next page.",
        ):
            switch_page(pages[at + 1])


def _address() -> str:
    """The address that browsers are told, without the token."""
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    name = st.get_option("browser.serverAddress") or st.get_option("server.address") or LOCAL[0]
    shown = LOCAL[0] if name in EVERYWHERE else name
    return f"{scheme}://{shown}:{st.get_option('browser.serverPort')}"


if __name__ == "__main__":
    main()
else:
    with suppress(InputError):  # pages say what is wrong with the workspace
        confine(open_workspace())
    token = own_token()
    names = HostNames(st.get_option("server.allowedHosts") or LOCAL, lambda: st.get_option("browser.serverPort"))
    app = st.App(
        __file__,
        middleware=[Middleware(Doors, names=names, token=token, index=Path(st.__file__).parent / "static/index.html")],
        lifespan=announced(_address, token),
    )
