"""Pictures to show masks on fit the grid; what is no picture is refused in a sentence."""

import io

import numpy as np
import pytest
from PIL import Image

from dream.errors import InputError
from workbench.masking import picture as masking_picture
from workbench.masking.picture import drawing, side, uploaded


@pytest.mark.parametrize("grid", [2, 5, 7, 16, 32])
def test_pictures_are_whole_tokens_a_side(grid):
    pixels, words = drawing(0, grid)
    assert pixels.shape == (3, side(grid), side(grid)) and pixels.dtype == np.uint8
    assert side(grid) % grid == 0 and "background" in words


def test_a_number_is_always_the_same_drawing():
    assert (drawing(3, 5)[0] == drawing(3, 5)[0]).all()
    assert drawing(0, 5)[1] != drawing(1, 5)[1]


def test_an_upload_is_cut_to_its_centre_square():
    file = io.BytesIO()
    picture = Image.new("RGB", (300, 100), "red")
    picture.paste("blue", (100, 0, 200, 100))
    picture.save(file, format="PNG")
    pixels = uploaded(file.getvalue(), 5)
    assert pixels.shape == (3, 240, 240) and pixels[2].mean() > 240


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_refuses_what_is_no_picture(content):
    with pytest.raises(InputError, match="mine.png is no picture that can be used"):
        uploaded(content, 5, "mine.png")


def test_refuses_a_large_file_unread(monkeypatch):
    monkeypatch.setattr(masking_picture, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="the maximum"):
        uploaded(b"0" * 11, 5)
