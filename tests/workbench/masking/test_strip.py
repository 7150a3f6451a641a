"""The strip of masks says what each hides and trains; hidden cells are striped, visible ones clear."""

import base64
import io
import re

import numpy as np
from PIL import Image

from dream.decoding.pictures import HATCH
from workbench.masking.strip import masks_html, trains
from workbench.masking.study import DrawnMask
from workbench.pictures import hatched

MASK = DrawnMask(0.3, np.array([[True, False], [False, False]]), True, False)
WHITE = np.full((3, 6, 6), 255, np.uint8)


def test_hidden_cells_are_striped_and_visible_ones_clear():
    html = masks_html([MASK], WHITE, "a white picture")
    url = re.findall(r'src="data:image/png;base64,([^"]+)"', html)[0]
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url))).convert("RGBA"))
    half = len(image) // 2
    assert set(np.unique(image[:half, :half, 0])) == set(HATCH) and (image[:half, :half, 3] == 255).all()
    assert not image[half:, :, 3].any() and not image[:half, half:, 3].any()


def test_each_mask_has_its_share_and_what_it_trains():
    html = masks_html([MASK], WHITE, "<b>white</b>")
    assert "25% hidden" in html and trains(MASK) == "contrast" and ">contrast<" in html and "<b>" not in html


def test_a_picture_with_hatched_cells_keeps_the_others():
    shown = hatched(WHITE, MASK.hidden, side=60)
    assert shown.shape == (3, 60, 60) and (shown[:, 30:] == 255).all() and (shown[:, :, 30:] == 255).all()
    assert set(np.unique(shown[:, :30, :30])) == set(HATCH)
