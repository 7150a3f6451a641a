"""Training a critic on real pictures: it learns to name phrases of the training split, and the command stores it."""

import pytest
import torch

from dream.__main__ import main
from dream.decoding.critic import critic_path, load_critic
from dream.decoding.phrase_critic import PhraseCritic
from dream.errors import InputError
from dream.evaluation.painted import phrase_training
from dream.evaluation.painted.phrase_training import comma_ids, common_phrases, train_phrase_critic, training_pictures
from dream.pretrained import load_pretrained
from tests.dream.decoding.decode_fakes import save_run
from tests.dream.evaluation.emoji_small import THINGS, write_small_emoji
from tests.dream.evaluation.evaluation_small import small_pretrained


@pytest.fixture
def pretrained(tmp_path, monkeypatch):
    write_small_emoji(tmp_path, monkeypatch)
    return small_pretrained(tmp_path / "run")


def test_pictures_are_those_of_the_training_split_each_once(pretrained, tmp_path, monkeypatch):
    known = [d.caption for d in write_small_emoji(tmp_path, monkeypatch) if d.split == "train"]
    images, captions = training_pictures(pretrained.config, "emoji", 20_000, 0)
    assert sorted(captions) == sorted(known) and len(images) == len(known)
    assert len(training_pictures(pretrained.config, "emoji", 20, 0)[1]) == 20
    with pytest.raises(InputError, match="training split, which 'emoji:val' has not"):
        training_pictures(pretrained.config, "emoji:val", 20, 0)


def test_a_comma_is_told_from_words(pretrained):
    tokenizer, commas = pretrained.tokenizer, comma_ids(pretrained.tokenizer)
    plain, with_comma = (set(tokenizer.token_ids([text]).flatten().tolist()) for text in ("a b", "a, b"))
    assert not commas & plain and commas & with_comma


def test_the_same_seed_gives_the_same_critic_which_names_what_it_can_see(pretrained):
    trained, again = (train_phrase_critic(pretrained, "emoji", rounds=30, seed=1) for _ in range(2))
    critic = trained.critic
    assert isinstance(critic, PhraseCritic) and trained.about["pictures"] > 2 * THINGS
    same = zip(critic.state_dict().values(), again.critic.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    images, captions = training_pictures(pretrained.config, "emoji", 64, 0)
    tokens = pretrained.image_tokenizer.tokenize(images)
    mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
    shown = (~mask).nonzero()[:, 1].view(len(tokens), -1)
    with torch.no_grad():
        pooled = pretrained.model.joint.pool(pretrained.model.encode(tokens, mask), shown)
    logs = critic.log_probabilities(pooled, torch.ones(len(tokens)))
    wanted = critic.wanted(pretrained.tokenizer.token_ids(captions))
    assert (wanted >= 0).all()  # thing and style of each
    own = logs.gather(1, wanted).sum(1).mean()
    others = logs.gather(1, wanted.roll(1, 0)).sum(1).mean()
    assert own > others + 0.5


def test_captions_that_hardly_repeat_are_refused():
    with pytest.raises(InputError, match="hardly repeats.*--from decodes"):
        common_phrases([[(number,)] for number in range(50)], "mine")


def test_a_stopped_training_keeps_what_it_learned(pretrained, monkeypatch):
    monkeypatch.setattr(phrase_training, "ROWS", 16)
    trained = train_phrase_critic(pretrained, "emoji", until=lambda: True)
    assert isinstance(trained.critic, PhraseCritic)


def test_the_command_stores_a_critic_that_the_model_finds(pretrained, tmp_path, capsys):
    run = save_run(pretrained, tmp_path / "run")
    words = ["critic", "train", "--from", "pictures", "--model", str(run), "--data", "emoji"]
    assert main(words) == 0
    path = critic_path(load_pretrained(run))
    assert path is not None and isinstance(load_critic(path), PhraseCritic)
    assert "phrases of their captions" in (said := capsys.readouterr()).err + said.out
    assert main([*words, "--overwrite", "--pictures", "5"]) == 2
    assert "--pictures" in capsys.readouterr().err
