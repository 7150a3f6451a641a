"""Zero-shot classification: known answers, the captions of drawn classes, and names of class folders."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dream.data.drawn.grammar import parse_caption
from dream.errors import InputError
from dream.evaluation.classes import zero_shot as module
from dream.evaluation.classes.class_names import class_names
from dream.evaluation.classes.drawn_labels import LABELS, scene_class, shape_classes
from dream.evaluation.classes.shape_prompts import shape_prompts
from dream.evaluation.classes.zero_shot import ZeroShotSettings, class_features
from tests.dream.evaluation.classes.labelled_small import COLOURS, write_set
from tests.dream.evaluation.evaluation_small import small_pretrained


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


# captions


@pytest.mark.parametrize("label", LABELS)
def test_captions_of_a_class_show_it_and_are_otherwise_the_same(label):
    prompts = shape_prompts(label, 3, 12)
    classes = shape_classes(label, 3)
    assert [len(texts) for texts in prompts] == [12] * len(classes)
    for texts, name in zip(prompts, classes, strict=True):
        assert {scene_class(parse_caption(text), label) for text in texts} == {name}
    for row in zip(*prompts, strict=True):
        scenes = [parse_caption(text) for text in row]
        if label not in ("relation", "count"):
            assert len({(s.relation, s.things[1:]) for s in scenes}) == 1
        if label != "ground":
            assert len({s.ground for s in scenes}) == 1


def test_captions_depend_on_the_seed_alone():
    assert shape_prompts("shape", 1, 5, 0) == shape_prompts("shape", 1, 5, 0) != shape_prompts("shape", 1, 5, 1)


def test_a_class_is_the_normalised_mean_of_its_captions(pretrained):
    prompts = [["a red circle on a white background", "a blue cross on a black background"], ["a"]]
    single = [class_features(pretrained, [[text]])[0] for text in prompts[0]]
    found = class_features(pretrained, prompts)
    torch.testing.assert_close(found[0], F.normalize(single[0] + single[1], dim=0))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


# names


def test_classes_are_called_by_their_first_name(tmp_path):
    assert class_names(["ice_cream", "tench, Tinca tinca"]) == ("ice cream", "tench")
    lines = tmp_path / "mapping.txt"
    lines.write_text("n01 tench, Tinca tinca\nn02 great white shark, jaws\n")
    assert class_names(["n02", "n01"], str(lines)) == ("great white shark", "tench")
    names = tmp_path / "names.json"
    names.write_text('{"n01": "fish"}')
    assert class_names(["n01"], str(names)) == ("fish",)
    with pytest.raises(InputError, match="no name for 1 of 2 classes, e.g. 'n02'"):
        class_names(["n01", "n02"], str(names))
    with pytest.raises(InputError, match="cannot read the class names"):
        class_names(["n01"], str(tmp_path / "none.txt"))


# the task


def knowing(monkeypatch, classes):
    """A joint space that knows colours: a picture is its mean colour, a caption the colour of its class."""
    monkeypatch.setattr(
        module,
        "picture_features",
        lambda pretrained, images, ratio, draws: F.normalize(images.float().mean((2, 3)) - 128, dim=1),
    )
    known = {f"a photo of a {name}.": COLOURS[colour] for name, colour in classes.items()}
    monkeypatch.setattr(
        module,
        "caption_features",
        lambda pretrained, texts: F.normalize(torch.tensor([known[t] for t in texts]).float() - 128, dim=1),
    )


def test_a_model_that_knows_the_classes_is_always_right(pretrained, tmp_path, monkeypatch):
    classes = {"ripe tomato": "a", "leaf": "b", "sea": "c"}
    write_set(tmp_path, {name.replace(" ", "_"): colour for name, colour in classes.items()}, 20)
    knowing(monkeypatch, classes)
    measures = ZeroShotSettings(mask_ratios=(0.0, 0.5)).measure(pretrained, data=str(tmp_path))
    assert [(m.where["mask_ratio"], m.estimate.value) for m in measures] == [(0.0, 1.0), (0.5, 1.0)]


def test_a_model_that_has_them_wrong_is_never_right(pretrained, tmp_path, monkeypatch):
    write_set(tmp_path, {"x": "a", "y": "c"}, 20)
    knowing(monkeypatch, {"x": "c", "y": "a"})
    (measure,) = ZeroShotSettings(mask_ratios=(0.0,)).measure(pretrained, data=str(tmp_path))
    assert measure.estimate.value == 0.0


def test_an_untrained_model_guesses_drawn_classes(pretrained):
    settings = ZeroShotSettings(mask_ratios=(0.0, 0.75), contexts=8, test_count=120)
    measures = settings.measure(pretrained)
    assert len(measures) == 4 * 2 and measures == settings.measure(pretrained)
    assert np.mean([m.estimate.value for m in measures]) < 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_ratios": (1.0,)}, "zero_shot.mask_ratios"),
        ({"templates": ("a photo",)}, "zero_shot.templates must each have {}"),
        ({"contexts": 0}, "zero_shot.contexts"),
        ({"labels": ()}, "no label is given"),
    ],
)
def test_bad_zero_shot_settings_are_refused(pretrained, change, message):
    with pytest.raises(InputError, match=message):
        replace(ZeroShotSettings(), **change).measure(pretrained)
