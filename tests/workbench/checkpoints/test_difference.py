"""Differences: none between equal weights, exact in pieces; leftovers are named; history; pictures."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import workbench.checkpoints.difference as module
from dream.data.text import train_tokenizer
from dream.errors import InputError
from dream.model.dream import Dream
from dream.official import to_state_dict
from dream.pretrained import load_pretrained
from tests.dream.training.training_small import small_config
from tests.workbench.checkpoints.checkpoint_files import done, weights, write_pth, write_run, write_safetensors
from workbench.checkpoints.difference import Difference, combined_distance, compare_parts, distances_by_layer
from workbench.checkpoints.files import open_checkpoint
from workbench.checkpoints.history import before, history, logit_scales
from workbench.checkpoints.paint import PaintedWeights, distance, paint_sides, prompts_of_text


def compared(a, b) -> Difference:
    """The difference of two parts."""
    return done(lambda work: compare_parts(a, b, work))


def of(folder, name, tensors):
    """The weights of a file with these tensors."""
    save_file(tensors, folder / f"{name}.safetensors")
    return open_checkpoint(folder / f"{name}.safetensors").weights


def test_equal_weights_have_no_distance(tmp_path):
    part = open_checkpoint(write_safetensors(tmp_path / "a.safetensors")).weights
    result = compared(part, part)
    assert result.equal and all(d.relative == 0 for d in result.distances)
    assert combined_distance("all", result.distances).cosine == pytest.approx(1.0)


@pytest.mark.parametrize("chunk", [10**6, 5])
def test_distances_are_those_of_the_whole_tensors(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    x, y = weights(0), weights(1)
    result = compared(of(tmp_path, "a", x), of(tmp_path, "b", y))
    for found in result.distances:
        a, b = x[found.name].double().flatten(), y[found.name].double().flatten()
        assert found.relative == pytest.approx(((b - a).norm() / a.norm()).item())
        assert found.cosine == pytest.approx(torch.cosine_similarity(a, b, dim=0).item())
        assert found.largest == pytest.approx((b - a).abs().max().item())
    layers = {layer.name: layer for layer in distances_by_layer(result.distances)}
    joined = [torch.cat([t[n].flatten() for n in t if ".0.attn" in n]).double() for t in (x, y)]
    expected = (joined[1] - joined[0]).norm() / joined[0].norm()
    assert layers["encoder.blocks.0"].relative == pytest.approx(expected.item())


def test_a_scaled_tensor_keeps_its_direction(tmp_path):
    a, b = of(tmp_path, "a", {"w.x": torch.ones(5)}), of(tmp_path, "b", {"w.x": torch.full((5,), 3.0)})
    (found,) = compared(a, b).distances
    assert found.relative == pytest.approx(2.0) and found.cosine == pytest.approx(1.0)


def test_what_has_no_partner_is_named(tmp_path):
    x, y = weights(), weights()
    y["new.weight"] = torch.ones(2)
    del y["logit_scale"]
    y["encoder.positions"] = torch.ones(4, 6)
    x["ids"], y["ids"] = torch.tensor([1, 2]), torch.tensor([1, 3])
    result = compared(of(tmp_path, "a", x), of(tmp_path, "b", y))
    assert result.added == ("new.weight",) and result.missing == ("logit_scale",)
    assert result.reshaped == ("encoder.positions: 11 × 6 became 4 × 6",)
    assert result.counters == 1 and "ids" not in {d.name for d in result.weights}
    assert Difference.from_dict(result.to_dict()) == result and not result.equal


def test_types_may_differ_and_zero_tensors_have_no_cosine(tmp_path):
    a = of(tmp_path, "a", {"w.x": torch.ones(4), "w.z": torch.zeros(4)})
    b = of(tmp_path, "b", {"w.x": torch.ones(4).bfloat16(), "w.z": torch.ones(4)})
    found = {d.name: d for d in compared(a, b).distances}
    assert found["w.x"].relative == 0
    assert found["w.z"].relative == math.inf and math.isnan(found["w.z"].cosine)


def test_what_is_not_finite_is_counted_and_in_no_sum(tmp_path):
    x, y = torch.ones(4), torch.tensor([math.nan, 1.0, math.inf, 3.0])
    (found,) = compared(of(tmp_path, "a", {"w.x": x}), of(tmp_path, "b", {"w.x": y})).distances
    assert (found.nonfinite, found.count, found.equal) == (2, 4, False)
    assert found.relative == pytest.approx(math.sqrt(4 / 2)) and found.largest == 2.0
    (found,) = compared(of(tmp_path, "a", {"w.x": y}), of(tmp_path, "b", {"w.x": y * math.nan})).distances
    assert found.nonfinite == 4 and found.relative == 0 and not found.equal


def test_two_that_share_no_name_are_refused(tmp_path):
    a, b = of(tmp_path, "a", {"x": torch.ones(1)}), of(tmp_path, "b", {"y": torch.ones(1)})
    with pytest.raises(InputError, match="no tensor name in common"):
        compared(a, b)


def test_averaged_weights_of_the_authors_file_are_compared_with_its_raw_ones(tmp_path):
    found = open_checkpoint(write_pth(tmp_path / "a.pth"))
    result = compared(found.weights, found.averaged)
    assert {round(d.relative, 6) for d in result.distances} == {1.0} and not result.translated


def test_the_authors_names_find_ours(tmp_path):
    from dream.overrides import override
    from dream.presets import preset

    small = [
        "image.size=64",
        "encoder.width=16",
        "encoder.depth=1",
        "encoder.heads=2",
        "encoder.buffer_tokens=3",
        "decoder.width=24",
        "decoder.depth=1",
        "decoder.heads=3",
        "decoder.aligner_depth=1",
        "text.width=14",
        "text.depth=1",
        "text.heads=7",
        "text.vocab_size=30",
        "text.context_length=6",
        "head.width=12",
        "text.conditioning_length=5",
        "text.conditioning_width=10",
        "head.depth=1",
        "joint.hidden=9",
        "joint.width=7",
    ]
    model = Dream(override(preset("base"), small)).eval()
    torch.save({"model": to_state_dict(model)}, tmp_path / "theirs.pth")
    ours = of(tmp_path, "ours", {n: v.clone() for n, v in model.state_dict().items()})
    result = compared(ours, open_checkpoint(tmp_path / "theirs.pth").weights)
    assert result.translated and not result.added and not result.missing
    assert all(d.squares_difference == 0 for d in result.distances)
    assert [line.split(":")[0] for line in result.reshaped] == ["text_tower.projection.weight"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two checkpoints."""
    config = small_config()
    tokenizer = train_tokenizer(
        ["a red circle on a grey background"], config.text.vocab_size, config.text.context_length
    )
    return write_run(tmp_path_factory.mktemp("run") / "small", config, tokenizer)


def test_a_run_opens_at_its_newest_checkpoint_with_all_parts(run):
    found = open_checkpoint(run)
    assert found.path.name == "step-00000005" and found.paintable and found.grid == 4
    assert [part.name for part in found.parts] == ["model", "ema", "optimizer"]
    assert found.facts["step"] == "5" and found.averaged.name == "ema" and found.optimizer is not None
    assert before(found.path).name == "step-00000003"


def test_the_history_has_losses_and_the_logit_scale_of_every_checkpoint(run):
    past = history(open_checkpoint(run))
    assert past.step == 5 and [row["step"] for row in past.train] == [3, 5]
    assert {(scale.step, scale.part) for scale in past.scales} == {
        (step, part) for step in (3, 5) for part in ("raw", "averaged")
    }
    raw = {scale.step: scale.factor for scale in past.scales if scale.part == "raw"}
    model = load_pretrained(run, ema=False).model
    assert raw[5] == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)


def test_a_foreign_file_has_no_history_but_perhaps_a_logit_scale(tmp_path):
    found = open_checkpoint(write_pth(tmp_path / "a.pth"))
    assert history(found) is None
    assert [round(scale.factor, 3) for scale in logit_scales(found)] == [7.389, 54.598]


def test_the_same_weights_and_seed_paint_the_same_pictures(run):
    raw, averaged = load_pretrained(run, ema=False), load_pretrained(run, ema=True)
    prompts = prompts_of_text("a red circle\n\n a grey  background ")
    assert prompts == ["a red circle", "a grey background"]
    sides = [("raw", raw), ("again", raw), ("averaged", averaged)]
    first, again, other = done(lambda work: paint_sides(sides, prompts, 3, work))
    assert first.pictures.shape == (2, 3, 16, 16) and first.pictures.dtype == np.uint8
    assert distance(first, again).tolist() == [0.0, 0.0] and len(first.alignment) == 2
    assert (distance(first, other) >= 0).all()


def test_pictures_of_different_sizes_are_not_compared():
    a, b = (PaintedWeights("x", np.zeros((1, 3, side, side), np.uint8), ()) for side in (4, 8))
    with pytest.raises(InputError, match="differ in size"):
        distance(a, b)


@pytest.mark.parametrize("text", ["", " \n ", "a\n" * 9])
def test_no_prompt_or_too_many_are_refused(text):
    with pytest.raises(InputError, match="1 to 8 prompts"):
        prompts_of_text(text)
