"""Who may ask the app, decided before Streamlit sees a request, and how browsers are to treat what it answers.

A request needs a known host name with the port that is listened on, the app's own origin if it has one (a websocket
needs it), and the token, once in the address and from then on as a cookie. It knows nothing of pages.
"""

import base64
import hashlib
import hmac
import html
import os
import re
import secrets
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dream.errors import InputError
from dream.files import replace_bytes
from dream.json_text import read_bounded
from workbench.workspace import open_workspace

TOKEN_VARIABLE = "DREAM_TOKEN"
"""Environment variable with a token of one's own; empty for none."""
TOKEN_FILE = "token"
PARAMETER = "token"
COOKIE_SECONDS = 30 * 24 * 3600
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check")
"""Addresses of Streamlit that the workbench has no use for."""
OPEN = ("/_stcore/health", "/static/", "/favicon.png", "/manifest.json")
"""What a request without token may ask for: a sign of life, and files of Streamlit that anyone can install."""
REFUSED = (
    "This page needs the token of the workbench. Open the address that the terminal shows (it ends in ?token=...), "
    "or add ?token= and the text in .workbench/token of the workspace to this address."
)


def own_token() -> str | None:
    """The token of this workspace, made on first use in a file that only its owner reads; None if it wants none."""
    if (given := os.environ.get(TOKEN_VARIABLE)) is not None:
        return given or None
    token = secrets.token_urlsafe(24)
    try:
        here = open_workspace()
        if not here.token:
            return None
        path = here.own / TOKEN_FILE
        if path.exists() and (kept := read_bounded(path, 1000).decode("ascii", "replace").strip()):
            return kept
        here.own.mkdir(parents=True, exist_ok=True)
        replace_bytes(path, token.encode(), mode=0o600)
    except (OSError, InputError):
        pass  # a token of this start only; pages say what is wrong with the workspace
    return token


@dataclass(frozen=True)
class HostNames:
    """Host names that a request may use, as in `server.allowedHosts`, and the port that browsers are told."""

    hosts: Sequence[str]
    told: Callable[[], int | None] = lambda: None

    def knows(self, host: str, listening: int | None, scheme: str) -> bool:
        """Whether a Host header names us, with the port `listening` or the one that browsers are told."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS[scheme]
        except ValueError:
            return False
        if parts.netloc != host or "@" in host or not name:
            return False
        return port in {listening, self.told()} and any(map(name_matches(name), self.hosts))


def name_matches(name: str) -> Callable[[str], bool]:
    """Whether a pattern of `server.allowedHosts` (a name, `*.name` or `*`) is that of a host name."""

    def matches(pattern: str) -> bool:
        pattern = pattern.strip().lower().rstrip(".")
        return pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))

    return matches


class Doors:
    """ASGI middleware that refuses what does not belong here and adds headers to every answer."""

    def __init__(self, app: ASGIApp, names: HostNames, token: str | None, index: Path | None = None):
        self.app = app
        self.names = names
        self.token = token
        self.policy = content_policy(inline_scripts(index))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is refused, and hands on any other."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal or not self._has_cookie(scope, headers):
                await send({"type": "websocket.close", "code": 1008, "reason": refusal or "no token"})
                return
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message), headers.get("host", ""))
            await send(message)

        answer: ASGIApp = self.app
        if refusal:
            answer = PlainTextResponse(refusal, 403)
        elif scope["path"].startswith(CLOSED):
            answer = PlainTextResponse("There is nothing here.", 404)
        elif self._is_first_visit(scope, headers):
            answer = self._first_visit(scope)
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        """Says which header is not ours; None if all are."""
        listening = (scope.get("server") or (None, None))[1]
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.names.knows(hosts[0].lower(), listening, scope["scheme"]):
            return "The host name or port of this address is not one of the workbench's (server.allowedHosts)."
        if not origins and scope["type"] == "http":
            return None
        if len(origins) != 1 or not is_origin_of(origins[0], hosts[0]):
            return "This request comes from another page than the workbench's own."
        return None

    def _has_cookie(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request brings the token, or none is asked for."""
        if self.token is None:
            return True
        jar: SimpleCookie = SimpleCookie()
        for line in headers.getlist("cookie"):
            for part in line.split(";"):
                try:
                    jar.load(part.strip())
                except CookieError:
                    continue  # another server of this machine set it
        found = jar.get(self._cookie_name(scope))
        return found is not None and self._is_token(found.value)

    def _is_token(self, text: str) -> bool:
        return self.token is not None and hmac.compare_digest(text.encode(), self.token.encode())

    def _cookie_name(self, scope: Scope) -> str:
        """One cookie per port: browsers send cookies of a host to all its ports."""
        return f"dream-{(scope.get('server') or (None, 0))[1]}"

    def _is_first_visit(self, scope: Scope, headers: Headers) -> bool:
        if scope["path"].startswith(OPEN):
            return False
        has_token = PARAMETER in dict(parse_qsl(scope["query_string"].decode("latin-1")))
        return (has_token and scope["method"] == "GET") or not self._has_cookie(scope, headers)

    def _first_visit(self, scope: Scope) -> ASGIApp:
        """Leads on to the same address without the token, which becomes a cookie; refuses a wrong one."""
        fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(fields).get(PARAMETER, "")
        if self.token is not None and (scope["method"] != "GET" or not self._is_token(given)):
            return PlainTextResponse(REFUSED, 403)
        rest = urlencode([(name, value) for name, value in fields if name != PARAMETER])
        path = "/" + quote(scope["path"].lstrip("/\\"))  # two slashes would name another host
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        if self.token is not None:
            name = self._cookie_name(scope)
            secure = scope["scheme"] == "https"
            answer.set_cookie(name, self.token, COOKIE_SECONDS, httponly=True, samesite="lax", secure=secure)
        return answer

    def _add_headers(self, headers: MutableHeaders, host: str) -> None:
        headers["Content-Security-Policy"] = self.policy.replace("{host}", host)
        headers["X-Frame-Options"] = "DENY"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"


def is_origin_of(origin: str, host: str) -> bool:
    """Whether an Origin header is that of pages that are served under this Host header, port and all."""
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def content_policy(scripts: Sequence[str]) -> str:
    """Content-Security-Policy of all answers: nothing is fetched from or sent to any other host.

    `scripts` are the texts of inline scripts that may run; `{host}` stands for the Host of the request.
    """
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' {allowed}".rstrip(),  # components come as blobs
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "connect-src 'self' data: blob: ws://{host} wss://{host}",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
        )
    )


def inline_scripts(index: Path | None) -> list[str]:
    """The inline scripts of Streamlit's own page; empty without it."""
    if index is None or not index.is_file():
        return []
    page = re.sub(r"<!--.*?-->", "", index.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)


def announced(address: Callable[[], str], token: str | None) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan that prints the address with its token once the app is up, and opens it where there is a desktop."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        full = f"{address()}/?{PARAMETER}={token}" if token else address()
        print(f"\n  The workbench is open at {full}\n\n  Ctrl-C ends it; trainings go on.\n", flush=True)
        if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            threading.Thread(target=_open_in_browser, args=(full,), daemon=True).start()
        yield

    return lifespan


def _open_in_browser(address: str) -> None:
    """Opens the address by way of a file, since other users of the machine see the arguments of programs."""
    try:
        page = open_workspace().own / "open.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        leads = f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">'
        replace_bytes(page, leads.encode(), mode=0o600)
        webbrowser.open(page.as_uri())
    except (OSError, InputError, webbrowser.Error):
        pass  # the address is on the terminal
