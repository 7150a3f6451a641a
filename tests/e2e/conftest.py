"""An app on an empty workspace and a browser for it, once per module."""

import os

import pytest

from app.browsing import chromium, reason_missing, served


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; required in CI."""
    missing = reason_missing()
    if missing and not os.environ.get("CI"):
        pytest.skip(missing)
    assert not missing, missing
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Empty workspace."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def address(workspace):
    """Address of the app on that workspace."""
    with served(workspace) as found:
        yield found
