"""The router: declares the pages, keeps their inputs, and runs the page that the address names.

Start it with `make app`. Streamlit imports this file once as a server, where `app` refuses requests with a host
name that the settings do not allow, and runs it as a script for every view of a page.
"""

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from app.contents import PAGES
from app.failures import guarded
from app.figures import LOOKS
from app.handing_over import switch_page
from app.keys import action_key, keep_inputs
from app.reveal import keep_focus


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


if __name__ == "__main__":
    main()
else:
    hosts = st.get_option("server.allowedHosts")
    app = st.App(__file__, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts or ["*"])])
