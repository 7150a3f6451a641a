"""Assignments of the command line: they change the field that they name, and a bad one is answered with a remedy."""

from dataclasses import dataclass

import pytest

from dream.errors import InputError
from dream.overrides import assign, override
from dream.presets import preset


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
        ("head.time_shift=2", "fixed at 2.0 in this version; leave it out"),
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
