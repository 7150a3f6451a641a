"""Numbers of the evaluations: closed forms, known-best and known-blind scores, and the command as a whole."""

import argparse
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dream import presets
from dream.commands import evaluate
from dream.config import TrainConfig
from dream.data.grammar import caption
from dream.data.shapes import ShapesSource, sample_scenes
from dream.data.text import train_tokenizer
from dream.decoding.decode import collect, paint_iter
from dream.errors import InputError
from dream.evaluation import painting
from dream.evaluation.edits import edit_accuracy
from dream.evaluation.features import caption_features, picture_features
from dream.evaluation.judge import load_judge
from dream.evaluation.prompts import EVERY, WELL_FORMED, paint, prompt_accuracy
from dream.evaluation.retrieval import recalls, retrieval
from dream.evaluation.selection import Candidates, candidate_scores, chosen_right, selection_measures
from dream.evaluation.statistics import Measure, auc, bootstrap, mean, share
from dream.model.conditioning import build_conditioning
from dream.model.dream import Dream
from dream.model.latents import build_image_tokenizer
from dream.pretrained import Pretrained
from dream.randomness import generator


def small_config():
    config = presets.tiny()
    return replace(
        config,
        encoder=replace(config.encoder, width=32, depth=1, heads=2),
        decoder=replace(config.decoder, width=32, depth=1, heads=2),
        head=replace(config.head, width=16, depth=1, sampling_steps=2),
        text=replace(config.text, width=16, depth=1, conditioning_width=16),
        joint=replace(config.joint, width=8, hidden=16),
        decode=replace(config.decode, steps=5),
        train=TrainConfig(batch_size=64),
    )


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    config = small_config()
    words = ShapesSource(config).captions(500)
    tokenizer = train_tokenizer(words, config.text.vocab_size, config.text.context_length)
    config = replace(config, text=replace(config.text, vocab_size=tokenizer.vocab_size))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = Dream(config).eval()
        conditioning = build_conditioning(config.text, tokenizer)
    images = build_image_tokenizer(config.image)
    return Pretrained(
        config, model, tokenizer, conditioning, images, "abc", tmp_path_factory.mktemp("run"), 1
    )


def by_name(measures, **where):
    return {m.name: m.estimate for m in measures if where.items() <= m.where.items()}


# statistics


def test_wilson_interval_matches_its_published_values():
    """81 of 263: 0.255 to 0.366 (Newcombe 1998, method 3)."""
    found = share(np.arange(263) < 81)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert share([True] * 5).high == share([True] * 5).value == 1.0
    assert math.isnan(share([]).value)


def test_intervals_hold_the_truth_about_95_percent_of_the_time():
    draws = np.random.default_rng(0)
    samples = [draws.random(60) < 0.3 for _ in range(300)]
    for measure in (share, lambda hits: bootstrap(hits, lambda s: s[..., 0], draws, 300)):
        held = [e.low <= 0.3 <= e.high for e in map(measure, samples)]
        assert 0.9 < np.mean(held) < 0.99


def test_auc_is_one_for_an_oracle_and_a_half_for_the_blind():
    draws = np.random.default_rng(0)
    right = draws.random((200, 8)) < 0.4
    assert auc(right, right, draws).value == 1.0
    assert auc(~right, right, draws).value == 0.0
    assert auc(np.zeros_like(right), right, draws).value == 0.5
    blind = auc(draws.random(right.shape), right, draws)
    assert blind.low < 0.5 < blind.high


def test_auc_compares_within_a_prompt_only():
    scores = np.array([[0.9, 0.8], [0.1, 0.2]])
    assert auc(scores, [[True, False], [False, True]], np.random.default_rng(0)).value == 1.0


def test_what_is_not_a_number_is_null_in_json():
    record = Measure("edits", "colour", {}, share([])).to_dict()
    assert record["value"] is None and json.dumps(record, allow_nan=False)


# retrieval and edits


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
    measures = retrieval(pretrained, pool=32, pools=4, mask_ratios=(0.0, 0.75))
    assert len(measures) == 2 * 2 * 3
    assert all(
        e.low <= e.value <= e.high and e.value < 0.7 and e.count == 4 for e in by_name(measures).values()
    )
    assert measures == retrieval(pretrained, pool=32, pools=4, mask_ratios=(0.0, 0.75))


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
    measures = edit_accuracy(pretrained, count=200, mask_ratios=(0.0,))
    for combination, count in (("all", 200), ("unseen", 100), ("seen", 100)):
        found = by_name(measures, combination=combination)
        assert set(found) == {"colour", "shape", "swapped", "relation", "ground"}
        assert found["colour"].count == count and 0 < found["swapped"].count < count
        assert found["swapped"].count == found["relation"].count


# prompts and selection


def test_prompts_count_what_the_judge_sees(pretrained):
    measures = prompt_accuracy(pretrained, load_judge(), count=40)
    unseen = by_name(measures, combination="unseen", things="all")
    names = {f"{name} right" for name in ("layout", "ground", "shape", "colour")}
    assert set(unseen) == {EVERY, WELL_FORMED} | names
    assert (
        unseen[EVERY].count == 40 and by_name(measures, combination="seen", things="all")[EVERY].count == 20
    )
    assert unseen[EVERY].value <= min(unseen[name].value for name in names)
    assert unseen[WELL_FORMED].value <= unseen[EVERY].value
    parts = [by_name(measures, combination="unseen", things=n)[EVERY].count for n in (1, 2)]
    assert sum(parts) == 40


def test_a_painted_picture_does_not_depend_on_its_batch(pretrained, monkeypatch):
    scenes = sample_scenes(1, 5, np.random.default_rng(0))
    settings = painting.settings_of(pretrained.config, 0)
    together = paint(pretrained, scenes, settings)
    monkeypatch.setattr(painting, "ROWS", 2)
    torch.testing.assert_close(paint(pretrained, scenes, settings), together)
    assert together.shape == (5, 3, 30, 30)


def test_every_candidate_is_scored_at_every_step_and_judged(pretrained):
    found = candidate_scores(pretrained, load_judge(), count=3, candidates=4)
    assert found.scores.shape == (len(found.steps), 3, 4) and found.right.shape == (3, 4)
    assert not (found.well_formed & ~found.right).any()
    assert list(found.decoded) == sorted(found.decoded) and found.decoded[-1] == 1.0
    assert np.abs(found.scores).max() <= 1 + 1e-5


def candidates(scores, right):
    steps = len(scores)
    decoded = tuple((i + 1) / steps for i in range(steps))
    return Candidates(right, right & ~right[:, :1], scores, tuple(range(1, steps + 1)), decoded)


def test_an_oracle_gains_all_there_is_and_a_blind_one_nothing():
    draws = np.random.default_rng(0)
    right = draws.random((400, 8)) < 0.4
    oracle, blind = right.astype(np.float32), draws.random(right.shape, dtype=np.float32)
    both = selection_measures(candidates(np.stack([blind, oracle]), right))
    measures = [m for m in both if "malformed_refused" not in m.where]
    found = by_name(measures)
    gains = {m.where["step"]: m.estimate for m in measures if m.name == "gain of the choice"}
    assert gains[2].value == pytest.approx(
        found["any of 8 right"].value - found["random candidate right"].value
    )
    assert gains[1].low < 0 < gains[1].high
    refused = [m for m in both if m.where.get("malformed_refused")]
    assert by_name(refused)["random candidate right"].value < found["random candidate right"].value
    assert [m.where["step"] for m in measures if m.where.get("headline")] == [1, 1]


def test_ties_are_settled_by_chance():
    right = np.array([[True, False, False, True]])
    assert chosen_right(np.zeros((1, 4)), right)[0] == 0.5
    assert chosen_right(np.array([[0.0, 1.0, 1.0, 1.0]]), right)[0] == pytest.approx(1 / 3)


def test_levels_beyond_the_judge_are_refused(pretrained):
    config = replace(pretrained.config, data=replace(pretrained.config.data, level=2))
    with pytest.raises(InputError, match="level 2"):
        prompt_accuracy(replace(pretrained, config=config), load_judge(), count=4)


# the command


def arguments(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def loaded(pretrained, monkeypatch):
    monkeypatch.setattr("dream.pretrained.load_pretrained", lambda path, ema=True: pretrained)


def test_the_command_prints_a_table_and_writes_json(loaded, tmp_path, capsys):
    words = ["--model", "runs/a", "--out", str(tmp_path / "new"), "--prompts", "6", "--candidates", "2"]
    words += ["--pictures", "20", "--pool", "8", "--pools", "2"]
    evaluate.run(arguments(*words))
    result = json.loads((tmp_path / "new" / "a.json").read_text())
    assert {m["task"] for m in result["measures"]} == set(evaluate.TASKS)
    assert result["model_id"] == "abc" and result["seed"] == 0
    printed = capsys.readouterr().out
    assert "text to image R@1, mask ratio 0.75, pool 8" in printed and "selection (95 % interval)" in printed
    with pytest.raises(InputError, match="already"):
        evaluate.run(arguments(*words))
    evaluate.run(arguments(*words, "--overwrite", "--tasks", "retrieval"))


def test_two_models_stand_side_by_side(loaded, tmp_path, capsys):
    words = ["--model", "a", "--model", "b", "--out", str(tmp_path), "--tasks", "edits", "--pictures", "10"]
    evaluate.run(arguments(*words))
    header = next(line for line in capsys.readouterr().out.splitlines() if line.split() == ["a", "b"])
    assert header and (tmp_path / "a.json").exists() and (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "retreival"], "did you mean 'retrieval'"),
        (["--tasks", ","], "names none"),
        (["--tasks", "edits", "--data", "pictures"], "answer key"),
        (["--prompts", "0"], "--prompts must be at least 2"),
        (["--model", "x/a"], "two models are named 'a'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_opened(tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        evaluate.run(arguments("--model", "a", "--out", str(tmp_path / "out"), *words))
    assert not (tmp_path / "out").exists()


def test_results_that_cannot_be_written_are_refused_before_the_work(loaded, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file is a file, so nothing can be written"):
        evaluate.run(arguments("--model", "a", "--out", str(tmp_path / "file" / "results")))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        evaluate.run(arguments("--model", str(tmp_path / "nowhere"), "--out", str(tmp_path)))


def test_mean_is_the_mean():
    found = mean(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
    assert found.value == 2.0 and found.low < 2.0 < found.high and found.count == 3


def test_one_candidate_is_painted_as_decode_paints_it(pretrained):
    scenes = sample_scenes(1, 2, np.random.default_rng(1))
    settings = painting.settings_of(pretrained.config, 0)
    _, records = next(painting.records_by_batch(pretrained, scenes, settings))
    direct = paint_iter(pretrained, [caption(s) for s in scenes], settings, picture_ids=range(2))
    torch.testing.assert_close(collect(records).tokens, collect(direct).tokens)
