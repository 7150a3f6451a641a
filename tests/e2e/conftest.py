"""An app of an empty workspace and a browser for it, once a module."""

import os

import pytest

from app.browsing import chromium, reason_missing, served


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; in CI it has to be there."""
    missing = reason_missing()
    if missing and not os.environ.get("CI"):
        pytest.skip(missing)
    assert not missing, missing
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """An empty folder."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def address(workspace):
    """Where the app of that workspace answers."""
    with served(workspace) as found:
        yield found
