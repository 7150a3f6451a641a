"""The losses as pure functions: who counts, what is zero, and what the mean runs over."""

import pytest
import torch
import torch.nn.functional as F

from dream import losses
from dream.config import HeadConfig
from dream.diffusion import Draw, sample_draw
from dream.model.dream import GenerativeOutput


def features(rows=6, width=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    return tuple(F.normalize(torch.randn(rows, width, generator=g), dim=-1) for _ in range(2))


SCALE = torch.tensor(10.0)


def test_with_all_counted_it_is_clips_loss():
    image, text = features()
    logits = SCALE * image @ text.T
    target = torch.arange(6)
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    part = losses.contrastive_loss(image, text, SCALE, torch.ones(6, dtype=torch.bool))
    assert torch.allclose(part.loss, expected) and part.share == 1


def test_pictures_that_do_not_count_are_no_queries_and_no_negatives_but_their_captions_are():
    image, text = features()
    counted = torch.tensor([True, False, True, True, False, True])
    loss = lambda i, t: losses.contrastive_loss(i, t, SCALE, counted).loss  # noqa: E731
    other = image.clone()
    other[~counted] = features(seed=5)[0][~counted]
    assert torch.equal(loss(image, text), loss(other, text))
    captions = text.clone()
    captions[~counted] = features(seed=5)[1][~counted]
    assert not torch.equal(loss(image, text), loss(image, captions))


def test_with_none_counted_everything_is_a_clean_zero_with_gradients():
    image, text = (f.requires_grad_() for f in features())
    scale = SCALE.clone().requires_grad_()
    part = losses.contrastive_loss(image, text, scale, torch.zeros(6, dtype=torch.bool))
    part.loss.backward()
    assert part.loss == 0 and part.share == 0
    assert all(x.grad is not None and (x.grad == 0).all() for x in (image, text, scale))


@pytest.mark.parametrize("counted", ["111111", "101101", "000111", "010000"])
@pytest.mark.parametrize("ids", [None, torch.tensor([[1], [2], [1], [3], [4], [3]])], ids=["all", "distinct"])
def test_the_mean_over_equal_shares_is_the_loss_with_its_gradient(counted, ids):
    image, text = (f.requires_grad_() for f in features())
    kept = torch.tensor([c == "1" for c in counted])
    whole = losses.contrastive_loss(image, text, SCALE, kept, ids)
    wanted = torch.autograd.grad(whole.loss, (image, text))
    for size in (1, 2, 3):
        parts = [losses.contrastive_loss(image, text, SCALE, kept, ids, slice(i, i + size)) for i in range(0, 6, size)]
        mean = torch.stack([part.loss for part in parts]).mean()
        torch.testing.assert_close(mean, whole.loss)
        torch.testing.assert_close(torch.autograd.grad(mean, (image, text)), wanted)
        torch.testing.assert_close(torch.stack([part.accuracy for part in parts]).mean(), whole.accuracy)
        assert {float(part.share) for part in parts} == {float(whole.share)}


def test_the_same_caption_is_no_negative():
    image, text = features(4)
    text[1] = text[0]
    counted, ids = torch.ones(4, dtype=torch.bool), torch.tensor([[5, 1], [5, 1], [5, 2], [6, 1]])
    part = losses.contrastive_loss(image, text, SCALE, counted, ids)
    assert torch.isfinite(part.loss)
    assert part.loss < losses.contrastive_loss(image, text, SCALE, counted).loss


def rows(config, picture, seed=0):
    g = torch.Generator().manual_seed(seed)
    count = len(picture) * config.draws
    out = 4 if config.objective == "noise" else 2
    prediction = torch.randn(count, out, generator=g)
    return prediction, torch.randn(count, 2, generator=g), sample_draw(config, len(picture), 2, g)


@pytest.mark.parametrize(
    "config", [HeadConfig(draws=2), HeadConfig(objective="flow", draws=3), HeadConfig(objective="energy", draws=3)]
)
def test_the_mean_over_groups_includes_those_that_do_not_count(config):
    picture = torch.tensor([1, 1, 3, 3])
    prediction, clean, draw = rows(config, picture)
    whole = losses.generative_loss(config, GenerativeOutput(prediction, clean, draw, picture.repeat(config.draws)), 4)
    assert whole.counted.tolist() == [False, True, False, True]
    assert whole.by_picture[[0, 2]].tolist() == [0, 0]
    assert torch.allclose(whole.loss, whole.by_picture.sum() / 4)
    nobody = torch.zeros(len(prediction), dtype=torch.long)
    alone = losses.generative_loss(config, GenerativeOutput(prediction, clean, draw, nobody), 1)
    assert torch.allclose(alone.loss, 2 * whole.loss)


def test_no_masked_token_is_a_clean_zero():
    config = HeadConfig(draws=1)
    prediction = torch.zeros(0, 4, requires_grad=True)
    nothing = Draw(torch.zeros(0, dtype=torch.long), torch.zeros(0, 2))
    empty = GenerativeOutput(prediction, torch.zeros(0, 2), nothing, torch.zeros(0, dtype=torch.long))
    part = losses.generative_loss(config, empty, 3)
    part.loss.backward()
    assert part.loss == 0 and not part.counted.any()
