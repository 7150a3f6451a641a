"""Segmentation: scores against reference implementations, heads and their training, and ADE20K's layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import dream  # noqa: F401  before torchmetrics, which imports torchvision
from dream.data.drawn.grammar import is_held_out
from dream.data.report import reports_made
from dream.errors import InputError
from dream.evaluation.dense import training as dense
from dream.evaluation.dense.ade20k import IGNORE, ade_classes, ade_names
from dream.evaluation.dense.blocks import BlockMaps, four_blocks
from dream.evaluation.dense.data import DensePictures, drawn_pictures
from dream.evaluation.dense.heads import ConvHead, LinearHead, UPerHead, pixels_per_token
from dream.evaluation.dense.segmentation import SegmentationSettings, class_ious, iou_measures, mean_iou, pixel_counts
from dream.model.encoder import equal_groups
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

QUICK = SegmentationSettings(epochs=1, pictures=64, test_pictures=32, batch_size=16, channels=8)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


# scores


def random_maps(classes=4, seed=0):
    draws = np.random.default_rng(seed)
    predicted, target = draws.integers(0, classes, (2, 6, 9, 9))
    target[draws.random(target.shape) < 0.2] = IGNORE
    return predicted, np.where(target == classes - 1, 0, target)  # the last class is only ever predicted


def test_iou_and_accuracy_are_sklearns():
    from sklearn.metrics import accuracy_score, jaccard_score

    predicted, target = random_maps()
    counts, there = pixel_counts(predicted, target, 4), target != IGNORE
    flat = target[there], predicted[there]
    np.testing.assert_allclose(class_ious(counts.sum(0)), jaccard_score(*flat, average=None, labels=range(4)))
    assert mean_iou(counts.sum(0)) == pytest.approx(jaccard_score(*flat, average="macro"))
    found = by_name(iou_measures(counts, (), {}))
    assert found["pixel accuracy"].value == pytest.approx(accuracy_score(*flat))
    assert found["mIoU"].low < found["mIoU"].value < found["mIoU"].high and found["mIoU"].count == 6
    for row in range(6):
        own = jaccard_score(*(m[row][there[row]] for m in (target, predicted)), average=None, labels=range(4))
        np.testing.assert_allclose(class_ious(counts[row]), own)


def test_mean_iou_is_torchmetrics():
    from torchmetrics.functional.classification import multiclass_jaccard_index

    predicted, target = random_maps(seed=1)
    theirs = multiclass_jaccard_index(
        torch.from_numpy(predicted), torch.from_numpy(target), num_classes=4, ignore_index=IGNORE
    )
    assert mean_iou(pixel_counts(predicted, target, 4).sum(0)) == pytest.approx(float(theirs), abs=1e-6)


def test_a_hand_counted_picture():
    predicted, target = np.array([[[0, 0], [1, 1]]]), np.array([[[0, 1], [1, IGNORE]]])
    counts = pixel_counts(predicted, target, 3)
    assert counts.tolist() == [[[1, 1, 0], [2, 1, 0], [1, 2, 0]]]
    assert class_ious(counts[0])[:2].tolist() == [0.5, 0.5] and np.isnan(class_ious(counts[0])[2])
    assert mean_iou(counts[0]) == 0.5
    assert by_name(iou_measures(counts, ("a", "b", "c"), {}), **{"class": "c"}) == {}


def test_perfect_predictions_score_one():
    target = random_maps()[1]
    counts = pixel_counts(np.where(target == IGNORE, 0, target), target, 4)
    assert mean_iou(counts.sum(0)) == 1.0


# features and heads


def test_maps_are_the_patch_features_and_the_blocks_outputs(pretrained):
    config = replace(pretrained.config, encoder=replace(pretrained.config.encoder, depth=3))
    with torch.random.fork_rng([]):
        deeper = replace(pretrained, config=config, model=type(pretrained.model)(config).eval())
    images = drawn_pictures(1, 30, 5, "test", 0, lambda key: key.segmentation).load(range(5))[0]
    first, last = BlockMaps(deeper, (2, 3), frozen=True)(images)
    tokens = deeper.image_tokenizer.tokenize(images)
    patches = deeper.model.encode(tokens, torch.zeros(tokens.shape[:2], dtype=torch.bool))[:, -25:]
    torch.testing.assert_close(last.flatten(2).transpose(1, 2), patches)
    groups = equal_groups(torch.zeros(tokens.shape[:2], dtype=torch.bool))
    middle = deeper.model.encoder(tokens, groups, 2).middle.view(5, -1, 32)[:, -25:]
    torch.testing.assert_close(first.flatten(2).transpose(1, 2), middle.detach())
    assert not any(block._forward_hooks for block in deeper.model.encoder.blocks)
    assert four_blocks(config) == (1, 2, 2, 3) and four_blocks(pretrained.config) == (1, 1, 1, 1)


def test_an_output_for_each_pixel_lies_where_its_token_is():
    """A head that copies the token's own numbers puts every pixel back."""
    head = LinearHead(36, 1, 6)
    with torch.no_grad():
        head.norm.eval()
        head.project.weight.copy_(torch.eye(36)[:, :, None, None])
        head.project.bias.zero_()
    picture = torch.randn(2, 1, 30, 30)
    tokens = nn.functional.pixel_unshuffle(picture, 6)  # (2, 36, 5, 5)
    torch.testing.assert_close(head([tokens], 30) * (1 + 1e-5) ** 0.5, picture)


@pytest.mark.parametrize("grid", [1, 5, 16])
def test_every_head_has_an_output_for_each_pixel(grid):
    maps, size = [torch.randn(2, 8, grid, grid) for _ in range(4)], 6 * grid
    for head in (LinearHead(8, 3, 6), LinearHead(8, 3, None), ConvHead(8, 3, 6, 4), UPerHead(8, 3, 4)):
        assert head(maps, size).shape == (2, 3, size, size)
        head(maps, size).sum().backward()
        assert all(p.grad is not None for p in head.parameters())


def test_small_pictures_get_an_output_a_pixel_by_default(pretrained):
    image = pretrained.config.image
    assert pixels_per_token(image, "auto") == pixels_per_token(image, "pixels") == 6
    assert pixels_per_token(image, "bilinear") is None
    large = replace(image, size=256, patch_size=1, stride=16, channels=16, tokenizer="sd-vae")
    assert pixels_per_token(large, "auto") is None and pixels_per_token(large, "pixels") == 16


# the task


@pytest.mark.parametrize("changes", [{}, {"head": "upernet"}, {"frozen": False}, {"upsampling": "bilinear"}])
def test_a_head_is_trained_and_the_model_left_as_it_was(pretrained, changes):
    before = {name: value.clone() for name, value in pretrained.model.state_dict().items()}
    settings = replace(QUICK, **changes)
    random = torch.get_rng_state()
    found = settings.measure(pretrained)
    assert torch.equal(random, torch.get_rng_state())
    assert {m.where.get("class") for m in found} == {None, "ground", "circle", "square", "triangle", "cross"}
    assert all(0 <= m.estimate.low <= m.estimate.value <= m.estimate.high <= 1 for m in found)
    assert found == settings.measure(pretrained)
    assert all(torch.equal(before[name], value) for name, value in pretrained.model.state_dict().items())
    assert not pretrained.model.training and all(p.grad is None for p in pretrained.model.parameters())


def test_training_makes_it_better(pretrained):
    settings = replace(QUICK, pictures=200, per_class=False, lr=1e-2)
    little, much = (replace(settings, epochs=n).measure(pretrained) for n in (1, 20))
    assert by_name(much)["mIoU"].value > by_name(little)["mIoU"].value + 0.02
    assert [m.name for m in much] == ["mIoU", "pixel accuracy"]


def test_kept_and_fresh_features_train_the_same_head(pretrained, monkeypatch):
    kept = QUICK.measure(pretrained)
    monkeypatch.setattr(dense, "FEATURE_BYTES", 0)
    fresh = QUICK.measure(pretrained)
    assert by_name(fresh)["mIoU"].value == pytest.approx(by_name(kept)["mIoU"].value, abs=1e-3)


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 5]), (8, [4, 4]), (10, [4, 4, 2]), (1, [1]), (5, [5]), (0, [])])
def test_a_last_batch_of_one_joins_the_one_before(count, sizes):
    batches = list(dense._batches(count, replace(QUICK, batch_size=4, epochs=1), 0))
    assert [len(rows) for rows in batches if len(rows)] == sizes
    assert sorted(torch.cat(batches).tolist()) == list(range(count)) if count else True


def test_half_of_the_test_pictures_are_unseen_combinations():
    scenes = {}
    for split in ("train", "test"):
        drawn_pictures(1, 30, 8, split, 0, lambda key, s=split: scenes.update({s: key.scenes}) or key.depth)
    assert [is_held_out(scene) for scene in scenes["test"]] == [False, True] * 4
    assert not any(map(is_held_out, scenes["train"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "segmentation.epochs must be at least 1, got 0"),
        ({"lr": 0.0}, "segmentation.lr must be above 0"),
        ({"warmup": 1.0}, "segmentation.warmup"),
        ({"head": "unet"}, "one of linear, upernet, got 'unet'"),
        ({"upsampling": "nearest"}, "segmentation.upsampling"),
    ],
)
def test_settings_out_of_range_are_refused(pretrained, changes, message):
    with pytest.raises(InputError, match=message):
        replace(QUICK, **changes).measure(pretrained)


# ADE20K


def ade20k(root, count=4):
    """Pictures whose left half is of class 3 and whose right half of class 150, the top rows unlabelled."""
    for split in ("training", "validation"):
        images, annotations = root / "images" / split, root / "annotations" / split
        images.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for i in range(count):
            pixels = np.full((60, 80, 3), 20 * i, np.uint8)
            pixels[:, 40:] = (250, 20, 20)
            values = np.where(np.arange(80) < 40, 3, 150).astype(np.uint8)[None].repeat(60, 0)
            values[:10] = 0
            Image.fromarray(pixels).save(images / f"ADE_{split}_{i}.jpg")
            Image.fromarray(values).save(annotations / f"ADE_{split}_{i}.png")
    return root


def test_ade20k_is_read_and_what_is_broken_is_named(pretrained, tmp_path):
    training = ade20k(tmp_path) / "images" / "training"
    annotations = tmp_path / "annotations" / "training"
    (training / "ADE_training_0.jpg").write_bytes(b"\xff\xd8 cut")
    Image.new("L", (10, 10)).save(annotations / "ADE_training_1.png")
    Image.new("RGB", (80, 60)).save(annotations / "ADE_training_2.png")
    for extra in range(4, 8):
        (training / f"ADE_training_{extra}.jpg").write_bytes((training / "ADE_training_3.jpg").read_bytes())
    for extra in range(5, 8):
        source = annotations / "ADE_training_3.png"
        (annotations / f"ADE_training_{extra}.png").write_bytes(source.read_bytes())
    Image.fromarray(np.full((60, 80), 151, np.uint8)).save(annotations / "ADE_training_7.png")
    (tmp_path / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tName\n3\t0.1\t1\t1\tsky\n")
    settings = replace(QUICK, epochs=30, lr=1e-2)
    with reports_made() as reports:
        found = settings.measure(pretrained, data=str(tmp_path))
    told = {key: detail for report in reports for _, _, key, detail in report.problems()}
    assert told.keys() == {f"ADE_training_{i}" for i in (0, 1, 2, 4, 7)}
    assert "10 x 10" in told["ADE_training_1"] and "channels" in told["ADE_training_2"]
    assert "no map" in told["ADE_training_4"] and "class 151" in told["ADE_training_7"]
    assert {m.where.get("class") for m in found} >= {None, "sky", "150"}
    assert by_name(found)["pixel accuracy"].value > 0.8 and by_name(found)["mIoU"].count == 4


def test_a_folder_of_another_layout_is_refused(pretrained, tmp_path):
    with pytest.raises(InputError, match="annotations/training"):
        QUICK.measure(pretrained, data=str(tmp_path))
    ade20k(tmp_path)
    for path in (tmp_path / "annotations" / "training").iterdir():
        path.rename(path.with_stem("other_" + path.stem))
    with pytest.raises(InputError, match="4 pictures, 4 maps"):
        QUICK.measure(pretrained, data=str(tmp_path))


def test_pictures_that_are_all_broken_are_an_error(pretrained, tmp_path):
    ade20k(tmp_path)
    for path in (tmp_path / "images" / "training").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="fewer than two training pictures .*no bytes"):
        QUICK.measure(pretrained, data=str(tmp_path))


def test_numbers_of_ade20k_start_at_one(tmp_path):
    assert ade_classes(np.array([[0, 1, 150]], np.uint8)).tolist() == [[IGNORE, 0, 149]]
    assert ade_names(tmp_path)[149] == "150"


def test_pictures_are_read_once_where_they_fit():
    read = []

    def example(row):
        read.append(row)
        return np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4), np.uint8)

    kept = DensePictures(["a", "b"], example, 1)
    for _ in range(2):
        assert kept.load([1, 0])[0].shape == (2, 3, 4, 4)
    assert sorted(read) == [0, 1]
