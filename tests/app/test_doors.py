"""A request comes in with a known name, the right port, its own origin and the token, and no other does."""

import json
import stat

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.doors import TOKEN_VARIABLE, Doors, HostNames, content_policy, inline_scripts, own_token

HOST, TOKEN = "127.0.0.1:8501", "the-token"
STREAM = f"ws://{HOST}/_stcore/stream"


async def answer(request):
    return PlainTextResponse(f"page {request.url.path}")


async def stream(websocket):
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def client(token=None, hosts=("localhost", "127.0.0.1"), told=None, address=f"http://{HOST}"):
    paths = ("/_stcore/metrics", "/_stcore/health", "/_stcore/host-config", "/{rest:path}")
    inner = Starlette(routes=[WebSocketRoute("/_stcore/stream", stream), *(Route(path, answer) for path in paths)])
    return TestClient(Doors(inner, HostNames(hosts, lambda: told), token), base_url=address, follow_redirects=False)


@pytest.mark.parametrize(
    "host",
    ["evil.example:8501", "127.0.0.1", "127.0.0.1:8502", "localhost:80", "a@127.0.0.1:8501", "127.0.0.1:x", "", "[::1"],
)
def test_another_name_or_port_is_refused(host):
    assert client().get("/decode", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", [HOST, "localhost:8501", "LOCALHOST:8501", "localhost.:8501"])
def test_own_names_with_the_port_that_is_listened_on_come_in(host):
    assert client().get("/decode", headers={"Host": host}).text == "page /decode"


def test_a_port_that_browsers_are_told_comes_in_as_through_a_tunnel():
    assert client(told=9000).get("/", headers={"Host": "localhost:9000"}).status_code == 200
    assert client(hosts=["dream.example"], told=443).get("/", headers={"Host": "dream.example:443"}).status_code == 200
    assert client(hosts=["*.example"]).get("/", headers={"Host": "a.example:8501"}).status_code == 200


ORIGINS = ["http://evil.example", "http://127.0.0.1:8502", "http://127.0.0.1", "null", "http://localhost:8501", ""]


@pytest.mark.parametrize("origin", ORIGINS)
def test_another_origin_is_refused_for_pages_and_the_websocket(origin):
    assert client().get("/", headers={"Origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client().websocket_connect(STREAM, headers={"Origin": origin, "Host": HOST}),
    ):
        pass


def test_the_websocket_needs_its_origin():
    with pytest.raises(WebSocketDisconnect), client().websocket_connect(STREAM, headers={"Host": HOST}):
        pass
    own = {"Origin": f"http://{HOST}", "Host": HOST}
    with client().websocket_connect(STREAM, headers=own) as socket:
        assert socket.receive_text() == "hello"


def test_two_host_headers_are_none():
    both = [("Host", HOST), ("Host", "evil.example")]
    assert client().get("/", headers=both).status_code == 403


def test_without_the_token_only_a_sign_of_life_is_given():
    browser = client(TOKEN)
    for path in ("/", "/decode?in.decode.seed=1", "/media/1.png", "/_stcore/host-config", "/?token=wrong"):
        refused = browser.get(path)
        assert refused.status_code == 403 and "?token=" in refused.text and TOKEN not in refused.text
    assert browser.get("/_stcore/health").status_code == 200
    own = {"Origin": f"http://{HOST}", "Host": HOST}
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect(STREAM, headers=own):
        pass


def test_the_token_becomes_a_cookie_and_leaves_the_address():
    browser = client(TOKEN)
    first = browser.get(f"/decode?in.decode.seed=1&token={TOKEN}&in.decode.prompt=a+%26+b")
    assert first.status_code == 303
    assert first.headers["location"] == "/decode?in.decode.seed=1&in.decode.prompt=a+%26+b"
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert browser.get("/decode").text == "page /decode"
    own = {"Origin": f"http://{HOST}", "Host": HOST}
    with browser.websocket_connect(STREAM, headers=own) as socket:
        assert socket.receive_text() == "hello"


def test_the_cookie_of_another_server_of_this_machine_neither_opens_nor_hinders():
    browser = client(TOKEN)
    odd = f'a[]="x; b=@@; dream-8502={TOKEN}'
    assert browser.get("/", headers={"Cookie": odd}).status_code == 403
    assert browser.get("/", headers={"Cookie": f"{odd}; dream-8501={TOKEN}"}).status_code == 200


def test_a_token_leads_to_no_other_host():
    browser = client(TOKEN)
    for path in ("//evil.example/", "/\\evil.example/", "/%5C/evil.example"):
        assert browser.get(f"http://{HOST}{path}?token={TOKEN}").headers["location"].startswith("/evil.example")


def test_every_answer_tells_browsers_to_ask_no_other_host():
    for path, status in (("/", 200), ("/_stcore/metrics", 404), ("/_stcore/agent/mcp", 404)):
        found = client().get(path)
        assert found.status_code == status
        assert found.headers["x-frame-options"] == "DENY" and found.headers["x-content-type-options"] == "nosniff"
        policy = found.headers["content-security-policy"]
        assert f"connect-src 'self' data: blob: ws://{HOST} wss://{HOST}" in policy
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "http:" not in policy and "*" not in policy and "'unsafe-eval'" not in policy


def test_an_inline_script_of_streamlit_runs_by_its_hash(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<!-- <script>no</script> --><script>\n  a = 1\n</script><script src='x'></script>")
    assert inline_scripts(page) == ["\n  a = 1\n"]
    assert content_policy(inline_scripts(page)).count("'sha256-") == 1
    assert inline_scripts(tmp_path / "none.html") == []


def test_the_token_is_kept_for_its_owner_and_a_setting_turns_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    token = own_token()
    kept = tmp_path / ".workbench" / "token"
    assert len(token) > 20 and own_token() == token == kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    settings = tmp_path / ".workbench" / "settings.json"
    settings.write_text(json.dumps({"token": False}))
    assert own_token() is None
    settings.write_text("[")
    assert own_token() not in (None, token)
    monkeypatch.setenv(TOKEN_VARIABLE, "mine")
    assert own_token() == "mine"
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    assert own_token() is None
