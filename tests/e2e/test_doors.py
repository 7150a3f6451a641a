"""The app as it is served: the token opens it and stays out of the address, and its policy hinders no page."""

import json
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from app.browsing import PATIENCE, served, settle

pytestmark = pytest.mark.browser
TOKEN = "a-token-of-the-test"
UPGRADE = (
    "GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{origin}"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    f"Cookie: dream-{{port}}={TOKEN}\r\n\r\n"
)


@pytest.fixture(scope="module")
def guarded(workspace):
    with served(workspace, token=TOKEN) as found:
        yield found


def asked(address: str, **headers: str):
    cookie = {"Cookie": f"dream-{address.rpartition(':')[2].partition('/')[0]}={TOKEN}"}
    return urllib.request.urlopen(urllib.request.Request(address, headers=cookie | headers), timeout=20)


def test_the_token_opens_the_app_once_and_for_reloads_and_links(browser, guarded):
    page = browser.new_context().new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    assert page.goto(guarded).status == 403
    page.goto(f"{guarded}/masking?token={TOKEN}", timeout=PATIENCE)
    settle(page)
    assert page.url == f"{guarded}/masking"
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=PATIENCE)
    page.reload()
    settle(page)
    page.goto(f"{guarded}/decode", timeout=PATIENCE)
    settle(page)
    expect(page.locator("canvas").first).to_be_visible(timeout=PATIENCE)  # its script comes as a blob
    assert [text for text in said if "Content Security Policy" in text] == []
    page.context.close()


def test_streamlit_names_no_foreign_host_and_gives_no_figures(guarded):
    with asked(f"{guarded}/_stcore/host-config") as answer:
        assert json.load(answer)["allowedOrigins"] == []
        assert answer.headers["X-Frame-Options"] == "DENY"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        asked(f"{guarded}/_stcore/metrics")


def test_another_page_of_this_machine_is_refused_before_streamlit(guarded):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        asked(f"{guarded}/_stcore/host-config", Origin="http://127.0.0.1:9")
    host = urlsplit(guarded).netloc
    for origin in ("", "Origin: http://evil.example\r\n", "Origin: http://127.0.0.1:9\r\n"):
        with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=20) as connection:
            connection.sendall(UPGRADE.format(host=host, port=host.rpartition(":")[2], origin=origin).encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 403")
