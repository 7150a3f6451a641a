"""Robustness: shifts of drawn pictures, class maps of ImageNet's variants and ObjectNet, and its answers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.data.drawn.drawing import GROUND_RGB, answer_key
from dream.data.drawn.grammar import is_held_out
from dream.errors import InputError
from dream.evaluation.classes import robustness as module
from dream.evaluation.classes.drawn_shifts import drawn_shifts, outlines
from dream.evaluation.classes.fine_tune import FineTuneSettings
from dream.evaluation.classes.robustness import RobustnessSettings, Trained, constant_answer, hits
from dream.evaluation.classes.shifted_sets import objectnet_answers, open_shifted
from tests.dream.evaluation.classes.labelled_small import COLOURS, write_class, write_set
from tests.dream.evaluation.evaluation_small import small_config, small_pretrained

QUICK = RobustnessSettings(train_count=150, test_count=40, label="ground")
WNIDS = {"n01": "a", "n02": "b", "n03": "c"}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def write_objectnet(root, border=2):
    """Two folders that ImageNet has (one as two classes) and one that it has not."""
    (root / "mappings").mkdir(parents=True)
    labels = {"alarm_clock": "Alarm clock", "tomato": "Tomato", "spatula_x": "Unknown thing"}
    imagenet = {"Alarm clock": "analog clock; digital clock", "Tomato": "tomato, love apple"}
    (root / "mappings" / "folder_to_objectnet_label.json").write_text(json.dumps(labels))
    (root / "mappings" / "objectnet_to_imagenet_1k.json").write_text(json.dumps(imagenet))
    for folder, colour in (("alarm_clock", "c"), ("tomato", "b"), ("spatula_x", "a")):
        write_class(root / "images" / folder, COLOURS[colour], 3, border=border)
    return root


# answers


def test_only_shared_classes_can_be_answered():
    logits = torch.tensor([[9.0, 1.0, 2.0, 0.0], [9.0, 2.0, 1.0, 0.0], [9.0, 0.0, 0.0, 1.0]])
    answers = ((1,), (2, 3), ())
    assert hits(logits, torch.tensor([1, 0, 1]), answers).tolist() == [True, True, True]
    assert hits(logits, torch.tensor([0, 1, 0]), answers).tolist() == [False, False, False]


def test_chance_is_the_best_constant_answer():
    assert constant_answer(torch.tensor([0, 0, 1, 1, 1]), ((1,), (2, 3), ())) == 0.6
    assert constant_answer(torch.tensor([0, 0, 1]), ((1,), (1, 3), ())) == 1.0


def test_equal_names_are_shared_and_others_are_left_out(tmp_path):
    write_set(tmp_path, {"n02": "b", "n03": "c", "n99": "d"}, 4)
    shifted = open_shifted(str(tmp_path), tuple(WNIDS), 30)
    assert shifted.answers == ((1,), (2,), ()) and shifted.shared == [1, 2]
    (part,) = shifted.chunks
    assert part.labels.tolist() == [0] * 4 + [1] * 4 and part.classes == ("n02", "n03", "n99")
    (few,) = open_shifted(str(tmp_path), tuple(WNIDS), 30, limit=2).chunks
    assert few.labels.tolist() == [0, 1]


def test_a_set_without_a_shared_class_is_refused(tmp_path):
    write_set(tmp_path, {"n98": "b"}, 2)
    with pytest.raises(InputError, match=r"shares no class.*n98.*n01, n02, n03"):
        open_shifted(str(tmp_path), tuple(WNIDS), 30)
    with pytest.raises(InputError, match="no folder"):
        open_shifted(str(tmp_path / "none"), tuple(WNIDS), 30)


def test_objectnet_is_mapped_by_its_own_files(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("n01 digital clock\nn02 tomato, love apple\nn03 analog clock\n")
    root = write_objectnet(tmp_path / "objectnet")
    shifted = open_shifted(str(root), tuple(WNIDS), 30, names=str(names))
    assert shifted.answers == ((0, 2), (), (1,)) and shifted.name == "objectnet"
    (part,) = shifted.chunks
    assert part.labels.tolist() == [0, 0, 0, 2, 2, 2]
    edges = part.images[:, :, [0, -1]].float().mean((2, 3))  # nothing of the red border is left
    assert (edges[0] - torch.tensor(COLOURS["c"])).abs().max() < 10


def test_objectnet_lists_names_for_a_thousand_wnids(tmp_path):
    root = write_objectnet(tmp_path)
    lines = [f"thing {i}" for i in range(1000)]
    lines[7], lines[8], lines[9] = "analog clock", "tomato, love apple", "digital clock"
    (root / "mappings" / "imagenet_to_label_2012_v2").write_text("\n".join(lines))
    places = {str(999 - i): i for i in range(1000)}  # ours -> the line
    (root / "mappings" / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps(places))
    folders = ["alarm_clock", "spatula_x", "tomato"]
    trained = [f"n{i:08d}" for i in range(1000)]
    assert objectnet_answers(root / "mappings", folders, trained) == ((990, 992), (), (991,))


def test_a_missing_map_is_named(tmp_path):
    root = write_objectnet(tmp_path)
    (root / "mappings" / "objectnet_to_imagenet_1k.json").unlink()
    with pytest.raises(InputError, match="objectnet_to_imagenet_1k.json"):
        open_shifted(str(root), tuple(WNIDS), 30)


# drawn shifts


def test_shifts_are_what_they_are_called():
    config = small_config()
    shifts = {name: (images, scenes) for name, images, scenes in drawn_shifts(config, 30, 0)}
    assert list(shifts) == ["none", "unseen", "worn", "noise", "blur", "outlines"]
    plain, scenes = shifts["none"]
    assert not any(map(is_held_out, scenes)) and all(map(is_held_out, shifts["unseen"][1]))
    for name in ("worn", "noise", "blur", "outlines"):
        images, same = shifts[name]
        assert same == scenes and images.shape == plain.shape and images.dtype == torch.uint8
        assert not torch.equal(images, plain)
    assert shifts["blur"][0].float().mean() == pytest.approx(plain.float().mean().item(), rel=0.05)


def test_hollow_things_keep_their_outline_and_show_the_ground_inside():
    config = small_config()
    shifts = {name: (images, scenes) for name, images, scenes in drawn_shifts(config, 20, 0)}
    plain, hollow = shifts["none"][0].numpy(), shifts["outlines"][0].numpy()
    scenes = shifts["none"][1]
    instances = answer_key(scenes, config.image.size).instances
    edge = outlines(instances, 2)
    inside = (instances > 0) & ~edge
    assert inside.any() and (hollow == plain)[np.repeat(~inside[:, None], 3, 1)].all()
    for row, scene in enumerate(scenes):
        assert (GROUND_RGB[scene.ground] == hollow[row][:, inside[row]].T).all()


def test_worn_pictures_come_in_any_size():
    config = small_config()
    config = replace(config, image=replace(config.image, size=48, patch_size=6))
    assert {images.shape for _, images, _ in drawn_shifts(config, 3, 0)} == {(3, 3, 48, 48)}


# the task


@pytest.mark.parametrize("classifier", ["logistic", "fine_tuned"])
def test_an_untrained_model_is_measured_on_each_drawn_shift(pretrained, classifier, monkeypatch):
    monkeypatch.setattr(module, "RECIPE", FineTuneSettings(epochs=2, lr=1e-2))
    settings = replace(QUICK, classifier=classifier)
    measures = settings.measure(pretrained)
    assert [m.where["shift"] for m in measures] == ["none", "unseen", "worn", "noise", "blur", "outlines"]
    assert all(m.estimate.count == 40 for m in measures)
    assert measures == settings.measure(pretrained)


def by_colour(images):
    """Logits of n01, n02, n03 (red, green, blue)."""
    return images.float().mean((2, 3))


def test_stored_shifts_stand_beside_the_same_classes_unshifted(pretrained, tmp_path, monkeypatch):
    source = write_set(tmp_path / "imagenet" / "train", WNIDS, 2).parent
    write_set(source / "val", WNIDS, 5)
    sketch = write_set(tmp_path / "sketch", {"n02": "b", "n03": "a"}, 4)  # n03 is drawn red here
    monkeypatch.setattr(module, "classifier", lambda *args: Trained(by_colour, tuple(WNIDS)))
    settings = RobustnessSettings(shifted=(str(sketch),))
    shifted, plain = settings.measure(pretrained, data=str(source))
    assert shifted.where["shift"] == plain.where["shift"] == "sketch" and shifted.where["classes"] == 2
    assert (plain.estimate.value, plain.estimate.count) == (1.0, 10)  # n01's are not asked
    assert shifted.estimate.value >= 0.5 and shifted.estimate.count == 8
    write_set(tmp_path / "all", {"n01": "a", "n02": "a", "n03": "a"}, 4)
    settings = RobustnessSettings(shifted=(str(tmp_path / "all"),))
    assert settings.measure(pretrained, data=str(source))[0].estimate.value == pytest.approx(1 / 3)


def test_a_probe_is_trained_on_a_stored_set(pretrained, tmp_path):
    source = write_set(tmp_path / "set", {"n01": "a", "n03": "c"}, 30)
    other = write_set(tmp_path / "resized", {"n01": "a", "n03": "c"}, 5, size=90)
    measures = RobustnessSettings(shifted=(str(other),)).measure(pretrained, data=str(source))
    assert [m.estimate.value for m in measures] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("data", "change", "message"),
    [
        ("shapes", {"classifier": "svm"}, "robustness.classifier must be one of"),
        ("shapes", {"shifted": ("x",)}, "shapes have shifts of their own"),
        ("photos", {}, "needs sets that differ"),
        ("photos", {"shifted": ("nowhere",)}, "no folder 'nowhere'"),
        ("shapes", {"pooling": "cls"}, "pooling must be"),
        ("shapes", {"train_count": 1}, "robustness.train_count"),
    ],
)
def test_bad_robustness_settings_are_refused(pretrained, data, change, message):
    with pytest.raises(InputError, match=message):
        replace(QUICK, **change).measure(pretrained, data=data)
