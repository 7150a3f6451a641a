"""The app listens on loopback only, refuses unknown hosts, contacts no other host, and all its pages open."""

import contextlib
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import TimeoutError

from app.browsing import open_page, settle
from app.contents import PAGES

pytestmark = pytest.mark.browser
NAMES = [name for pages in PAGES.values() for name, _ in pages]


def path_of(name: str) -> str:
    return "" if name == "home" else name


def test_unknown_host_headers_are_refused(address):
    request = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert refused.value.code in (400, 403)
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.status == 200


def test_only_loopback_is_listened_on(address):
    port = urlsplit(address).port
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for number in own - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((number, port), timeout=5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_opens_by_its_address_asks_no_other_host_and_shows_no_failure(browser, address, name, theme):
    page = browser.new_context(color_scheme=theme).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{path_of(name)}")
    settle(page)
    page.wait_for_timeout(1500)
    hosts = {urlsplit(url).hostname for url in asked if urlsplit(url).scheme in ("http", "https", "ws")}
    assert hosts == {"127.0.0.1"}
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    assert page.locator("h1").first.inner_text().strip()
    page.context.close()


def test_the_keyboard_leads_from_page_to_page(browser, address):
    page = open_page(browser, address)
    for name in NAMES[1:4]:
        for _ in range(6):  # a key that comes before the page listens is lost
            page.keyboard.press("Alt+PageDown")
            with contextlib.suppress(TimeoutError):
                page.wait_for_url(f"**/{name}", timeout=15_000)
                break
        assert page.url.endswith(f"/{name}")
        settle(page)
        page.wait_for_timeout(1000)
    page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_window_scrolls_down_only(browser, address, name):
    page = open_page(browser, f"{address}/{path_of(name)}", size=(420, 900))
    main = "document.querySelector('[data-testid=stMain]')"
    wide = page.evaluate(f"{main}.scrollWidth - {main}.clientWidth")
    assert wide <= 1
    page.context.close()
