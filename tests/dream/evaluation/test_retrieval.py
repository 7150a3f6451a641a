"""Retrieval and edited captions: known spaces, chance for the untrained, and how things are counted."""

from dataclasses import replace

import pytest
import torch

from dream.data.shapes import ShapesSource
from dream.errors import InputError
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.edits import EditsSettings
from dream.evaluation.retrieval import RetrievalSettings, recalls
from dream.randomness import generator
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def test_recall_of_a_perfect_a_constant_and_a_shifted_space():
    perfect = recalls(torch.eye(12))
    assert all(value == 1.0 for ranks in perfect.values() for value in ranks.values())
    assert all(value == 0.0 for ranks in recalls(torch.ones(12, 12)).values() for value in ranks.values())
    shifted = torch.eye(12).roll(1, 0) + 0.5 * torch.eye(12)
    assert {d: r[1] for d, r in recalls(shifted).items()} == dict.fromkeys(recalls(shifted), 0.0)
    assert {d: r[5] for d, r in recalls(shifted).items()} == dict.fromkeys(recalls(shifted), 1.0)


def test_the_two_directions_are_each_others_transpose():
    similarity = torch.randn(20, 20, generator=generator("retrieval test"))
    there, back = recalls(similarity), recalls(similarity.T)
    assert there["text to image"] == back["image to text"] and there["image to text"] == back["text to image"]


def test_an_untrained_model_retrieves_by_chance(pretrained):
    settings = RetrievalSettings(pool=32, pools=10, mask_ratios=(0.0, 0.75))
    measures = settings.measure(pretrained)
    assert len(measures) == 2 * 2 * 3
    assert all(e.low <= e.value <= e.high and e.value < 0.7 and e.count == 10 for e in by_name(measures).values())
    assert measures == settings.measure(pretrained)


def test_few_pools_have_intervals_over_the_queries(pretrained):
    measures = RetrievalSettings(pool=32, pools=1, mask_ratios=(0.5,)).measure(pretrained)
    assert all(e.count == 32 and e.low < e.high for e in by_name(measures).values())


def test_features_are_normalised_and_depend_on_the_mask(pretrained):
    batch = ShapesSource(pretrained.config).fixed(6)
    bare = picture_features(pretrained, batch.images, 0.0, generator(0))
    hidden = picture_features(pretrained, batch.images, 0.75, generator(0))
    words = caption_features(pretrained, batch.captions)
    for features in (bare, hidden, words):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(6))
    assert not torch.allclose(bare, hidden)
    torch.testing.assert_close(bare, picture_features(pretrained, batch.images, 0.0, generator(1)))


def test_edits_are_counted_by_kind_and_combination(pretrained):
    measures = EditsSettings(count=200, mask_ratios=(0.0,)).measure(pretrained)
    for combination, count in (("all", 200), ("unseen", 100), ("seen", 100)):
        found = by_name(measures, combination=combination)
        assert set(found) == {"colour", "shape", "swapped", "relation", "ground"}
        assert found["colour"].count == count and 0 < found["swapped"].count < count
        assert found["swapped"].count == found["relation"].count


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RetrievalSettings(pool=1), "retrieval.pool must be at least 2, got 1"),
        (lambda: RetrievalSettings(mask_ratios=(1.0,)), r"retrieval.mask_ratios .* \[0, 1\), got \(1.0,\)"),
        (lambda: replace(EditsSettings(), mask_ratios=()), "edits.mask_ratios must be one or more"),
        (lambda: EditsSettings(count=0), "edits.count must be at least 2, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_edits_need_an_answer_key(pretrained):
    with pytest.raises(InputError, match="needs an answer key"):
        EditsSettings().measure(pretrained, data="pictures")
