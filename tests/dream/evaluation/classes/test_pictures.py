"""Labelled pictures: drawn ones by their answer key, folders in every layout, hub sets, broken ones."""

import numpy as np
import pytest
import torch

from dream.data.drawn.drawing import CLASSES, answer_key
from dream.data.drawn.grammar import is_held_out
from dream.errors import InputError
from dream.evaluation.classes.drawn_labels import LABELS, labelled_scenes, scene_labels, shape_classes
from dream.evaluation.classes.examples import example_chunks, joined_examples
from dream.evaluation.classes.pictures import LabelledPictures, choose_evenly
from dream.evaluation.classes.sources import labelled_chunks
from tests.dream.evaluation.classes.labelled_small import write_set
from tests.dream.evaluation.evaluation_small import small_config

CONFIG = small_config()
ABC = {"cat": "a", "dog": "b", "owl": "c"}


def read_all(source, **options):
    """All chunks of a source as one."""
    chunks = list(labelled_chunks(str(source), CONFIG.image.size, **options))
    return LabelledPictures(
        torch.cat([chunk.images for chunk in chunks]),
        torch.cat([chunk.labels for chunk in chunks]),
        chunks[0].classes,
        tuple(key for chunk in chunks for key in chunk.keys),
        chunks[0].report,
    )


def both(source):
    return [read_all(source, split=split) for split in ("train", "test")]


def middle(pictures, row):
    return pictures.images[row, :, 15, 15].int()


# drawn shapes


@pytest.mark.parametrize("label", LABELS)
def test_labels_of_drawn_pictures_are_those_of_the_answer_key(label):
    scenes = labelled_scenes(3, "test", 64, 0)
    names = [shape_classes(label, 3)[i] for i in scene_labels(scenes, label, 3)]
    known = answer_key(scenes, 32).labels[label]
    assert names == [CLASSES[label][i] or "alone" for i in known]


def test_drawn_classes_are_those_of_the_level_and_depend_on_the_seed_alone():
    assert shape_classes("relation", CONFIG.data.level) == ("alone", "left of", "above")

    def drawn(seed):
        return next(example_chunks("shapes", CONFIG, "train", labels=("relation",), count=60, seed=seed))

    train = drawn(0)
    assert train.classes == {"relation": ("alone", "left of", "above")}
    assert train.inputs.shape == (60, 3, 30, 30) and train.inputs.dtype == torch.uint8
    assert torch.equal(drawn(0).inputs, train.inputs) and not torch.equal(drawn(1).inputs, train.inputs)


def test_every_second_drawn_test_picture_is_of_an_unseen_combination():
    assert [is_held_out(scene) for scene in labelled_scenes(1, "test", 40, 0)] == [False, True] * 20
    assert not any(is_held_out(scene) for scene in labelled_scenes(1, "train", 40, 0))


@pytest.mark.parametrize(
    ("label", "message"), [("mood", "no label 'mood'; known are count, ground"), ("texture", "same texture, 'plain'")]
)
def test_labels_that_cannot_be_classified_are_refused(label, message):
    with pytest.raises(InputError, match=message):
        shape_classes(label, CONFIG.data.level)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nowhere", {"limit": 0}, "limit of labelled pictures must be at least 1, got 0"),
        ("nowhere", {"split": "val"}, "splits train and test, not 'val'"),
        ("nowhere", {}, "no folder 'nowhere'"),
    ],
)
def test_unknown_sources_and_splits_are_refused(source, options, message):
    with pytest.raises(InputError, match=message):
        labelled_chunks(source, 30, **{"split": "train", **options})


# the choice


def test_a_choice_is_even_random_and_repeatable():
    labels = np.repeat([0, 1, 2], [50, 8, 2])
    chosen = choose_evenly(labels, 20, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [10, 8, 2]
    assert (chosen == choose_evenly(labels, 20, seed=0)).all() and (np.diff(chosen) > 0).all()
    assert (chosen != choose_evenly(labels, 20, seed=1)).any()
    assert len(choose_evenly(labels, None, 0)) == len(choose_evenly(labels, 99, 0)) == 60


# folders


def test_a_plain_folder_is_cut_in_two_by_names(tmp_path):
    train, test = both(write_set(tmp_path, ABC, 40))
    assert train.classes == test.classes == ("cat", "dog", "owl")
    assert not set(train.keys) & set(test.keys) and len(train) + len(test) == 120
    assert 10 < len(test) < 45
    assert all(key.startswith(train.classes[label]) for key, label in zip(train.keys, train.labels, strict=True))
    assert (middle(train, 0) - torch.tensor([230, 40, 40])).abs().max() < 30


def test_a_folder_with_splits_keeps_them_and_one_order_of_classes(tmp_path):
    write_set(tmp_path / "train", ABC, 3)
    write_set(tmp_path / "val", {"owl": "c", "dog": "d"}, 2)
    train, test = both(tmp_path)
    assert train.classes == test.classes == ("cat", "dog", "owl")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2] and test.labels.tolist() == [1, 1, 2, 2]


def test_a_test_split_without_classes_gives_way_to_validation(tmp_path):
    write_set(tmp_path / "train", ABC, 2)
    write_set(tmp_path / "val", ABC, 4)
    write_set(tmp_path, {"test": "a"}, 5)
    assert len(both(tmp_path)[1]) == 12


def test_an_archives_own_folder_and_a_lone_split_are_entered(tmp_path):
    write_set(tmp_path / "archive" / "val", ABC, 10)
    train, test = both(tmp_path)
    assert train.classes == ("cat", "dog", "owl") and len(train) + len(test) == 30


def test_pictures_below_a_class_folder_count(tmp_path):
    write_set(tmp_path / "train" / "cat", {"images": "a"}, 2, ending=".JPEG")
    write_set(tmp_path / "train" / "dog", {"images": "b"}, 2, ending=".JPEG")
    write_set(tmp_path / "test", {"cat": "a", "dog": "b"}, 1)
    assert both(tmp_path)[0].keys[0] == "cat/images/000.JPEG"


def test_broken_pictures_are_named_and_left_out(tmp_path):
    write_set(tmp_path / "train", ABC, 3)
    write_set(tmp_path / "test", ABC, 1)
    (tmp_path / "train" / "cat" / "001.png").write_bytes(b"no picture")
    train, _test = both(tmp_path)
    assert len(train) == 8 and [p[2] for p in train.report.problems()] == ["cat/001.png"]
    for path in (tmp_path / "test").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the labelled pictures can be read"):
        joined_examples(example_chunks(str(tmp_path), CONFIG, "test", labels=()))


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(InputError, match="no class folders"):
        both(tmp_path)


def test_chunks_are_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("dream.evaluation.classes.pictures.CHUNK", 7)
    write_set(tmp_path, ABC, 20)
    chunks = list(labelled_chunks(str(tmp_path), 30, split="train"))
    monkeypatch.undo()
    (whole,) = labelled_chunks(str(tmp_path), 30, split="train")
    assert len(chunks) > 1 and torch.equal(torch.cat([chunk.images for chunk in chunks]), whole.images)


# hub sets


def saved(tmp_path, splits, names=None):
    import datasets

    from tests.dream.evaluation.classes.labelled_small import COLOURS

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=names) if names else datasets.Value("string")}
    )
    tables = {}
    for split, labels in splits.items():
        colours = [np.full((32, 32, 3), COLOURS["abcd"[i % 4]], np.uint8) for i in range(len(labels))]
        tables[split] = datasets.Dataset.from_dict({"image": colours, "label": labels}, features=features)
    datasets.DatasetDict(tables).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_hub_set_is_read_by_its_class_label(tmp_path):
    path = saved(tmp_path, {"train": [0, 1, 1, 0], "validation": [1, 0]}, ["no", "yes"])
    train, test = both(path)
    assert train.classes == ("no", "yes") and train.labels.tolist() == [0, 1, 1, 0]
    assert test.labels.tolist() == [1, 0] and test.keys == ("validation/00000000", "validation/00000001")
    assert middle(train, 1).tolist() == [40, 200, 60]
    assert read_all(f"hf:{path}", split="train", limit=2).labels.tolist() in ([0, 1], [1, 0])


def test_a_hub_set_of_words_and_one_split_is_cut_in_two(tmp_path):
    path = saved(tmp_path, {"train": ["pear", "fig"] * 20})
    train, test = both(path)
    assert train.classes == ("fig", "pear") and len(train) + len(test) == 40 and 0 < len(test) < 20
    numbers = [int(key.rpartition("/")[2]) for key in train.keys]
    assert train.labels.tolist() == [1 - number % 2 for number in numbers]


def test_a_hidden_hub_test_split_gives_way_to_validation(tmp_path):
    path = saved(tmp_path, {"train": [0, 1], "validation": [1, 1, 0], "test": [-1, -1]}, ["no", "yes"])
    assert both(path)[1].labels.tolist() == [1, 1, 0]
