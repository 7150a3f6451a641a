"""The configuration tree: it survives JSON, says what is wrong with it, and reads files of older versions."""

import json

import pytest

from dream.config import RETIRED, DreamConfig
from dream.data.families import FAMILY_SIZE
from dream.decoding.solvers import TIME_SHIFT
from dream.errors import InputError
from dream.overrides import override
from dream.presets import OBJECTIVES, SIZES, preset


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_preset_survives_json(size, objective):
    config = preset(size, objective)
    assert DreamConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_all_problems_are_told_at_once():
    with pytest.raises(InputError) as caught:
        override(preset("tiny"), ["data.level=9", "train.lr=0", "masking.low=0.9", "masking.high=0.8"])
    assert str(caught.value) == (
        "masking.low must not be above masking.high, got 0.9 and 0.8; data.level must be in [0, 3], got 9; "
        "train.lr must be above 0, got 0.0"
    )


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("encoder.heads=0", "encoder.heads must be at least 1, got 0"),
        ("objective.min_visible=1.5", "objective.min_visible must be in [0, 1], got 1.5"),
        ("masking.std=nan", "masking.std must be above 0, got nan"),
        ("masking.generation_share=-0.1", "masking.generation_share must be in [0, 1], got -0.1"),
        ("train.steps=0", "train.steps must be at least 1, got 0"),
        ("decode.guidance_scale=0.5", "decode.guidance_scale must be at least 1, got 0.5"),
        ("text.context_length=2", "text.context_length must be at least 3, got 2"),
        ("head.sampling_steps=1001", "head.sampling_steps must be at most head.train_steps = 1000, got 1001"),
        ("encoder.heads=64", "encoder.rotary needs a head width"),
        ("decoder.heads=64", "(decoder.width / decoder.heads) that is a multiple of 4"),
        ("train.minutes=none", "give train.steps, train.minutes or train.epochs"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_bounds(assignment, said):
    with pytest.raises(InputError) as caught:
        override(preset("tiny"), [assignment])
    assert said in str(caught.value)


def test_an_objective_without_any_loss_is_refused():
    weights = [f"objective.{name}_weight=0" for name in ("generative", "contrastive", "alignment")]
    with pytest.raises(InputError, match="one of the weights of objective must be above 0"):
        override(preset("tiny"), weights)
    block = ["objective.alignment_weight=1", "objective.alignment_block=9"]
    with pytest.raises(InputError, match=r"objective.alignment_block must be in \[1, 4\], got 9"):
        override(preset("tiny"), block)


def test_a_retired_field_is_read_at_its_constant_value_only():
    assert {"head.time_shift": TIME_SHIFT, "data.family_size": FAMILY_SIZE} == RETIRED
    config, tree = preset("tiny"), preset("tiny").to_dict()
    tree["head"]["time_shift"], tree["data"]["family_size"] = 2.0, 8
    assert DreamConfig.from_dict(tree) == config
    tree["head"]["time_shift"] = 3.0
    with pytest.raises(InputError, match=r"head.time_shift is fixed at 2.0 in this version and cannot be 3.0"):
        DreamConfig.from_dict(tree)


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
