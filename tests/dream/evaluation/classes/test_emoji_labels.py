"""Classes of emoji, the captions that name them, and tasks on them."""

from collections import Counter

import pytest
import torch

from dream.errors import InputError
from dream.evaluation.classes.emoji_labels import (
    EMOJI_EDITS,
    LABELS,
    asked_labels,
    class_words,
    edited_emoji,
    emoji_classes,
    emoji_prompts,
    labelled_emoji,
)
from dream.evaluation.classes.examples import example_chunks, joined_examples
from dream.evaluation.classes.settings import DRAWN_LABEL, DRAWN_LABELS
from dream.evaluation.classes.zero_shot import ClassTexts
from dream.evaluation.tasks import JUDGED, TASKS, may_take, measured_on, named_tasks
from tests.dream.evaluation.emoji_small import STYLES, UNSEEN, write_small_emoji
from tests.dream.evaluation.evaluation_small import small_pretrained

QUICK = {
    "retrieval": {"pool": 4, "mask_ratios": (0.5,)},
    "edits": {"mask_ratios": (0.0,)},
    "zero_shot": {"mask_ratios": (0.0,)},
    "knn": {"k": (1,)},
    "probe": {"form": "logistic"},
    "few_shot": {"ways": 3, "shots": 2, "queries": 1, "episodes": 20},
    "fine_tune": {"epochs": 1},
}


@pytest.fixture(autouse=True)
def drawings(tmp_path, monkeypatch):
    return write_small_emoji(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("label", LABELS)
def test_every_drawing_is_of_one_class_that_training_shows(label, drawings):
    classes = emoji_classes(label)
    assert len(set(classes)) == len(classes)
    assert {getattr(each, label) for each in drawings if each.split == "train"} == set(classes)


def test_pictures_are_learned_from_train_and_tested_on_the_split_that_is_named(pretrained, drawings):
    for data, split in (("emoji", "val"), ("emoji:val", "val"), ("emoji:unseen", "unseen")):
        assert {each.split for each in labelled_emoji(data, "train")} == {"train"}
        assert {each.split for each in labelled_emoji(data, "test")} == {split}
        found = joined_examples(example_chunks(data, pretrained.config, "test", labels=DRAWN_LABELS))
        truth = [each for each in drawings if each.split == split]
        for label in LABELS:
            names = [found.classes[label][number] for number in found.labels[label].tolist()]
            assert Counter(names) == Counter(getattr(each, label) for each in truth)
    with pytest.raises(InputError, match="learned from 'emoji:train' and cannot be tested on it"):
        labelled_emoji("emoji:train", "test")


def test_a_count_draws_as_many_of_all_and_the_seed_decides_which(pretrained):
    def keys(seed):
        chunks = example_chunks("emoji", pretrained.config, "train", labels=LABELS, count=20, seed=seed)
        return joined_examples(chunks).inputs.flatten(1).tolist()

    assert len(keys(0)) == 20 and keys(0) == keys(0) != keys(1)


def test_defaults_of_shapes_stand_for_the_labels_of_emoji_and_others_are_refused():
    assert asked_labels(DRAWN_LABELS, DRAWN_LABELS) == LABELS
    assert asked_labels((DRAWN_LABEL,), (DRAWN_LABEL,)) == ("subgroup",)
    assert asked_labels(("group",), DRAWN_LABELS) == ("group",)
    for wrong in (("sytle",), ("colour", "style"), ()):
        with pytest.raises(InputError, match="style, group, subgroup"):
            asked_labels(wrong, DRAWN_LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_captions_of_a_class_name_no_thing_that_training_does_not_show(label, drawings):
    prompts = emoji_prompts(label, "members", 7)
    assert len(prompts) == len(emoji_classes(label)) and all(0 < len(texts) <= 7 for texts in prompts)
    known = {each.label for each in drawings if each.split == "train"}
    assert not known & {f"thing {number}" for number in UNSEEN}
    for name, texts in zip(emoji_classes(label), prompts, strict=True):
        for text in texts:
            thing, style = text.rsplit(", ", 1)
            assert thing in known and style in STYLES
            assert label == "style" or {getattr(d, label) for d in drawings if d.label == thing} == {name}


def test_captions_of_styles_differ_in_the_style_alone():
    texts = [
        [text.removesuffix(f", {style}") for text in own]
        for style, own in zip(STYLES, emoji_prompts("style", "members", 5), strict=True)
    ]
    assert all(own == texts[0] for own in texts)


@pytest.mark.parametrize("label", LABELS)
def test_names_of_different_classes_make_different_captions_without_any_thing(label):
    prompts = emoji_prompts(label, "names", 64)
    texts = [text for own in prompts for text in own]
    assert len(set(texts)) == len(texts) and not any("thing" in text for text in texts)


def test_names_of_classes_are_read_as_words():
    assert class_words("food-fruit")[0] == "fruit" and class_words("flags") == ("flags",)
    assert all("-" not in words for name in ("face-smiling", "hand-fingers-open") for words in class_words(name))


def test_an_edited_caption_is_wrong_in_one_thing(drawings):
    subgroups = {each.label: each.subgroup for each in drawings}
    edited = edited_emoji("emoji:unseen", 100)
    assert len(edited) == len(UNSEEN) * len(STYLES)
    for drawing, kinds in edited:
        label, style = kinds[EMOJI_EDITS[0]].rsplit(", ", 1)
        assert label == drawing.label and style != drawing.style
        label, style = kinds[EMOJI_EDITS[1]].rsplit(", ", 1)
        assert style == drawing.style and label != drawing.label and subgroups[label] == drawing.subgroup


def test_emoji_are_measured_on_what_was_never_seen_split_by_split():
    tasks = named_tasks("all", ["emoji"])
    assert {"retrieval", "edits", "zero_shot", "knn", "probe", "few_shot", "inpainting", "losses"} <= {
        task.name for task in tasks
    }
    assert not {"segmentation", "depth"} & {task.name for task in tasks}
    pairs = measured_on(tasks, ["emoji", "emoji:val"])
    assert len(pairs) == len({(task.name, source) for task, source in pairs})
    for task in tasks:
        own = {source for each, source in pairs if each == task}
        whole = {"emoji", "emoji:val"} if JUDGED in task.takes else {"emoji:val", "emoji:unseen"}
        assert own == whole
    assert measured_on(tasks, ["shapes"]) == [(task, "shapes") for task in tasks if may_take(task, "shapes")]
    assert not may_take(TASKS["edits"], "some/folder") and may_take(TASKS["edits"], "emoji:unseen")


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("data", ["emoji:val", "emoji:unseen"])
def test_a_task_on_emoji_has_values_and_names_its_split(name, data, pretrained):
    task = TASKS[name]
    measures = task.measure(pretrained, data, task.load()(**QUICK[name]))
    assert measures and all(measure.where["data"] == data for measure in measures)
    assert all(0 <= measure.estimate.value <= 1 for measure in measures)
    if name in ("knn", "probe", "zero_shot"):
        assert {measure.where["label"] for measure in measures} == set(LABELS)


def test_neighbours_tell_styles_of_different_colours_apart(pretrained):
    task = TASKS["knn"]
    measures = task.measure(pretrained, "emoji:unseen", task.load()(k=(1,), labels=("style",)))
    assert [measure.estimate.value for measure in measures] == [1.0]


def test_zero_shot_says_whether_a_class_was_named_or_described(pretrained):
    task = TASKS["zero_shot"]
    every = task.measure(pretrained, "emoji:val", task.load()(mask_ratios=(0.0,)))
    named = task.measure(pretrained, "emoji:val", task.load()(mask_ratios=(0.0,), prompts="names"))
    assert {measure.where["prompts"] for measure in every} == {"names", "members", "captions"}
    assert named == [measure for measure in every if measure.where["prompts"] == "names"]


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_a_class_is_as_probable_as_its_captions_together(scale):
    features = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    together = ClassTexts(features, (2, 3, 4), scale).logits(features)
    each = ClassTexts(features, (1,) * 9, scale).logits(features)
    assert torch.allclose(each, features @ features.T, atol=1e-6)
    of_each = (scale * each).softmax(1).split((2, 3, 4), dim=1)
    assert torch.allclose((scale * together).softmax(1), torch.stack([part.sum(1) for part in of_each], 1), atol=1e-5)


@pytest.mark.parametrize("label", LABELS)
def test_every_training_emoji_names_its_class_once(label, drawings):
    prompts = emoji_prompts(label, "captions", 7)
    known = {d.caption: getattr(d, label) for d in drawings if d.split == "train"}
    assert {t: name for name, texts in zip(emoji_classes(label), prompts, strict=True) for t in texts} == known
    assert sum(map(len, prompts)) == len(known)
