"""The judge that ships reads clean drawings, refuses malformed ones, and answers for captions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.data.drawn.drawing import CLASSES, answer_key, draw
from dream.data.drawn.grammar import GROUNDS, Place, Scene, Thing, caption, edits, phrasings
from dream.data.drawn.shapes import sample_scenes
from dream.errors import InputError
from dream.evaluation.judging import damage
from dream.evaluation.judging.agreement import judge_accuracy
from dream.evaluation.judging.judge import READ_FROM, WEIGHTS, Judge, judged_level, load_judge
from dream.evaluation.judging.judge_task import JudgeSettings
from dream.evaluation.judging.reading import NARROW
from dream.evaluation.judging.train_judge import train_judge
from dream.presets import tiny
from tests.dream.evaluation.evaluation_small import small_pretrained


def held_out_scenes(count, level=1, seed=99):
    draws = np.random.default_rng(seed)
    return sample_scenes(level, count // 2, draws) + sample_scenes(level, count // 2, draws, unseen=True)


def pictures(scenes, size=30):
    return torch.from_numpy(draw(scenes, size))


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.mark.parametrize(("level", "size"), [(1, 30), (0, 30), (1, 32), (1, 64)])
def test_at_least_99_percent_of_held_out_drawings_are_judged_right(judge, level, size):
    scenes = held_out_scenes(1000, level)
    assert judge.correct(pictures(scenes, size), [caption(s) for s in scenes]).float().mean() >= 0.99


@pytest.mark.parametrize("size", [30, 48])
def test_level_2_is_judged_right(judge, size):
    scenes = held_out_scenes(600, 2)
    captions = [caption(s) for s in scenes]
    assert judge.correct(pictures(scenes, size), captions).float().mean() >= 0.975
    attributes = judge.attributes(pictures(scenes, size), captions)
    assert {"size", "texture"} < set(attributes) and all(flags.float().mean() >= 0.98 for flags in attributes.values())


def test_pictures_too_small_for_their_level_are_refused():
    def of(level, size):
        return replace(
            tiny(), data=replace(tiny().data, level=level), image=replace(tiny().image, size=size, patch_size=1)
        )

    for level, least in enumerate(READ_FROM):
        assert judged_level(of(level, least)) == level
        with pytest.raises(InputError, match=f"level {level} of shapes well enough from {least} pixels on"):
            judged_level(of(level, least - 1))


def test_every_phrasing_asks_for_the_same(judge):
    scenes = held_out_scenes(60)
    images = pictures(scenes)
    answers = [judge.correct(images, [phrasings(s)[i % len(phrasings(s))] for s in scenes]) for i in range(4)]
    assert all(torch.equal(a, answers[0]) for a in answers)


def test_one_wrong_thing_makes_a_caption_wrong(judge):
    draws = np.random.default_rng(5)
    for scene in held_out_scenes(100):
        wrong = [caption(edit) for edit in edits(scene, 1, draws).values()]
        assert not judge.correct(pictures([scene] * len(wrong)), wrong).any()


def test_wear_leaves_pictures_right(judge):
    scenes = held_out_scenes(500)
    worn = damage.worn(draw(scenes, 30).astype(np.float32) / 255, np.random.default_rng(0))
    right = judge.correct(torch.from_numpy(worn.astype(np.float32)), [caption(s) for s in scenes])
    assert right.float().mean() >= 0.98


def test_floats_and_bytes_are_judged_alike(judge):
    scenes = held_out_scenes(50)
    images, words = pictures(scenes), [caption(s) for s in scenes]
    assert torch.equal(judge.correct(images, words), judge.correct(images / 255, words))


def test_one_look_gives_both_counts(judge):
    drawings = damage.training_drawings(200, np.random.default_rng(3))
    images = torch.from_numpy(drawings.images.astype(np.float32))
    words = [caption(s) for s in held_out_scenes(200)]
    verdict = judge.verdict(images, words)
    for name, flags in judge.attributes(images, words, refusing=False).items():
        assert torch.equal(verdict.attributes[name], flags)
    assert torch.equal(verdict.right, judge.correct(images, words, refusing=False))
    assert torch.equal(verdict.well_formed, judge.correct(images, words))


def test_its_labels_are_those_of_the_answer_key():
    scenes = held_out_scenes(100)
    key, labels = answer_key(scenes, 30).labels, NARROW.labels(scenes)

    def names(numbers, words):
        return [words[i] for i in numbers]

    for mine, theirs, words in (
        (labels["ground"], "ground", GROUNDS),
        (labels["layout"], "relation", NARROW.layouts),
        (labels["shape"][:, 0], "shape", NARROW.shapes),
        (labels["colour"][:, 0], "colour", NARROW.colours),
    ):
        assert names(mine, words) == names(key[theirs], CLASSES[theirs])


def test_the_task_reports_agreement_and_refusals_with_intervals(tmp_path):
    pretrained = small_pretrained(tmp_path)
    measures = JudgeSettings(count=200).measure(pretrained)
    exact = {m.name: m.estimate for m in measures if m.where["of"] == "exact drawings"}
    assert all(e.count == 200 and e.value >= 0.99 and e.low < e.value for e in exact.values())
    refused = {m.where["of"]: m.estimate for m in measures if m.name == "refused"}
    assert set(refused) == {f"damage: {kind}" for kind in damage.DAMAGES}
    assert all(m.estimate.value > 0.98 for m in measures if m.name == "found wrong")


def test_malformed_drawings_are_refused(judge):
    refused = judge_accuracy(judge, count=1000, seed=7)["refused"]
    assert set(refused) == set(damage.DAMAGES)
    assert min(refused.values()) > 0.6 and np.mean(list(refused.values())) > 0.85


def test_a_half_of_one_shape_and_half_of_another_is_neither(judge):
    def alone(shape):
        return Scene("white", (Thing(shape, "blue"),), places=(Place(0.5, 0.5, 0.28),))

    cross, square = pictures([alone("cross"), alone("square")])
    mixed = torch.cat([cross[:, :, :15], square[:, :, 15:]], dim=2)[None]
    captions = [caption(alone(shape)) for shape in ("cross", "square")]
    assert not judge.correct(mixed.repeat(2, 1, 1, 1), captions).any()


def test_a_caption_of_no_shapes_is_refused(judge):
    with pytest.raises(InputError):
        judge.correct(torch.zeros(1, 3, 30, 30, dtype=torch.uint8), ["a cat on a mat"])


def test_the_shipped_files_are_small_and_say_what_they_reach():
    assert WEIGHTS.stat().st_size <= 1_000_000
    accuracy = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert accuracy["clean"] >= 0.99


def test_labels_of_damage_follow_how_much_is_wrong():
    """Untouched things keep their shape; things without a trace of themselves never do."""
    draws = np.random.default_rng(0)
    none = damage.damaged_drawings("none", 100, draws)
    assert (none.labels["shape"] < NARROW.classes["shape"]).all()
    for kind in ("layout", "ground"):
        assert (damage.damaged_drawings(kind, 50, draws).labels[kind] == NARROW.classes[kind]).all()
    foreign = damage.damaged_drawings("foreign", 50, draws)
    assert (foreign.labels["shape"] == NARROW.classes["shape"]).any(1).all()


def test_training_is_reproducible_and_learns():
    losses = []
    first = train_judge(seed=3, steps=2)
    again = train_judge(seed=3, steps=2, report=lambda step, loss: losses.append(loss))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert set(first.state_dict()) == set(Judge().state_dict()) and losses == []


@pytest.mark.slow
def test_a_judge_trained_anew_reaches_99_percent():
    assert judge_accuracy(train_judge(seed=1), count=2000)["clean"] >= 0.99


def test_a_true_caption_has_a_better_grade_than_an_edited_one(judge):
    scenes = held_out_scenes(100, 1) + held_out_scenes(100, 2)
    images = torch.cat([pictures(scenes[:100], 48), pictures(scenes[100:], 48)])
    captions = [caption(scene) for scene in scenes]
    true = judge.grade(images, captions)
    assert (true <= 0).all() and (true > judge.grade(images, captions[1:] + captions[:1])).float().mean() > 0.95
    # the grade is high where the verdict is right
    right = judge.verdict(images, captions).well_formed
    assert true[right].median() > -0.5
