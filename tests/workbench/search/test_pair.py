"""Parts of a cosine: they add up, are zero where nothing matters, and find the patch that matters."""

import pytest
import torch

from dream.errors import InputError
from tests.workbench.search.search_small import small_model
from workbench.search import pair as search_pair
from workbench.search.index import features_under
from workbench.search.pair import (
    TextParts,
    Walks,
    cosine_at,
    cosine_curve,
    cosine_of_nothing,
    error_of_walks,
    features_along,
    parts_in_context,
    parts_of_walks,
    patch_map,
    text_parts,
    word_parts,
)

MODEL = small_model()
TOKENS = torch.randn(9, 108, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def walks():
    return features_along(MODEL, TOKENS)


@pytest.fixture(scope="module")
def text():
    return text_parts(MODEL, "a red square")


def additive(weights):
    """A model in whose space every visible patch adds its own weight to the first feature."""

    def fake(pretrained, tokens, mask):
        return torch.stack([(~mask).float() @ weights, torch.zeros(len(mask))], dim=1)

    return fake


def along_first():
    return TextParts(("x",), torch.tensor([1.0, 0.0]), torch.zeros(1, 2))


def test_fair_shares_add_up_to_the_whole_picture_minus_an_empty_one(walks, text):
    parts = patch_map(parts_of_walks(walks), text)
    whole = cosine_at(walks, text.whole, 0.0)
    assert parts.shape == (3, 3)
    assert parts.sum() == pytest.approx(whole - cosine_of_nothing(walks, text.whole), abs=1e-5)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_where_patches_just_add_every_way_finds_their_weights(ratio, monkeypatch):
    weights = torch.arange(9.0)
    monkeypatch.setattr(search_pair, "features_under", additive(weights))
    walks = features_along(MODEL, TOKENS)
    for parts in (parts_of_walks(walks), parts_in_context(MODEL, TOKENS, ratio)):
        assert patch_map(parts, along_first()).flatten().tolist() == pytest.approx(weights.tolist(), abs=1e-5)
    assert error_of_walks(walks, along_first().whole) == pytest.approx(0, abs=1e-6)


def test_hiding_one_with_nothing_else_hidden_is_a_difference_of_two_looks(text):
    parts = parts_in_context(MODEL, TOKENS, 0.0)
    one = torch.zeros(2, 9, dtype=torch.bool)
    one[1, 4] = True
    whole, without = (features_under(MODEL, TOKENS[None], mask[None])[0] for mask in one)
    assert torch.allclose(parts[4], whole - without, atol=1e-5)


def test_showing_one_is_a_difference_from_nothing(walks):
    parts = parts_in_context(MODEL, TOKENS, 1.0)
    mask = torch.ones(1, 9, dtype=torch.bool)
    mask[0, 2] = False
    assert torch.allclose(parts[2], features_under(MODEL, TOKENS[None], mask)[0] - walks.features[-1, 0], atol=1e-5)


def test_contexts_hide_as_many_others_as_asked_and_differ_in_the_patch_alone():
    with_it, without = search_pair._contexts(9, 4, 3)
    patch = torch.arange(9).repeat_interleave(3)
    changed = without ^ with_it
    assert bool((with_it.sum(1) == 4).all()) and bool((changed.sum(1) == 1).all())
    assert bool(changed[torch.arange(27), patch].all())


def test_a_words_part_is_the_fall_when_it_is_left_out(walks, text):
    parts = word_parts(walks, text, 0.0)
    shorter = text_parts(MODEL, "a square")
    assert len(parts) == 3
    expected = cosine_at(walks, text.whole, 0.0) - cosine_at(walks, shorter.whole, 0.0)
    assert parts[1] == pytest.approx(expected, abs=1e-5)


def test_a_words_map_adds_up_to_what_hiding_everything_takes_of_its_part(walks, text):
    total = patch_map(parts_of_walks(walks), text, 1).sum()
    direction = text.whole - text.without[1]
    gone = cosine_at(walks, direction, 0.0) - cosine_of_nothing(walks, direction)
    assert total == pytest.approx(gone, abs=1e-5)


def test_the_curve_starts_at_the_whole_picture_and_its_band_holds_the_mean(walks, text):
    curve = cosine_curve(walks, text.whole, text.without)
    assert curve.ratios[0] == 0 and curve.ratios[-1] == 1 and len(curve.ratios) == 10
    assert curve.mean[0] == pytest.approx(cosine_at(walks, text.whole, 0.0), abs=1e-6)
    assert (curve.low <= curve.high + 1e-9).all() and curve.others is not None
    assert cosine_curve(walks, text.whole, text.without[:0]).others is None


def test_walks_end_when_told_to():
    class Stop(Exception):
        pass

    def progress(share, words):
        raise Stop

    with pytest.raises(Stop):
        features_along(MODEL, TOKENS, progress)
    assert isinstance(features_along(MODEL, TOKENS), Walks)


def test_an_empty_text_has_no_parts():
    with pytest.raises(InputError, match="search text is empty"):
        text_parts(MODEL, " ")


def test_a_very_long_text_has_the_words_that_can_be_read():
    room = MODEL.tokenizer.room
    long, short = text_parts(MODEL, "a red circle " * 8_000), text_parts(MODEL, "a red circle " * room)
    assert len(long.words) == room + 1
    torch.testing.assert_close(long.whole, short.whole)
    torch.testing.assert_close(long.without[:room], short.without[:room])
