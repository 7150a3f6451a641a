"""Laws of the critic: what it reads, where it is kept, and what happens without one."""

import json
from dataclasses import replace

import pytest
import torch

from dream.decoding import critic as critics
from dream.decoding.critic import FILE, Critic, CriticFeatures, critic_for, critic_path, load_critic, save_critic
from dream.decoding.paint import paint_iter
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained

ONCE = DecodeSettings(steps=6, candidates=3, selection="once", select_steps=(3,), score="critic")


def drawn(rows=12, pooled=16, joint=8):
    draws = torch.Generator().manual_seed(0)
    image, text = (torch.nn.functional.normalize(torch.randn(rows, joint, generator=draws), dim=-1) for _ in range(2))
    pooled_tokens = torch.randn(rows, pooled, generator=draws)
    ids = torch.randint(1, 5, (rows, 6), generator=draws)
    return CriticFeatures(pooled_tokens, image, text, torch.full((rows,), 0.3), ids)


def untrained(pretrained, weight=0.0):
    critic = Critic(pretrained.config.encoder.width, pretrained.config.joint.width).eval()
    torch.nn.init.normal_(critic.weigh[-1].weight, std=weight)
    return critic.requires_grad_(False)


@pytest.fixture
def pretrained(tmp_path):
    return replace(small_pretrained(), path=tmp_path)


def test_before_training_the_critic_ranks_as_the_cosine_does():
    features = drawn()
    scores = Critic(16, 8).eval()(features)
    cosine = (features.image * features.text).sum(-1)
    assert torch.equal(scores.argsort(), cosine.argsort())


def test_a_row_is_scored_alike_whatever_else_is_there():
    features, critic = drawn(), Critic(16, 8).eval()
    torch.nn.init.normal_(critic.weigh[-1].weight)
    rows = torch.tensor([7, 2])
    torch.testing.assert_close(critic(features.take(rows)), critic(features)[rows])


def test_a_stored_critic_opens_with_the_same_scores(pretrained):
    critic = untrained(pretrained, 1.0)
    path = save_critic(critic, {"model_id": pretrained.model_id}, pretrained.path)
    assert path == critic_path(pretrained) == pretrained.path / FILE
    features = drawn(pooled=pretrained.config.encoder.width, joint=pretrained.config.joint.width)
    assert torch.equal(load_critic(path)(features), critic(features))


def test_a_critic_of_other_weights_is_none(pretrained):
    save_critic(untrained(pretrained), {"model_id": "other"}, pretrained.path)
    assert critic_path(pretrained) is None


def test_the_critic_of_a_model_in_the_package_is_kept_in_the_users_cache(pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))
    shipped = critics.Path(critics.__file__).resolve().parents[1] / "shipped" / "demo"
    shipped_one = replace(pretrained, path=shipped)
    path = save_critic(untrained(pretrained), {"model_id": pretrained.model_id}, critics.own_folder(shipped_one))
    assert tmp_path / "cache" in path.parents and critic_path(shipped_one) == path


@pytest.mark.parametrize("damage", ["cut", "json", "format"])
def test_a_damaged_critic_is_named_in_a_sentence(pretrained, damage):
    path = save_critic(untrained(pretrained), {"model_id": pretrained.model_id}, pretrained.path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.with_suffix(".json").write_text("{" if damage == "json" else json.dumps({"format": "other"}))
    with pytest.raises(InputError, match=r"critic.safetensors is damaged .*dream critic train"):
        critic_for(pretrained)


def test_a_missing_critic_is_one_sentence_before_anything_is_painted(pretrained):
    with pytest.raises(InputError, match="has no critic of these weights: train one with 'dream critic train"):
        paint_iter(pretrained, PROMPTS, ONCE)
    list(paint_iter(pretrained, PROMPTS[:1], replace(ONCE, score="cosine")))


def test_an_untrained_critic_chooses_what_the_cosine_chooses(pretrained):
    save_critic(untrained(pretrained), {"model_id": pretrained.model_id}, pretrained.path)
    chosen = [
        next(r for r in paint_iter(pretrained, PROMPTS, replace(ONCE, score=score)) if not r.kept.all()).kept
        for score in ("critic", "cosine")
    ]
    assert torch.equal(*chosen)


def test_the_sum_with_the_cosine_uses_the_critic(pretrained):
    save_critic(untrained(pretrained, 5.0), {"model_id": pretrained.model_id}, pretrained.path)
    alone, total = (
        next(r for r in paint_iter(pretrained, PROMPTS, replace(ONCE, score=score)) if not r.kept.all()).alignment
        for score in ("cosine", "critic+cosine")
    )
    assert not torch.allclose(alone, total)
