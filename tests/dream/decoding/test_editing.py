import numpy as np
import pytest
import torch
from PIL import Image

from dream.config import ImageConfig
from dream.decoding.editing import Box, inside, keep_tokens, open_square, parse_box, touched
from dream.decoding.state import start_state
from dream.errors import InputError
from dream.model.latents import PixelTokenizer

CONFIG = ImageConfig(tokenizer="pixels", size=16, patch_size=4, channels=3, stride=1, scale=1.0)


def test_a_box_is_read_and_checked():
    assert parse_box(" 0,4, 8,16", 16) == Box(0, 4, 8, 16)
    for wrong in ("0,0,17,16", "8,0,8,16", "8,0,4,16", "1,2,3", "a,b,c,d", "-1,0,4,4", ""):
        with pytest.raises(InputError):
            parse_box(wrong, 16)


def test_cells_inside_a_box_and_cells_it_meets():
    box = Box(0, 0, 6, 16)
    assert inside(box, CONFIG).view(4, 4).tolist() == [[True, False, False, False]] * 4
    assert touched(box, CONFIG).view(4, 4).tolist() == [[True, True, False, False]] * 4
    aligned = Box(4, 8, 12, 16)
    assert torch.equal(inside(aligned, CONFIG), touched(aligned, CONFIG))


def test_kept_cells_start_visible_and_the_rest_is_revealed_in_the_random_order():
    picture = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    images = PixelTokenizer(CONFIG)
    kept = inside(Box(0, 0, 8, 16), CONFIG)
    given = keep_tokens(images, picture, kept)
    orders = torch.stack([torch.randperm(16) for _ in range(3)])
    state = start_state(orders, CONFIG.token_dim, given)
    assert torch.equal(state.mask, ~kept.expand(3, -1))
    assert torch.equal(state.tokens[:, kept], images.tokenize(picture)[:, kept].expand(3, -1, -1))
    assert (state.tokens[:, ~kept] == 0).all()
    for before, after in zip(orders.tolist(), state.order.tolist(), strict=True):
        assert after == [p for p in before if not kept[p]] + [p for p in before if kept[p]]


def test_keeping_nothing_or_everything_is_refused():
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    for kept in (torch.zeros(16, dtype=torch.bool), torch.ones(16, dtype=torch.bool)):
        with pytest.raises(InputError, match="box"):
            keep_tokens(PixelTokenizer(CONFIG), picture, kept)


def test_a_picture_is_opened_as_its_centre_square(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    square = open_square(tmp_path / "wide.png", 20)
    assert square.shape == (1, 3, 20, 20) and bool((square == 255).all())


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "missing.png", ""):
        with pytest.raises(InputError):
            open_square(tmp_path / name, 16)
