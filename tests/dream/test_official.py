"""The authors' names: there and back, and clear words where weights do not fit."""

import pytest
import torch

from dream import official
from dream.errors import InputError
from dream.model.dream import Dream
from dream.overrides import override
from dream.presets import preset


@pytest.fixture
def model():
    small = [
        "image.size=64",
        "encoder.width=16",
        "encoder.depth=1",
        "encoder.heads=2",
        "encoder.buffer_tokens=3",
        "decoder.width=24",
        "decoder.depth=2",
        "decoder.heads=3",
        "decoder.aligner_depth=1",
        "text.width=14",
        "text.depth=2",
        "text.heads=7",
        "text.vocab_size=30",
        "text.context_length=6",
        "text.conditioning_length=5",
        "text.conditioning_width=10",
        "head.width=12",
        "head.depth=2",
        "joint.hidden=9",
        "joint.width=7",
    ]
    torch.manual_seed(0)
    return Dream(override(preset("base"), small)).eval()


def test_names_translate_there_and_back(model):
    names = list(model.state_dict())
    theirs = [official.their_name(n) for n in names]
    assert len(set(theirs)) == len(names)
    assert [official.our_name(n) for n in theirs] == names
    assert "transformer.resblocks.1.attn.in_proj_weight" in theirs and "decoder_blocks.1.cross_attn.kv.bias" in theirs


def test_weights_survive_the_round_trip_with_what_the_authors_carry_beside(model):
    state = {f"module.{name}": value for name, value in official.to_state_dict(model).items()}
    assert state["module.mask_token"].shape == (1, 1, 24) and state["module.text_projection"].shape == (14, 7)
    state["module.fake_latent"] = torch.zeros(1, 16)
    state["module.class_emb.weight"] = torch.cat([state["module.class_emb.weight"], torch.randn(4, 16)])
    back = official.from_state_dict(state, model.config)
    assert not back.training
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)


def test_weights_that_do_not_fit_are_named(model):
    state = official.to_state_dict(model)
    del state["z_proj.bias"]
    state["decoder_norm.weight"] = torch.zeros(3)
    state["z_proj_ln.scale"] = torch.zeros(3)
    with pytest.raises(InputError) as caught:
        official.from_state_dict(state, model.config)
    for part in ("missing z_proj.bias", "unexpected z_proj_ln.scale", "decoder_norm.weight has shape (3,)"):
        assert part in str(caught.value)
    with pytest.raises(InputError, match="DREAM has no parameter"):
        official.from_state_dict({"backbone.weight": torch.zeros(1)}, model.config)
