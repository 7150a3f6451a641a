"""Captions and scenes are one thing in two forms; batches are reproducible and keep held-out ones back."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.config import DataConfig, DreamConfig, ImageConfig
from dream.data.drawn.grammar import (
    EDIT_KINDS,
    LEVELS,
    Scene,
    Thing,
    caption,
    edits,
    is_held_out,
    parse_caption,
    phrasings,
    swapped,
)
from dream.data.drawn.shapes import ShapesSource, distinct_scenes, sample_family, sample_scenes
from dream.errors import InputError

ALL_LEVELS = range(len(LEVELS))


def config(level=1, size=20, **data):
    image = ImageConfig(tokenizer="pixels", size=size, patch_size=1, channels=3, stride=1, scale=1.0)
    return replace(DreamConfig(), image=image, data=DataConfig(level=level, **data))


def take(source, count, batch_size=16, **kwargs):
    return list(itertools.islice(source.batches(batch_size, **kwargs), count))


def same(a, b):
    return torch.equal(a.images, b.images) and a.captions == b.captions and a.keys == b.keys


def scenes(level, count=200, seed=0, **kwargs):
    return sample_scenes(level, count, np.random.default_rng(seed), **kwargs)


def test_the_captions_of_the_issue():
    things = (Thing("circle", "red", "large"), Thing("square", "blue", "small"))
    expected = "a large red circle above a small blue square on a white background"
    assert caption(Scene("white", things, "above")) == expected
    assert caption(Scene("black", (Thing("cross", "orange"),))) == "an orange cross on a black background"


@pytest.mark.parametrize("level", ALL_LEVELS)
def test_every_phrasing_reads_back_as_its_scene(level):
    for scene in scenes(level):
        words = phrasings(scene)
        assert len(set(words)) == len(words)
        assert all(parse_caption(w) == scene for w in words)
        assert parse_caption(f"  {words[0].upper()}. ") == scene


def test_mirrored_phrasings_name_the_things_the_other_way_round():
    pair = Scene("grey", (Thing("ring", "red"), Thing("star", "blue")), "left of")
    assert "a blue star right of a red ring on a grey background" in phrasings(pair)


@pytest.mark.parametrize("text", ["", "a red circle", "a mauve circle on a white background", "a red circle on a sea"])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="expected, for example"):
        parse_caption(text)


@pytest.mark.parametrize("level", ALL_LEVELS)
def test_levels_use_their_words_and_no_thing_twice(level):
    words = LEVELS[level]
    for scene in scenes(level):
        assert len(scene.things) in words.counts
        for thing in scene.things:
            assert thing.shape in words.shapes and thing.colour in words.colours
            assert thing.size in words.sizes and thing.texture in words.textures
        assert len({(t.shape, t.colour) for t in scene.things}) == len(scene.things)


@pytest.mark.parametrize("level", ALL_LEVELS)
def test_edits_change_one_thing_and_the_caption(level):
    generator = np.random.default_rng(1)
    kinds = set()
    for scene in scenes(level):
        found = edits(scene, level, generator)
        kinds |= set(found)
        assert {"colour", "shape", "ground"} <= set(found)
        assert ("swapped" in found) == ("relation" in found) == (len(scene.things) > 1)
        for kind, other in found.items():
            assert caption(other) != caption(scene)
            changed = [a != b for a, b in zip(scene.things, other.things, strict=True)]
            assert sum(changed) == {"swapped": 2, "relation": 0, "ground": 0}.get(kind, 1)
            assert (other.ground != scene.ground) == (kind == "ground")
            assert (other.relation != scene.relation) == (kind == "relation")
    assert kinds <= set(EDIT_KINDS)


def test_exchanging_twice_changes_nothing():
    for scene in scenes(2):
        if len(scene.things) > 1:
            assert swapped(swapped(scene)) == scene
            assert swapped(swapped(scene)).places == scene.places
            assert is_held_out(swapped(scene)) == is_held_out(scene)


@pytest.mark.parametrize("level", ALL_LEVELS)
def test_held_out_combinations_are_about_a_fifth_and_never_sampled_for_training(level):
    assert not any(is_held_out(s) for s in scenes(level, 500))
    assert all(is_held_out(s) for s in scenes(level, 500, unseen=True))
    seen = {getattr(t, a) for s in scenes(level, 2000) for t in s.things for a in ("shape", "colour")}
    assert seen == set(LEVELS[level].shapes) | set(LEVELS[level].colours)
    generator = np.random.default_rng(2)
    drawn = [edits(s, level, generator)["colour"] for s in scenes(level, 500)]
    assert 0.1 < np.mean([is_held_out(e) for e in drawn]) < 0.4


def test_level_one_has_enough_unseen_captions():
    assert len(set(distinct_scenes(1, 500, np.random.default_rng(0), unseen=True))) == 500
    with pytest.raises(InputError, match="only 57 different captions"):
        distinct_scenes(0, 100, np.random.default_rng(0))


@pytest.mark.parametrize("level", ALL_LEVELS)
def test_a_family_shares_ground_and_layout_and_differs_by_shapes_colours_or_places(level):
    generator = np.random.default_rng(3)
    for _ in range(30):
        family = sample_family(level, 8, generator)
        assert len(family) == 8 == len({caption(s) for s in family})
        assert len({(s.ground, s.relation, len(s.things)) for s in family}) == 1
        assert not any(is_held_out(s) for s in family)
        base = sorted((t.size, t.texture) for t in family[0].things)
        assert all(sorted((t.size, t.texture) for t in s.things) == base for s in family)


def test_families_hold_exchanged_twins():
    generator = np.random.default_rng(4)
    families = [f for f in (sample_family(1, 8, generator) for _ in range(20)) if len(f[0].things) > 1]
    assert families
    assert all(sum(swapped(s) in set(f) for s in f) >= 6 for f in families)


def test_captions_stay_canonical_until_told():
    source = ShapesSource(config(canonical_until=0.5))
    batches = [batch for batch, _ in take(source, 20, 32, total_steps=20)]
    canonical = [np.mean([caption(parse_caption(c)) == c for c in batch.captions]) for batch in batches]
    assert canonical[:11] == [1.0] * 11
    assert 0.3 < np.mean(canonical[15:]) < 0.7


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_batches_go_on_exactly_from_any_position(split):
    data = config(near_misses=0.5, canonical_until=0.3)

    def source():
        return ShapesSource(data, split=split, seed=7)

    whole = take(source(), 6, total_steps=6)
    for stop in (1, 4):
        rest = take(source(), 6 - stop, position=whole[stop - 1][1], total_steps=6)
        assert all(same(a, b) and p == q for (a, p), (b, q) in zip(whole[stop:], rest, strict=True))


def test_seeds_ranks_and_steps_give_other_pictures():
    sources = [ShapesSource(config(), seed=s, rank=r, world_size=2) for s, r in ((0, 0), (0, 1), (1, 0))]
    first = [take(s, 2) for s in sources]
    pictures = [batch.images for batches in first for batch, _ in batches]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(pictures, 2))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_ranks_do_not_overlap(split):
    keys = [
        key
        for rank in range(3)
        for batch, _ in take(ShapesSource(config(), split=split, rank=rank, world_size=3), 3, 12)
        for key in batch.keys
    ]
    assert sorted(keys) == sorted(f"shapes/{split}/{i}" for i in range(36))


@pytest.mark.parametrize("split", ["train", "test"])
def test_any_number_of_ranks_draws_the_same_global_batches(split):
    data = config(near_misses=0.5, canonical_until=0.3)

    def drawn(world, position=None):
        ranks = (ShapesSource(data, split=split, seed=7, rank=rank, world_size=world) for rank in range(world))
        parts = [take(source, 3, 12, position=position, total_steps=4) for source in ranks]
        return [[part[i] for part in parts] for i in range(3)]

    for ours, ((whole, after),) in zip(drawn(3) + drawn(4), drawn(1) * 2, strict=True):
        assert torch.equal(torch.cat([batch.images for batch, _ in ours]), whole.images)
        assert sum((batch.captions for batch, _ in ours), ()) == whole.captions
        assert sum((batch.keys for batch, _ in ours), ()) == whole.keys
        assert all(position == after for _, position in ours)


def test_fixed_pictures_have_different_captions_and_are_the_same_for_every_seed():
    a, b = ShapesSource(config(), seed=0), ShapesSource(config(), seed=5, rank=1, world_size=2)
    batch = a.fixed(64)
    assert same(batch, b.fixed(64)) and len(set(batch.captions)) == 64
    assert all(key.startswith("shapes/val/") for key in batch.keys)
    assert a.fixed(10).captions == batch.captions[:10]
    assert len(ShapesSource(config(0)).fixed(64)) == 57
    key = a.answers(64)
    assert tuple(caption(s) for s in key.scenes) == batch.captions and key.depth.shape == (64, 20, 20)


def test_the_test_split_is_half_unseen_and_the_others_not_at_all():
    def share(split):
        batches = take(ShapesSource(config(), split=split), 4, 64)
        return np.mean([is_held_out(parse_caption(c)) for batch, _ in batches for c in batch.captions])

    assert share("train") == share("val") == 0
    assert share("test") == 0.5


def test_near_misses_fill_their_share_of_the_batch():
    source = ShapesSource(config(near_misses=0.5, canonical_until=1.0))
    for batch, _ in take(source, 4, 64):
        parsed = [parse_caption(c) for c in batch.captions]
        twins = sum(len(s.things) > 1 and swapped(s) in set(parsed) for s in parsed)
        assert twins >= 12
        assert len(batch.captions) == 64


def test_unknown_split_is_refused():
    with pytest.raises(InputError, match="train, val, test"):
        ShapesSource(config(), split="dev")


def test_tokenizer_captions_cover_every_word_once():
    words = ShapesSource(config(2)).captions(3000)
    assert len(words) == len(set(words)) <= 3000
    seen = set(" ".join(words).split())
    assert set(LEVELS[2].shapes) | set(LEVELS[2].colours) | {"right", "below", "with"} <= seen


def test_sixteen_training_batches_take_seconds_at_most():
    source = ShapesSource(config(1, 32, near_misses=0.5))
    take(source, 2, 64)
    start = time.process_time()
    take(source, 16, 64)
    assert time.process_time() - start < 5  # some 0.2 s
