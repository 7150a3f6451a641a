"""Phrasings and near-miss families: laws of what training reads, and in which order."""

import io
import itertools
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from dream.config import DataConfig
from dream.data.emoji.table import Drawing, table_path, write_table
from dream.data.families import FAMILY_SIZE, in_families
from dream.data.phrasings import Phrased, other_phrasing_share, with_new_words
from dream.data.sources import open_source
from dream.data.stored import StoredSource
from dream.presets import tiny

APPLE = Phrased.of("red apple, ink", (("ink red apple",), ("fruit, ink", "food, ink")))


@dataclass(frozen=True)
class FamilyRow:
    key: str
    kin: tuple[str, str]
    shard: str = "s"


def rows(things: int = 12, styles: int = 6) -> list[FamilyRow]:
    pairs = itertools.product(range(things), range(styles))
    return [FamilyRow(f"{t}.{s}", (f"thing {t}", f"style {s}, kind {t // 6}")) for t, s in pairs]


@pytest.fixture
def emoji(tmp_path, monkeypatch) -> None:
    """Sixteen things of two kinds in three styles."""
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))
    drawings = []
    for number, style in itertools.product(range(16), ("ink", "flat", "blob")):
        stored, kind = io.BytesIO(), "sea" if number < 8 else "land"
        colour = (number * 15, 80, 40 * len(style))
        Image.new("RGB", (64, 64), colour).save(stored, "WEBP", lossless=True)
        told = (f"thing {number}", style, ("tagged", f"tag {number}"), str(number), "animals", kind)
        split = "val" if number == 15 else "train"
        drawings.append(Drawing(f"{number}.{style}", *told, split, stored.getvalue()))
    write_table(table_path(), drawings)


def source(rank: int = 0, world_size: int = 1, **data: float) -> StoredSource:
    own = replace(tiny().data, **{"near_misses": 0.0, "canonical_until": 0.0, **data})
    found = open_source("emoji", replace(tiny(), data=own), seed=3, rank=rank, world_size=world_size)
    assert isinstance(found, StoredSource)
    return found


def test_other_phrasings_come_late_and_reach_their_share():
    late, always = DataConfig(canonical_until=0.3, other_phrasings=0.4), DataConfig(other_phrasings=0.4)
    assert other_phrasing_share(0.0, always) == other_phrasing_share(1.0, late) == 0.4
    assert other_phrasing_share(0.3, late) == 0.0
    shares = [other_phrasing_share(p / 20, late) for p in range(21)]
    assert shares == sorted(shares)


def test_each_kind_of_phrasing_is_as_likely_as_the_others():
    picked = Counter(APPLE.pick(chance, 0.5) for chance in (np.arange(1000) + 0.5) / 1000)
    assert picked == {"red apple, ink": 500, "ink red apple": 250, "fruit, ink": 125, "food, ink": 125}
    assert {APPLE.pick(chance, 0.0) for chance in (0.0, 0.5)} == {"red apple, ink"}
    assert Phrased.of("a", ()).pick(0.0, 1.0) == "a"


def test_every_word_of_the_phrasings_is_read_once_at_least():
    given = [APPLE, Phrased.of("green apple, ink", (("ink green apple",), ("fruit, ink",))), "plain"]
    others = ["fruit, ink", "food, ink"]
    assert list(with_new_words(given)) == ["red apple, ink", "green apple, ink", "plain", *others]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_families_only_reorder(share):
    given = rows()
    order = in_families(given, share, np.random.default_rng(0))
    assert sorted(order) == list(range(len(given)))
    assert order == in_families(given, share, np.random.default_rng(0))
    assert order != in_families(given, share, np.random.default_rng(1))


def test_neighbours_in_the_order_are_kin_about_as_often_as_asked():
    def related(share: float) -> float:
        given = rows(things=48)
        ordered = [given[i] for i in in_families(given, share, np.random.default_rng(0))]
        pairs = list(itertools.pairwise(ordered))
        return sum(bool(set(a.kin) & set(b.kin)) for a, b in pairs) / len(pairs)

    assert related(0.0) < 0.15
    assert related(0.5) == pytest.approx(0.5, abs=0.15)
    assert related(1.0) > 0.7


def test_both_kinds_of_family_occur_and_none_is_too_large():
    given = rows(things=24, styles=6)
    ordered = [given[i] for i in in_families(given, 1.0, np.random.default_rng(0))]
    for which in range(2):
        runs = [len(list(run)) for _, run in itertools.groupby(ordered, key=lambda row: row.kin[which])]
        assert max(runs) > 2
        assert Counter(runs).most_common(1)[0][0] <= FAMILY_SIZE


def test_an_epoch_in_families_shows_every_picture_once(emoji):
    batches = itertools.islice(source(near_misses=1.0).batches(9), 5)
    keys = [key for batch, _ in batches for key in batch.keys]
    assert sorted(keys) == sorted(set(keys)) and len(keys) == 45


@pytest.mark.parametrize("near_misses", [0.0, 0.75])
def test_a_resumed_training_reads_what_one_that_was_not_stopped_reads(emoji, near_misses):
    data = {"near_misses": near_misses, "canonical_until": 0.2}
    whole = list(itertools.islice(source(**data).batches(8, None, 20), 20))
    for stop in (1, 7, 13):
        rest = source(**data).batches(8, whole[stop - 1][1], 20)
        for (batch, position), (again, after) in zip(whole[stop:], rest, strict=False):
            assert (batch.captions, batch.keys, position) == (again.captions, again.keys, after)
            assert batch.images.equal(again.images)


def test_ranks_share_families_and_phrasings_of_the_same_global_batches(emoji):
    data = {"near_misses": 0.75, "canonical_until": 0.2}
    whole = list(itertools.islice(source(**data).batches(12, None, 9), 9))
    for world in (2, 3, 4):
        ranks = [list(itertools.islice(source(rank, world, **data).batches(12, None, 9), 9)) for rank in range(world)]
        for (batch, after), *parts in zip(whole, *ranks, strict=True):
            assert [key for part, _ in parts for key in part.keys] == list(batch.keys)
            assert [caption for part, _ in parts for caption in part.captions] == list(batch.captions)
            assert all(position == after for _, position in parts)


def test_phrasings_change_captions_and_nothing_else(emoji):
    plain, phrased = (source(other_phrasings=share).batches(8, None, 10) for share in (0.0, 1.0))
    for (a, _), (b, _) in zip(itertools.islice(plain, 10), phrased, strict=False):
        assert a.keys == b.keys and a.images.equal(b.images)
        assert not set(a.captions) & set(b.captions)


def test_validation_reads_canonical_captions_and_counts_one_for_each(emoji):
    found = source(other_phrasings=1.0)
    fixed = found.fixed(3)
    assert all(caption.startswith("thing 15, ") for caption in fixed.captions)
    assert found.fixed_captions(fixed) == [(caption,) for caption in fixed.captions]


def test_the_tokenizer_reads_tags_only_if_the_training_does(emoji):
    with_tags, without = (source(other_phrasings=share).captions() for share in (0.5, 0.0))
    assert len(without) == 45 and with_tags[:45] == without
    assert any(caption.startswith("tagged,") for caption in with_tags)
