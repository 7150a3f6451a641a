"""Maps lie on their pictures: discs and labels in both, at odd and even sizes, and the exact rule."""

import numpy as np
import pytest
from PIL import Image

from dream.data.transforms import center_crop, crop_sizes
from dream.evaluation.dense.crop import centres, cut, nearest_crop

SIDES = (31, 64, 65, 96, 127, 256, 333, 512, 1025)
"""Short sides of pictures: odd and even, smaller and larger than the result, powers of two and next to them."""
LONGER = (1, 1.03, 4 / 3)
COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def shapes_of(side):
    """Landscape, portrait and square, by (height, width)."""
    return sorted({shape for f in LONGER for shape in ((side, round(side * f)), (round(side * f), side))})


def disc(height, width, draws):
    """1 inside a disc that lies in the centre square, 0 outside."""
    side = min(height, width)
    x, y, radius = (
        width / 2 + draws.uniform(-0.2, 0.2) * side,
        height / 2 + draws.uniform(-0.2, 0.2) * side,
        draws.uniform(0.12, 0.28) * side,
    )
    rows, columns = np.mgrid[:height, :width] + 0.5
    return ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(np.uint8)


def centroid(weights):
    rows, columns = np.indices(weights.shape)
    return np.array([(weights * rows).sum(), (weights * columns).sum()]) / weights.sum()


def drift(values, size):
    """How far a disc's map lies from its picture, in pixels of the result, by (rows, columns)."""
    pixels, found = cut(Image.fromarray(255 * values).convert("RGB"), values, size)
    return centroid(found.astype(float)) - centroid(pixels[0].astype(float))


@pytest.mark.parametrize("size", [32, 256])
@pytest.mark.parametrize("side", SIDES)
def test_a_disc_lies_at_the_same_place_in_picture_and_map(side, size):
    """One disc may be off by the rounding of its edge to pixels, but discs at all places are not off on average."""
    for height, width in shapes_of(side):
        draws = np.random.default_rng(0)
        found = np.array(
            [drift(disc(height, width, draws), size) for _ in range(4 if side > 512 and size > 32 else 12)]
        )
        assert np.abs(found).max() < 0.5, (height, width)
        assert np.abs(found.mean(0)).max() < 0.1, (height, width)


@pytest.mark.parametrize("size", [32, 256])
@pytest.mark.parametrize("shape", [(480, 640), (683, 512), (333, 500), (769, 1025), (350, 256), (32, 31), (256, 384)])
def test_no_shift_of_the_map_agrees_better_with_the_picture(shape, size):
    """The picture's own colours, read as classes, agree most with the map where it is."""
    draws, values = np.random.default_rng(1), np.zeros(shape, np.uint8)
    for label in (1, 2, 3) * 4:
        values[disc(*shape, draws) > 0] = label
    pixels, found = cut(Image.fromarray(COLOURS[values]), values, size)
    apart = ((pixels.transpose(1, 2, 0)[:, :, None].astype(int) - COLOURS.astype(int)) ** 2).sum(-1)
    seen = apart.argmin(-1)
    inner = slice(1, -1)

    def agreement(down, right):
        return (np.roll(seen, (down, right), (0, 1))[inner, inner] == found[inner, inner]).mean()

    shifted = [agreement(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    assert agreement(0, 0) > max(shifted) and agreement(0, 0) > (0.9 if size == 32 else 0.98)


def test_each_value_is_the_one_under_the_centre_of_its_pixel():
    for height, width, size in ((37, 50, 32), (333, 500, 32), (31, 57, 256), (769, 1025, 256)):
        values = np.arange(height * width).reshape(height, width)
        rows, columns = centres(width, height, size)
        between = [np.isclose(spots % 1, 0) for spots in (rows, columns)]
        found, wanted = nearest_crop(values, size), values[np.ix_(rows.astype(int), columns.astype(int))]
        clear = ~(between[0][:, None] | between[1][None])
        assert clear.any() and (found == wanted)[clear].all()


def test_the_centres_are_those_of_the_pictures_pixels():
    """A ramp's brightness is its place, so that each pixel of the result says where it was.

    Pillow's box filter takes whole pixels only, so single pixels of odd sizes are off by up to a quarter.
    """
    for height, width, size in ((480, 640, 32), (333, 500, 32), (300, 301, 64), (101, 240, 32), (50, 33, 64)):
        line = np.linspace(0, 255, width, dtype=np.float32)
        ramp = Image.fromarray(np.broadcast_to(line, (height, width)).copy())
        *halved, last = crop_sizes(width, height, size)
        for step in halved:
            ramp = ramp.resize(step, Image.Resampling.BOX)
        left = (last[0] - size) // 2
        row = np.asarray(ramp.resize(last, Image.Resampling.BICUBIC))[0, left : left + size]
        places = row * (width - 1) / 255 + 0.5
        off = (places - centres(width, height, size)[1])[3:-3] * last[0] / width  # the ramp ends at the border
        assert np.abs(off).max() < 0.25 and abs(off.mean()) < 0.05


def test_the_sizes_are_those_of_the_crop():
    """ADM's: halved while the short side is at least twice the size, odd sides rounded down; then the short side."""
    assert crop_sizes(641, 481, 100) == [(320, 240), (160, 120), (133, 100)]
    assert crop_sizes(300, 200, 200) == [(300, 200)]
    assert center_crop(Image.new("RGB", (641, 481)), 100).size == (100, 100)


def test_classes_between_pixels_are_voted_on_and_ties_move_no_edge():
    values = np.array([[7, 7, 1, 1], [7, 2, 1, 1], [255, 255, 5, 6], [255, 255, 6, 5]], np.uint8)
    found = nearest_crop(values, 2)
    assert found[:1].tolist() == [[7, 1]] and found[1, 0] == 255 and found[1, 1] in (5, 6)

    column = nearest_crop(np.tile(np.array([0, 1] + [1] * 62, np.uint8), (64, 1)), 32)[:, 0]
    assert column.mean() == 0.5  # half of the pixels that an edge halves go to each side


def test_depths_between_pixels_are_real_ones_and_unknown_ones_do_not_count():
    values = np.array([[0, 3, 1, 9], [5, 4, 9, 1], [0, 0, np.nan, np.inf], [0, 0, -1, 2]], np.float32)
    assert nearest_crop(values, 2).tolist() == [[4, 1], [0, 2]]


def test_a_strip_is_cut_where_its_picture_is():
    values = np.arange(8 * 20).reshape(8, 20)
    assert nearest_crop(values, 8).tolist() == values[:, 6:14].tolist()
    assert nearest_crop(values, 16).tolist() == values[:, 6:14].repeat(2, 0).repeat(2, 1).tolist()
