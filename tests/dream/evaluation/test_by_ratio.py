"""Losses by mask ratio: the same as training's, and what is told of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.data.drawn.shapes import ShapesSource
from dream.diffusion import sample_draw
from dream.errors import InputError
from dream.evaluation import by_ratio as task
from dream.evaluation.by_ratio import CONTRASTIVE, GAP, GENERATIVE, OTHERS, OWN, LossesSettings
from dream.evaluation.held_out import held_out_pictures
from dream.losses import total_loss
from dream.masking import mask_from_order
from dream.model.dream import generative_rows
from dream.randomness import generator
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

FEW = LossesSettings(pictures=48, pool=16, mask_ratios=(0.0, 0.4, 0.72, 0.95))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def with_objective(pretrained, **changes):
    objective = replace(pretrained.config.objective, **changes)
    return replace(pretrained, config=replace(pretrained.config, objective=objective))


@pytest.mark.parametrize("ratio", [0.5, 0.72])
def test_losses_are_those_of_training(pretrained, ratio):
    batch = held_out_pictures("losses", "shapes", pretrained.config, 16)
    pool = task._prepared(pretrained, 3, batch, 0)
    mask = mask_from_order(pool.orders, round(25 * ratio + 0.49))
    rows = generative_rows(mask, pretrained.config)
    noise = generator("losses noise", 0, str(ratio), 3)
    draw = sample_draw(pretrained.config.head, rows, pool.tokens.shape[-1], noise)
    ids, words = pretrained.tokenizer.token_ids(batch.captions), pretrained.conditioning.condition(batch.captions)
    with torch.no_grad():
        expected = total_loss(pretrained.model(pool.tokens, mask, ids, words, draw), pretrained.config)
    found = dict(task.by_ratio(pretrained, pool, ratio, 0))
    torch.testing.assert_close(found[GENERATIVE], expected.by_picture)
    torch.testing.assert_close(found[CONTRASTIVE].mean(), expected.contrastive)
    torch.testing.assert_close(found[OWN] - found[OTHERS], found[GAP])


def test_everything_is_told_at_every_ratio_with_its_interval(pretrained):
    measures = FEW.measure(pretrained)
    assert measures == FEW.measure(pretrained)
    assert len(measures) == 3 + 4 * 4  # nothing to paint where nothing is hidden
    assert all(m.estimate.low <= m.estimate.value <= m.estimate.high for m in measures)
    assert all(m.estimate.count == 48 for m in measures)
    assert GENERATIVE not in by_name(measures, mask_ratio=0.0)
    untrained = by_name(measures, mask_ratio=0.0)
    assert untrained[CONTRASTIVE].value > np.log(16) / 2 and abs(untrained[GAP].value) < 0.3


def test_what_training_does_not_count_is_marked(pretrained):
    marked = {(m.name, m.where["mask_ratio"]) for m in FEW.measure(pretrained) if m.where.get("not_trained")}
    assert marked == {(GENERATIVE, 0.4), (CONTRASTIVE, 0.95)}


def test_a_caption_that_is_the_pictures_own_is_no_negative(pretrained):
    batch = held_out_pictures("losses", "shapes", pretrained.config, 8)
    twice = type(batch)(batch.images, (batch.captions[0],) * 2 + batch.captions[2:], batch.keys)
    pool = task._prepared(pretrained, 0, twice, 0)
    assert pool.same_caption.sum() == 10
    alone = type(batch)(batch.images[:2], (batch.captions[0],) * 2, batch.keys[:2])
    found = dict(task.by_ratio(pretrained, task._prepared(pretrained, 0, alone, 0), 0.0, 0))
    torch.testing.assert_close(found[CONTRASTIVE], torch.zeros(2))


def test_only_what_a_model_was_trained_for_is_measured(pretrained):
    fluid = FEW.measure(with_objective(pretrained, contrastive_weight=0.0))
    assert {m.name for m in fluid} == {GENERATIVE}
    clip = FEW.measure(with_objective(pretrained, generative_weight=0.0))
    assert {m.name for m in clip} == {CONTRASTIVE, OWN, OTHERS, GAP}


def test_a_model_without_text_reads_the_empty_caption(pretrained, monkeypatch):
    condition, read = pretrained.conditioning.condition, []

    def listening(captions):
        read.extend(captions)
        return condition(captions)

    monkeypatch.setattr(pretrained.conditioning, "condition", listening)
    FEW.measure(with_objective(pretrained, contrastive_weight=0.0, text=False))
    assert read == [""] * 48


def test_a_pool_that_is_not_full_is_left_out_but_not_the_only_one(pretrained):
    batch = ShapesSource(pretrained.config).fixed(20)
    assert [len(p) for p in task._pools(batch, 8)] == [8, 8]
    assert [len(p) for p in task._pools(batch, 64)] == [20]


@pytest.mark.parametrize("bad", [{"pictures": 1}, {"pool": 1}, {"mask_ratios": (1.0,)}, {"mask_ratios": ()}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        LossesSettings(**bad)
