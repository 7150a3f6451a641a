"""No address and no stored file makes a page end in anything but its own sentences.

Every input that stands in the address is given values of any type and size; a page takes many at once.
"""

import os
import random
import time

import pytest

from app.contents import PAGES
from app.keys import INPUT
from tests.app.opening import page_of
from tests.torture.golden import make_workspace
from tests.torture.test_fuzz_commands import HOSTILE, SLOWEST
from workbench.workspace import VARIABLE, Workspace

CASES = int(os.environ.get("DREAM_FUZZ_PAGES", "2250"))
"""Values in all; `make torture` sets 20,000."""
MARKDOWN = (
    "# a",
    "**b**",
    "[c](javascript:d)",
    "![e](http://127.0.0.1:1/f)",
    "<img src=x onerror=y>",
    "$g$",
    ":red[h]",
    "`i",
)
NAMES = [name for section in PAGES.values() for name, _ in section]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.mark.parametrize("name", NAMES)
def test_any_address_opens_its_page(workspace, monkeypatch, name):
    monkeypatch.setenv(VARIABLE, str(workspace.root))
    monkeypatch.chdir(workspace.root)
    noted: list[str] = []
    monkeypatch.setattr(Workspace, "note_failure", lambda _, error: noted.append(repr(error)[:300]) or repr(error))
    keys = sorted(inputs_of(name))
    assert len(keys) > 6
    draws, given, faults = random.Random(name), 0, {}
    while given < CASES // len(NAMES):
        app = page_of(name)
        chosen = draws.sample(keys, draws.randint(1, len(keys))) if draws.random() < 0.8 else keys
        for key in chosen:
            app.query_params[key] = value(draws)
        given += len(chosen)
        began = time.monotonic()
        app.run(timeout=60)
        took = time.monotonic() - began
        for fault in [*(repr(each.value)[:300] for each in app.exception), *noted]:
            faults.setdefault(fault, {key: app.query_params.get(key, "")[:80] for key in chosen})
        if took > SLOWEST:
            faults.setdefault(f"{took:.0f} s", chosen)
        noted.clear()
    assert not faults, "\n".join(f"{fault}\n    {how}" for fault, how in faults.items())


def inputs_of(name: str) -> set[str]:
    """Keys of the page that its code names, and that it has when it opens; all may stand in an address."""
    app = page_of(name).run(timeout=60)
    there = {key for key in app.session_state._state.filtered_state if key.startswith(f"{INPUT}{name}.")}
    return there | {f"{INPUT}{name}.{word}" for word in ("model", "prompt", "of", "run", "seed")} | {f"{name}.of", "x"}


def value(draws: random.Random) -> str | list[str]:
    """Any value, or several."""
    drawn = [draws.choice((*HOSTILE, *MARKDOWN)) for _ in range(draws.choice((1, 1, 1, 2)))]
    drawn = [word.replace("\udce9", "?")[:20_000] for word in drawn]  # an address is UTF-8, and has an end
    return drawn[0] if len(drawn) == 1 else drawn
