"""The configuration tree: it survives JSON, names what is wrong, and knows nothing it is not told."""

import json
from dataclasses import dataclass

import pytest

from dream.config import DreamConfig, assign, override
from dream.errors import InputError
from dream.presets import OBJECTIVES, SIZES, preset


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_preset_survives_json(size, objective):
    config = preset(size, objective)
    assert DreamConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_assignment_changes_just_that_field():
    before = preset("tiny")
    after = override(before, ["masking.std=0.3", "train.betas=0.8,0.9", "joint.max_logit_scale=none", "data.flip=yes"])
    assert after.masking.std == 0.3 and after.train.betas == (0.8, 0.9)
    assert after.joint.max_logit_scale is None and after.data.flip is True
    changed = {
        (section, key)
        for section, fields in before.to_dict().items()
        for key, value in fields.items()
        if after.to_dict()[section][key] != value
    }
    assert changed == {("masking", "std"), ("train", "betas"), ("joint", "max_logit_scale"), ("data", "flip")}


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("maskin.std=0.3", "masking.std"),
        ("masking.stdd=0.3", "masking.std"),
        ("train.width=3", ".width"),
        ("masking.std", "section.key=value"),
        ("masking.std=wide", "must be a number"),
        ("encoder.depth=1.5", "whole number"),
        ("masking.schedule=warmpu", "warmup"),
        ("encoder.width=130", "encoder.heads"),
        ("image.size=31", "multiple"),
        ("train.batch_size=60", "masking.groups"),
        ("data.level=7", "[0, 3]"),
        ("masking.low=0.9", None),
    ],
)
def test_a_bad_assignment_is_answered_with_what_to_do(assignment, said):
    if said is None:
        assert override(preset("tiny"), [assignment]).masking.low == 0.9
        return
    with pytest.raises(InputError, match=r"^[^\n]+$") as caught:
        override(preset("tiny"), [assignment])
    assert said in str(caught.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(InputError) as caught:
        override(preset("tiny"), ["data.level=9", "train.lr=0"])
    assert "data.level" in str(caught.value) and "train.lr" in str(caught.value)


def test_unknown_names_in_a_stored_tree_are_refused():
    tree = preset("tiny").to_dict()
    tree["encoder"]["widht"] = 3
    with pytest.raises(InputError, match="encoder.widht.*did you mean 'width'"):
        DreamConfig.from_dict(tree)


def test_unknown_presets_name_the_nearest():
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        preset("tinny")
    with pytest.raises(InputError, match="did you mean 'fluid'"):
        preset("tiny", "fluit")


def test_model_dict_ignores_what_does_not_change_the_weights():
    config = preset("tiny")
    assert override(config, ["masking.std=0.2", "train.lr=1", "head.draws=7"]).model_dict() == config.model_dict()
    assert override(config, ["encoder.depth=3"]).model_dict() != config.model_dict()


@dataclass(frozen=True)
class Settings:
    """Of some task."""

    ratios: tuple[float, ...] = (0.0, 0.5)
    count: int | None = None
    name: str = "a"


def test_any_dataclasses_take_assignments_and_lists_of_any_length():
    sections = {"one": Settings(), "two": Settings()}
    found = assign(sections, ["one.ratios=0.1,0.2, 0.3", "one.count=3", "two.name=b"], "NAME.FIELD=VALUE", "x")
    assert found == {"one": Settings((0.1, 0.2, 0.3), 3), "two": Settings(name="b")}
    for assignment, said in (
        ("one.ratios=0.1,x", "one.ratios must be a number"),
        ("two.nmae=c", "did you mean 'two.name'"),
        ("one.count", "NAME.FIELD=VALUE"),
    ):
        with pytest.raises(InputError, match=said):
            assign(sections, [assignment], "NAME.FIELD=VALUE", "x")
    with pytest.raises(InputError, match="train.betas must be 2 numbers"):
        override(preset("tiny"), ["train.betas=0.9"])
