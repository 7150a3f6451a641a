"""Pictures say what their scene says, and the answer key agrees with the pixels."""

import time

import numpy as np
import pytest

from dream.data.drawn.drawing import CLASSES, COLOUR_RGB, GROUND_RGB, answer_key, draw
from dream.data.drawn.grammar import COLOURS, LEVELS, SHAPES, Place, Scene, Thing
from dream.data.drawn.shapes import sample_scenes
from dream.errors import InputError


def one(shape, colour="red", size=0.3, ground="white", texture=""):
    return Scene(ground, (Thing(shape, colour, texture=texture),), places=(Place(0.5, 0.5, size),))


def scenes(level, count=64):
    return sample_scenes(level, count, np.random.default_rng(0))


@pytest.mark.parametrize("size", [16, 30, 33, 64, 128])
def test_pictures_have_the_asked_size(size):
    pictures = draw(scenes(3, 4), size)
    assert pictures.shape == (4, 3, size, size) and pictures.dtype == np.uint8


def test_too_small_pictures_are_refused():
    with pytest.raises(InputError, match="at least 16"):
        draw(scenes(0, 1), 15)


def test_the_middle_has_the_things_colour_and_the_corner_the_grounds():
    picture = draw([one("circle", "blue", ground="grey")], 40)[0]
    assert tuple(picture[:, 20, 20]) == COLOUR_RGB["blue"]
    assert tuple(picture[:, 0, 0]) == GROUND_RGB["grey"]


def test_every_shape_differs_from_every_other():
    pictures = draw([one(shape) for shape in SHAPES], 30).astype(float)
    for i in range(len(SHAPES)):
        for j in range(i):
            assert np.abs(pictures[i] - pictures[j]).mean() > 4, (SHAPES[i], SHAPES[j])


def test_colours_are_far_from_each_other_and_from_the_grounds():
    palette = [*COLOUR_RGB.values(), *GROUND_RGB.values()]
    gaps = [np.linalg.norm(np.subtract(a, b)) for i, a in enumerate(palette) for b in palette[:i]]
    assert min(gaps) > 55


def test_outlines_are_anti_aliased():
    """The same picture at 8 times the size, averaged down, is nearly the drawn one."""
    sample = scenes(2, 16)
    small, large = draw(sample, 32).astype(float), draw(sample, 256).astype(float)
    averaged = large.reshape(16, 3, 32, 8, 32, 8).mean((3, 5))
    assert np.abs(small - averaged).mean() < 0.7
    partly = (small[:, 0] != small[:, 0, :1, :1]) & (answer_key(sample, 32).segmentation == 0)
    assert partly.any()


def test_a_picture_does_not_depend_on_its_batch():
    sample = scenes(3, 300)
    together = draw(sample, 24)
    assert all(np.array_equal(draw([sample[i]], 24)[0], together[i]) for i in (0, 7, 255, 256, 299))


def test_textures_show_inside_the_thing_only():
    plain, striped, dotted = draw([one("square", texture=t) for t in ("", "striped", "dotted")], 48)
    inside = answer_key([one("square")], 48).segmentation[0] > 0
    for textured in (striped, dotted):
        assert (textured != plain)[:, inside].any()
        far = np.hypot(*(np.indices((48, 48)) - 23.5)) > 23
        assert np.array_equal(textured[:, far], plain[:, far])
    assert not np.array_equal(striped, dotted)


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_answer_key_agrees_with_the_scenes(level):
    sample = scenes(level)
    key = answer_key(sample, 40)
    for i, scene in enumerate(sample):
        assert CLASSES["count"][key.labels["count"][i]] == ("one", "two", "three")[len(scene.things) - 1]
        for attribute in ("shape", "colour"):
            assert CLASSES[attribute][key.labels[attribute][i]] == getattr(scene.things[0], attribute)
        assert CLASSES["ground"][key.labels["ground"][i]] == scene.ground
        assert CLASSES["relation"][key.labels["relation"][i]] == scene.relation
        shown = {1 + SHAPES.index(t.shape) for t in scene.things}
        assert set(np.unique(key.segmentation[i])) == {0} | shown
        assert set(np.unique(key.instances[i])) == set(range(len(scene.things) + 1))


def test_segmentation_colours_are_the_pictures():
    sample = scenes(1)
    pictures, key = draw(sample, 40), answer_key(sample, 40)
    for picture, instances, scene in zip(pictures, key.instances, sample, strict=True):
        for which, thing in enumerate(scene.things):
            own = picture[:, instances == which + 1].mean(1)
            nearest = min(COLOURS, key=lambda c, own=own: np.linalg.norm(np.subtract(COLOUR_RGB[c], own)))
            assert nearest == thing.colour


def test_the_larger_of_two_overlapping_things_is_nearer_and_in_front():
    things = (Thing("square", "red"), Thing("square", "blue"))
    scene = Scene("white", things, "left of", (Place(0.4, 0.5, 0.3), Place(0.6, 0.5, 0.2)))
    picture, key = draw([scene], 40)[0], answer_key([scene], 40)
    assert tuple(picture[:, 20, 20]) == COLOUR_RGB["red"] and key.instances[0, 20, 20] == 1
    values = [key.depth[0, 0, 0], key.depth[0, 20, 29], key.depth[0, 20, 20]]
    np.testing.assert_allclose(values, [1.0, 0.6, 0.4], atol=1e-6)


@pytest.mark.parametrize(("level", "radii"), [(0, 1), (1, 2), (2, 2), (3, 3)])
def test_things_stay_in_the_picture_and_apart_at_the_easy_levels(level, radii):
    for scene in scenes(level, 500):
        for place in scene.places:
            assert min(place.x, place.y) - place.radius >= -0.01
            assert max(place.x, place.y) + place.radius <= 1.01
        if level < 2 and len(scene.places) == 2:
            a, b = scene.places
            assert np.hypot(a.x - b.x, a.y - b.y) >= a.radius + b.radius


def test_a_thousand_pictures_take_seconds_at_most():
    sample = scenes(1, 1000)
    draw(sample[:64], 32)
    start = time.process_time()
    draw(sample, 32)
    assert time.process_time() - start < 5  # some 0.2 s: no pixel is drawn by Python
