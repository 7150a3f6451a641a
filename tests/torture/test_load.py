"""Many tabs at once, and long use: no error, no move lost, no memory kept. `make load` prints the long form."""

import pytest

from app.browsing import served
from tests.torture.load import CONTROLS, many_decodes, many_tabs, megabytes, open_and_close

pytestmark = pytest.mark.slow

KEPT = 150
"""Megabytes that an app in use may grow by."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(tmp_path_factory.mktemp("workspace")) as address:
        yield address


def test_ten_tabs_side_by_side_meet_no_error_and_lose_no_move(address):
    load = many_tabs(address, 2 * len(CONTROLS), 10, (0.2, 1.0))
    assert not load.errors and not load.lost
    assert len(load.opening) == 2 * len(CONTROLS) and len(load.moves) >= len(load.opening)


def test_pictures_and_closed_tabs_are_not_kept_in_memory(address):
    list(many_decodes(address, 3))
    open_and_close(address, len(CONTROLS))
    before = megabytes()
    open_and_close(address, 2 * len(CONTROLS))
    list(many_decodes(address, 12))
    assert megabytes() - before < KEPT
