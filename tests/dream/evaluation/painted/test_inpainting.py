"""Inpainting: what is kept, what is compared, and which captions are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.errors import InputError
from dream.evaluation.held_out import held_out_pictures
from dream.evaluation.painted import inpainting
from dream.evaluation.painted.inpainting import (
    ERROR,
    GAIN,
    NEARER,
    NONE,
    OTHER,
    OWN,
    InpaintingSettings,
    hidden_error,
    kept_cells,
)
from dream.evaluation.painted.painting import decode_settings_of
from tests.dream.evaluation.emoji_small import write_small_emoji
from tests.dream.evaluation.evaluation_small import small_config, small_pretrained

HALVES = ("left", "right", "top", "bottom")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("model"))


def by_caption(measures, name):
    key = "caption" if name == ERROR else "against"
    return {m.where[key]: m.estimate.value for m in measures if m.name == name}


def test_opposite_halves_share_no_cell_and_halves_are_turned_into_each_other():
    config = small_config().image
    left, right, top, bottom = (kept_cells(half, config) for half in HALVES)
    assert not (left & right).any() and not (top & bottom).any()
    square = left.view(config.grid, config.grid)
    assert torch.equal(square.flip(1).flatten(), right) and torch.equal(square.T.flatten(), top)
    assert torch.equal(square.T.flip(0).flatten(), bottom) and 0 < int(left.sum()) <= config.num_tokens // 2


@pytest.mark.parametrize("half", HALVES)
def test_the_error_is_that_of_the_hidden_half_alone(half):
    config = small_config().image
    kept = kept_cells(half, config)
    truth = torch.rand(3, 3, config.size, config.size, generator=torch.Generator().manual_seed(0))
    assert hidden_error(truth, truth, kept).tolist() == [0, 0, 0]
    pixels = inpainting._pixels(kept, config.size)
    changed = torch.where(pixels, 1 - truth, truth)
    assert hidden_error(changed, truth, kept).tolist() == [0, 0, 0]
    shifted = torch.where(pixels, truth, truth + 0.25)
    assert np.allclose(hidden_error(shifted, truth, kept), 0.25, atol=1e-6)


def test_what_is_kept_stays_and_equal_captions_paint_equal_pictures(pretrained):
    batch = held_out_pictures("inpainting", "shapes", pretrained.config, 5)
    settings = decode_settings_of(pretrained.config, 3)
    kept = kept_cells("left", pretrained.config.image)
    once = inpainting._painted(pretrained, batch, batch.captions, kept, settings, 5)
    in_parts = inpainting._painted(pretrained, batch, batch.captions, kept, settings, 2)
    assert torch.allclose(once, in_parts, atol=1e-4)
    pixels = inpainting._pixels(kept, pretrained.config.image.size)
    assert torch.allclose(once[:, :, pixels], (batch.images / 255)[:, :, pixels], atol=1e-5)
    others = inpainting._others(batch.captions)
    assert sorted(others) == sorted(batch.captions)
    assert all(a != b for a, b in zip(others, batch.captions, strict=True))


@pytest.mark.parametrize("data", ["shapes", "emoji:unseen"])
def test_gains_are_the_differences_of_the_errors(data, pretrained, tmp_path, monkeypatch):
    write_small_emoji(tmp_path, monkeypatch)
    measures = InpaintingSettings(pictures=8, kept=("top",), steps=2).measure(pretrained, data)
    assert {m.where["data"] for m in measures} == {data} and {m.where["kept"] for m in measures} == {"top"}
    errors, gains = by_caption(measures, ERROR), by_caption(measures, GAIN)
    assert errors.keys() == {OWN, OTHER, NONE, inpainting.COLOUR} and gains.keys() == {OTHER, NONE}
    assert all(gains[name] == pytest.approx(errors[name] - errors[OWN], abs=1e-9) for name in gains)
    assert all(0 <= value <= 1 for value in by_caption(measures, NEARER).values())


def test_the_judge_reads_the_true_pictures_right_and_each_painting_against_the_true_caption(pretrained):
    measures = InpaintingSettings(pictures=8, kept=("top",), steps=2).measure(pretrained, "shapes")
    right = [m for m in measures if m.name.endswith(" right")]
    assert {m.where["caption"] for m in right} == {OWN, OTHER, NONE, inpainting.TRUTH}
    truths = [m.estimate.value for m in right if m.where["caption"] == inpainting.TRUTH]
    assert np.mean(truths) > 0.9 and len({m.estimate.count for m in right}) == 1


def test_a_model_that_reads_no_captions_has_one_error_and_no_gain(pretrained):
    config = pretrained.config
    silent = replace(pretrained, config=replace(config, objective=replace(config.objective, text=False)))
    measures = InpaintingSettings(pictures=4, kept=("left",), steps=2).measure(silent, "shapes")
    assert by_caption(measures, ERROR).keys() == {NONE, inpainting.COLOUR} and not by_caption(measures, GAIN)


def test_nothing_kept_is_refused():
    with pytest.raises(InputError, match="must name a half: left, right, top or bottom"):
        InpaintingSettings(kept=())
