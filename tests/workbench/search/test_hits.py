"""A sheet of what was found has a row a search."""

import numpy as np
import pytest
import torch

from workbench.search.hits import hits_sheet
from workbench.search.index import Hit, Index


def index():
    captions = ("a red circle", "A red circle", "a blue cross")
    return Index(
        captions,
        captions,
        np.zeros((3, 3, 30, 30), np.uint8),
        torch.zeros(3, 25, 108),
        torch.zeros(3, 25, dtype=torch.long),
        captions,
        torch.zeros(3, 4),
        0,
        False,
    )


def test_rows_add_height_and_own_pictures_are_framed():
    hits = [Hit(1, 0, 0.9), Hit(2, 2, 0.1)]
    one, two = hits_sheet(index(), {"a": hits}), hits_sheet(index(), {"a": hits, "b": hits})
    assert one.width == two.width and two.height > one.height + 100
    framed = hits_sheet(index(), {"a": hits}, caption="A RED CIRCLE")
    assert framed.size == one.size and framed.tobytes() != one.tobytes()


def test_nothing_found_is_no_sheet():
    with pytest.raises(ValueError, match="at least one picture"):
        hits_sheet(index(), {"a": []})
