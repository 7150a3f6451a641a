"""The judge reads levels 2 and 3: three things, their size and texture, by the interface of levels 0 and 1."""

import json

import numpy as np
import pytest
import torch

from dream.data.drawn.drawing import CLASSES, answer_key, draw
from dream.data.drawn.grammar import EDIT_KINDS, caption, edits
from dream.data.drawn.shapes import sample_scenes
from dream.evaluation.judging import damage
from dream.evaluation.judging.judge import READ_FROM, WIDE_WEIGHTS, load_judge
from dream.evaluation.judging.reading import IGNORE, WIDE
from dream.evaluation.judging.train_judge import train_wide
from dream.evaluation.judging.wide_network import CLOSE, WideNetwork


def scenes_of(level, count=200, seed=99):
    draws = np.random.default_rng(seed)
    return sample_scenes(level, count // 2, draws) + sample_scenes(level, count // 2, draws, unseen=True)


def network():
    return load_judge().reader(3)


def places_of(scenes):
    """(B, 3, 3): x, y and radius in reading order, NaN where there is no thing."""
    rows = [[(p.x, p.y, p.radius) for p in s.places] + [(np.nan,) * 3] * (3 - len(s.places)) for s in scenes]
    return torch.tensor(rows)


@pytest.mark.parametrize("level", [2, 3])
@pytest.mark.parametrize("size", [30, 32, 48, 64, 96])
def test_at_least_97_percent_of_held_out_drawings_are_judged_right(level, size):
    scenes = scenes_of(level, 400)
    right = load_judge().correct(torch.from_numpy(draw(scenes, size)), [caption(s) for s in scenes])
    assert right.float().mean() >= 0.97


def test_at_least_97_percent_are_judged_right_from_the_size_where_judging_begins():
    for level in (2, 3):
        scenes = scenes_of(level, 400)
        images = torch.from_numpy(draw(scenes, READ_FROM[level]))
        assert load_judge().correct(images, [caption(s) for s in scenes]).float().mean() >= 0.97


def test_the_same_things_are_read_at_twice_the_size():
    scenes = scenes_of(3, 400)
    small, large = (network().read(torch.from_numpy(draw(scenes, size))) for size in (32, 64))
    there = torch.from_numpy(WIDE.labels(scenes)["shape"]) != IGNORE
    for name in ("shape", "colour", "size", "texture"):
        assert (getattr(small, name) == getattr(large, name))[there].float().mean() >= 0.98


def test_things_are_found_in_reading_order_with_their_radius():
    scenes = scenes_of(3, 400)
    places, found = places_of(scenes), network().located(torch.from_numpy(draw(scenes, 64)) / 255)[1].places
    apart = ((found - places).abs() / places[..., 2:]).amax(-1)  # in radii
    apart = apart[~apart.isnan()]
    assert apart.median() < 0.03 and apart.quantile(0.99) < CLOSE


def test_known_places_matter_only_where_a_thing_is_found_badly():
    images, places = torch.from_numpy(draw(scenes_of(3, 20), 64)) / 255, places_of(scenes_of(3, 20))
    plain, found = network().located(images)
    close = torch.where(places.isnan(), places, found.places)  # within CLOSE, and NaN where there is nothing
    assert all(torch.equal(v, plain[name]) for name, v in network().located(images, close)[0].items())
    elsewhere = network().located(images, torch.where(places.isnan(), places, torch.tensor([0.05, 0.95, 0.1])))[0]
    assert not torch.equal(elsewhere["shape"], plain["shape"])


def test_a_verdict_on_mixed_levels_is_that_on_each_alone():
    scenes = [*scenes_of(1, 20), *scenes_of(3, 20), *scenes_of(2, 20)]
    images, words = torch.from_numpy(draw(scenes, 48)), [caption(s) for s in scenes]
    verdict = load_judge().verdict(images, words)
    assert list(verdict.attributes) == ["layout", "ground", "shape", "colour", "size", "texture"]
    assert verdict.attributes["size"][:20].all() and verdict.attributes["texture"][:20].all()
    for part in (slice(0, 20), slice(20, 40), slice(40, 60)):
        alone = load_judge().verdict(images[part], words[part])
        assert torch.equal(alone.well_formed, verdict.well_formed[part])
        assert torch.equal(alone.right, verdict.right[part])


def test_a_caption_wrong_in_one_thing_is_found_wrong_in_every_kind():
    draws, found = np.random.default_rng(5), {kind: [] for kind in EDIT_KINDS}
    scenes = scenes_of(3, 100)
    for scene, image in zip(scenes, torch.from_numpy(draw(scenes, 48)), strict=True):
        changed = edits(scene, 3, draws)
        correct = load_judge().correct(image.expand(len(changed), -1, -1, -1), [caption(e) for e in changed.values()])
        for kind, flag in zip(changed, correct.tolist(), strict=True):
            found[kind].append(not flag)
    assert all(np.mean(flags) >= 0.9 for flags in found.values())


def test_its_labels_are_those_of_the_answer_key():
    scenes = scenes_of(3)
    key, labels = answer_key(scenes, 48).labels, WIDE.labels(scenes)
    assert [WIDE.layouts[i] for i in labels["layout"]] == [CLASSES["relation"][i] for i in key["relation"]]
    for name in ("shape", "colour", "size", "texture"):
        assert (labels[name][:, 0] == key[name]).all()
        assert [(row != IGNORE).sum() for row in labels[name]] == [len(scene.things) for scene in scenes]


def test_every_damage_of_three_things_has_its_class():
    draws = np.random.default_rng(0)
    assert "foreign" not in damage.damages(WIDE)
    for kind in ("layout", "ground"):
        assert (damage.damaged_drawings(kind, 20, draws, WIDE).labels[kind] == WIDE.classes[kind]).all()
    clean = damage.damaged_drawings("none", 20, draws, WIDE)
    assert (clean.labels["shape"] < WIDE.classes["shape"]).all()
    assert (np.isnan(clean.places[..., 0]) == (clean.labels["shape"] == IGNORE)).all()


def test_the_shipped_files_are_small_and_say_what_they_reach():
    assert WIDE_WEIGHTS.stat().st_size <= 4_000_000
    accuracy = json.loads(WIDE_WEIGHTS.with_suffix(".json").read_text())
    for level in (2, 3):
        for combination in ("seen", "unseen"):
            shares = accuracy[f"level {level}, {combination}"]["clean_by_pixels"]
            assert min(share for size, share in shares.items() if int(size) >= READ_FROM[level]) >= 0.98


def test_training_is_reproducible():
    first, again = (train_wide(seed=3, steps=2, pool=20) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert set(first.state_dict()) == set(WideNetwork().state_dict())
