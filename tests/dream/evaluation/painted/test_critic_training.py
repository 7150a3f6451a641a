"""Training a critic: it learns what there is to learn, from training prompts alone, and the command stores it."""

import pytest
import torch

from dream.__main__ import main
from dream.decoding.critic import CriticFeatures, critic_path, load_critic
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.critic_training import (
    HELD_OUT,
    CriticExamples,
    critic_prompts,
    fit_critic,
    listwise_loss,
    train_critic,
)
from dream.pretrained import load_pretrained
from tests.dream.decoding.decode_fakes import save_run
from tests.dream.decoding.decode_fakes import small_pretrained as small_decoder
from tests.dream.evaluation.evaluation_small import small_pretrained


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))


def examples(learnable, prompts=120, k=6):
    """Outcomes that are a direction of the pooled tokens, or nothing."""
    draws = torch.Generator().manual_seed(1)
    pooled = torch.randn(prompts * k, 12, generator=draws)
    image, text = (
        torch.nn.functional.normalize(torch.randn(prompts * k, 8, generator=draws), dim=-1) for _ in range(2)
    )
    outcome = pooled[:, 3] if learnable else torch.randn(prompts * k, generator=draws)
    features = CriticFeatures(pooled, image, text, torch.full((prompts * k,), 0.5), torch.ones(prompts * k, 4).long())
    return CriticExamples(features, 3 * outcome.view(prompts, k), torch.arange(prompts))


def test_the_loss_is_least_where_the_ranking_is_the_outcomes():
    outcome = torch.tensor([[0.0, 2.0, -1.0]])
    right, wrong = listwise_loss(outcome, outcome), listwise_loss(-outcome, outcome)
    assert right < listwise_loss(torch.zeros(1, 3), outcome) < wrong


def test_a_critic_finds_what_foretells_the_outcome_and_nothing_where_nothing_does():
    assert fit_critic(examples(True))[1] > 0.5
    assert abs(fit_critic(examples(False))[1]) < 0.3


def test_training_is_reproducible():
    (first, a), (again, b) = (fit_critic(examples(True), seed=3) for _ in range(2))
    assert a == b and all(torch.equal(x, y) for x, y in zip(first.parameters(), again.parameters(), strict=True))


def test_prompts_are_of_the_training_split(tmp_path):
    pretrained = small_pretrained(tmp_path / "run")
    prompts, judge = critic_prompts(pretrained, "shapes", 20, 0)
    assert len(prompts) == 20 and all(judge.knows(prompt) for prompt in prompts)
    known = set(judge_of("emoji:train").names.captions("train"))
    assert set(critic_prompts(pretrained, "emoji", 20, 0)[0]) <= known


def test_a_stopped_training_learns_from_what_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("dream.evaluation.painted.saved_decodes.PICTURES", 2 * HELD_OUT * 2)
    pretrained = small_pretrained(tmp_path / "run")
    trained = train_critic(pretrained, "shapes", count=40, candidates=2, until=lambda: True)
    assert trained.about["prompts"] == 2 * HELD_OUT


def test_the_command_stores_a_critic_that_the_model_finds(tmp_path, capsys):
    run = tmp_path / "run"
    save_run(small_decoder(), run)
    words = ["critic", "train", "--model", str(run), "--data", "shapes", "--prompts", "10", "--candidates", "2"]
    assert main(words) == 0
    path = critic_path(load_pretrained(run))
    assert path is not None and str(path) in capsys.readouterr().out
    load_critic(path)
    assert main(words) == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["critic", "teach", "--model", "demo"], "unknown action 'teach'"),
        (["critic", "train", "--model", "demo", "--prompts", "3"], "--prompts"),
        (["critic", "train", "--model", "demo", "--minutes", "0"], "--minutes must be above 0"),
        (["critic", "train", "--model", "demo", "--data", "emoji:val"], "training split"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err
