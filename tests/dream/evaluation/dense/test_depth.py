"""Depth: errors by hand, the loss's invariance, training on shapes, and NYUv2's layouts."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dream.data.report import reports_made
from dream.errors import InputError
from dream.evaluation.dense.depth import INVARIANCE, MEASURES, DepthSettings, errors, scale_invariant_loss
from dream.evaluation.dense.nyu_pairs import nyu_pairs
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

QUICK = DepthSettings(epochs=1, pictures=64, test_pictures=32, batch_size=16, channels=8)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def test_errors_by_hand():
    target = np.array([[[1.0, 2.0], [0.0, 11.0]], [[0.0, 0.0], [0.0, 20.0]]])  # the second has nothing to measure
    predicted = np.array([[[1.0, 4.0], [5.0, 5.0]], [[1.0, 1.0], [1.0, 1.0]]])
    ((rmse, within, relative, second, third, log10),) = errors(predicted, target, 10.0)
    assert rmse == pytest.approx(2**0.5) and within == 0.5 and relative == 0.5
    assert second == third == 0.5 and log10 == pytest.approx(np.log10(2) / 2)
    assert errors(target, target, 10.0).tolist() == [[0.0, 1.0, 0.0, 1.0, 1.0, 0.0]]


def test_rmse_is_sklearns():
    from sklearn.metrics import mean_absolute_percentage_error, root_mean_squared_error

    draws = np.random.default_rng(0)
    predicted, target = draws.uniform(0.5, 9, (2, 3, 6, 6))
    for row, found in enumerate(errors(predicted, target, 10.0)):
        flat = target[row].ravel(), predicted[row].ravel()
        assert found[0] == pytest.approx(root_mean_squared_error(*flat))
        assert found[2] == pytest.approx(mean_absolute_percentage_error(*flat))


def test_the_loss_forgives_a_share_of_the_scale_and_ignores_unknown_pixels():
    loss, target = scale_invariant_loss(10.0), torch.rand(2, 5, 5) + 0.5
    outputs = target.log()[:, None]
    assert float(loss(outputs, target)) == pytest.approx(0.0, abs=1e-9)
    assert float(loss(outputs + 0.3, target)) == pytest.approx((1 - INVARIANCE) * 0.3**2, rel=1e-4)
    noisy, unknown = (outputs + torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(0)), target.clone())
    unknown[:, :2] = 0
    torch.testing.assert_close(loss(noisy, unknown), loss(noisy[:, :, 2:], target[:, 2:]))
    nothing = loss(noisy.requires_grad_(), torch.zeros_like(target))
    nothing.backward()
    assert float(nothing.detach()) == 0.0 and not noisy.grad.any()


@pytest.mark.parametrize("changes", [{}, {"head": "conv"}, {"frozen": False}])
def test_a_head_is_trained_and_the_model_left_as_it_was(pretrained, changes):
    before = {name: value.clone() for name, value in pretrained.model.state_dict().items()}
    settings = replace(QUICK, **changes)
    found = settings.measure(pretrained)
    assert [m.name for m in found] == list(MEASURES)
    assert MEASURES[:3] == ("RMSE", "within 1.25", "relative error")
    assert all(m.estimate.low <= m.estimate.value <= m.estimate.high for m in found)
    assert by_name(found)["RMSE"].count == 32
    assert found == settings.measure(pretrained)
    assert all(torch.equal(before[name], value) for name, value in pretrained.model.state_dict().items())


def test_training_makes_it_better(pretrained):
    settings = replace(QUICK, pictures=200)
    little, much = (replace(settings, epochs=n).measure(pretrained) for n in (1, 30))
    assert by_name(much)["RMSE"].high < by_name(little)["RMSE"].low


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "depth.batch_size must be at least 2"),
        ({"head": "upernet"}, "one of linear, conv, got 'upernet'"),
        ({"max_depth": 0.0}, "depth.max_depth"),
    ],
)
def test_settings_out_of_range_are_refused(pretrained, changes, message):
    with pytest.raises(InputError, match=message):
        replace(QUICK, **changes).measure(pretrained)


# NYUv2


def nyu(root, count=4):
    """Rooms that are 2 m deep on the left and 5 m on the right; some pixels unknown."""
    for split in ("train", "test"):
        room = root / split / "kitchen_0001"
        room.mkdir(parents=True)
        for i in range(count):
            pixels = np.full((48, 64, 3), 30 * i, np.uint8)
            pixels[:, 32:] = (200, 30, 220)
            millimetres = np.where(np.arange(64) < 32, 2000, 5000).astype(np.uint16)[None].repeat(48, 0)
            millimetres[:4] = 0
            Image.fromarray(pixels).save(room / f"rgb_{i:05d}.jpg")
            name = "sync_depth" if split == "train" else "depth"
            Image.fromarray(millimetres).save(room / f"{name}_{i:05d}.png")
    return root


def test_nyu_pairs_are_read_and_what_is_broken_is_named(pretrained, tmp_path):
    room = nyu(tmp_path) / "train" / "kitchen_0001"
    (room / "sync_depth_00000.png").write_bytes(b"\x89PNG broken")
    (room / "sync_depth_00001.png").unlink()
    Image.fromarray(np.ones((48, 64), np.uint16)).save(room / "depth_00002.png")  # the synchronised one counts
    with reports_made() as reports:
        found = replace(QUICK, epochs=60, lr=1e-2).measure(pretrained, data=str(tmp_path))
    told = {key: detail for report in reports for _, _, key, detail in report.problems()}
    assert told.keys() == {"kitchen_0001/00000", "kitchen_0001/00001"}
    assert by_name(found)["RMSE"].value < 1.4 and by_name(found)["RMSE"].count == 4
    assert nyu_pairs(tmp_path, "train")[1].map.name == "sync_depth_00002.png"


def test_only_known_depths_up_to_the_farthest_count(pretrained, tmp_path):
    nyu(tmp_path)
    settings = replace(QUICK, max_depth=1.0)
    with pytest.raises(InputError, match=r"no readable test picture with depths in \(0, 1\]"):
        settings.measure(pretrained, data=str(tmp_path))


def test_a_folder_of_another_layout_is_refused(pretrained, tmp_path):
    with pytest.raises(InputError, match="rgb_NAME.jpg"):
        QUICK.measure(pretrained, data=str(tmp_path))
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="0 pictures, 0 depth files"):
        QUICK.measure(pretrained, data=str(tmp_path))


def test_the_mat_file_needs_h5py(pretrained, tmp_path, monkeypatch):
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="pip install h5py"):
        QUICK.measure(pretrained, data=str(tmp_path))


def test_the_mat_file_is_read_by_its_split(pretrained, tmp_path):
    h5py = pytest.importorskip("h5py")
    from scipy.io import savemat

    path = tmp_path / "nyu_depth_v2_labeled.mat"
    metres = np.where(np.arange(64) < 32, 2.0, 5.0).astype(np.float32)[None].repeat(48, 0)
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = (200, 30, 220)
    with h5py.File(path, "w") as file:
        file["images"] = np.stack([picture.transpose(2, 1, 0)] * 12)
        file["depths"] = np.stack([metres.T] * 12)
    settings = replace(QUICK, epochs=60, lr=1e-2)
    savemat(tmp_path / "splits.mat", {"trainNdxs": np.arange(1, 9)[:, None], "testNdxs": [[9], [12]]})
    for data in (tmp_path, path):
        found = by_name(settings.measure(pretrained, data=str(data)))
        assert found["RMSE"].count == 2 and found["RMSE"].value < 1.4
    (tmp_path / "splits.mat").write_bytes(b"nothing")
    with pytest.raises(InputError, match="splits.mat"):
        settings.measure(pretrained, data=str(path))
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        settings.measure(pretrained, data=str(path))


def test_protocol_depths_and_split_are_named_and_the_border_counts_only_for_the_whole_picture(pretrained, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "nyu.mat", "w") as file:
        file["images"] = np.zeros((12, 3, 64, 48), np.uint8)
        file["depths"] = np.full((12, 64, 48), 5.0, np.float32)
        border = np.zeros((12, 64, 48), np.float32)
        border[:, :, :4] = 0.5
        file["rawDepths"] = border

    def measured(**changes):
        return replace(QUICK, **changes).measure(pretrained, data=str(tmp_path))

    for changes, depths in (({"protocol": "whole"}, "raw"), ({"values": "inpainted"}, "inpainted")):
        named = {"protocol": "bts", **changes, "depths": depths, "split": "a fifth, no splits.mat"}
        named.pop("values", None)
        assert all(named.items() <= measure.where.items() for measure in measured(**changes))
    with pytest.raises(InputError, match="no readable test picture"):
        measured()
    assert "protocol" not in QUICK.measure(pretrained)[0].where


def test_a_folder_of_pairs_has_a_protocol_and_its_own_depths(pretrained, tmp_path):
    where = QUICK.measure(pretrained, data=str(nyu(tmp_path)))[0].where
    assert where["protocol"] == "bts" and "depths" not in where
    with pytest.raises(InputError, match="depth.values=raw is for NYUv2's .mat"):
        replace(QUICK, values="raw").measure(pretrained, data=str(tmp_path))
