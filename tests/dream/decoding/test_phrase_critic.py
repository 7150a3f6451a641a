"""Laws of the critic that reads: what a phrase is, what it adds up, and where it knows nothing."""

from dataclasses import replace

import pytest
import torch

from dream.decoding.critic import CriticFeatures, critic_path, load_critic, save_critic
from dream.decoding.phrase_critic import PhraseCritic, phrases_of
from tests.dream.decoding.decode_fakes import small_pretrained

BEGIN, END, COMMA = 8, 9, 5
PHRASES = [(1, 2), (3,), (1,)]


def critic():
    """An untrained one. Its weights are any: two calls need not agree, since other threads may draw in between."""
    return PhraseCritic(16, PHRASES, [COMMA], END).eval().requires_grad_(False)


def features(*captions, rows=None):
    draws = torch.Generator().manual_seed(0)
    count = len(captions)
    image, text = (torch.nn.functional.normalize(torch.randn(count, 8, generator=draws), dim=-1) for _ in range(2))
    ids = torch.zeros(count, 10, dtype=torch.long)
    for row, caption in zip(ids, captions, strict=True):
        row[: len(caption) + 2] = torch.tensor([BEGIN, *caption, END])
    return CriticFeatures(torch.randn(count, 16, generator=draws), image, text, torch.full((count,), 0.3), ids)


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([BEGIN, 1, 2, COMMA, 3, END, 0, 0], [(1, 2), (3,)]),
        ([BEGIN, COMMA, COMMA, 1, COMMA, END], [(1,)]),
        ([BEGIN, END, 1, 2], []),
        ([BEGIN, 1, 2], [(1, 2)]),
    ],
    ids=["two", "empty ones", "no text", "cut before its end"],
)
def test_phrases_stand_between_commas(ids, found):
    assert phrases_of(ids, frozenset([COMMA]), END) == found


def test_a_caption_is_as_probable_as_its_known_phrases_together():
    own = features([1, 2, COMMA, 3], [1, 2], [3, COMMA, 7, 7], [1, 2, COMMA, 3])
    network = critic()
    logs = network.log_probabilities(own.pooled, own.share)
    wanted = torch.stack([logs[0, 0] + logs[0, 1], logs[1, 0], logs[2, 1], logs[3, 0] + logs[3, 1]])
    torch.testing.assert_close(network(own), wanted)


def test_where_no_phrase_is_known_the_cosine_decides():
    own = features([7], [6, COMMA, 7])
    torch.testing.assert_close(critic()(own), (own.image * own.text).sum(-1))


def test_a_row_is_scored_alike_whatever_else_is_there():
    own, rows, network = features([1, 2, COMMA, 3], [7], [3], [1]), torch.tensor([3, 0]), critic()
    torch.testing.assert_close(network(own.take(rows)), network(own)[rows], atol=1e-4, rtol=1e-4)


def test_a_stored_one_opens_with_the_same_scores(tmp_path):
    pretrained, network = replace(small_pretrained(), path=tmp_path), critic()
    path = save_critic(network, {"model_id": pretrained.model_id}, tmp_path)
    opened = load_critic(path)
    own = features([1, 2, COMMA, 3], [7])
    assert critic_path(pretrained) == path and isinstance(opened, PhraseCritic)
    assert torch.equal(opened(own), network(own)) and opened.numbers == network.numbers
