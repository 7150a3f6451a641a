"""The checkpoint browser: what it shows is what the files hold, and its controls change it."""

import math
import time

import numpy as np
import pytest
import torch

from dream.errors import InputError
from tests.workbench.checkpoints.checkpoint_files import weights, write_pth, write_safetensors
from workbench.widgets import checkpoint as browsers
from workbench.widgets import checkpoint_browser


@pytest.fixture
def path(tmp_path):
    return write_safetensors(tmp_path / "weights.safetensors")


def test_headers_are_a_row_a_tensor_and_values_follow(path):
    browser = checkpoint_browser(path)
    assert set(browser.result["name"]) == set(weights())
    table = browser.wait().result.set_index("name")
    for name, tensor in weights().items():
        row = table.loc[name]
        assert (row["shape"], row["values"], row["dtype"]) == (tuple(tensor.shape), tensor.numel(), "float32")
        assert row["norm"] == pytest.approx(float(tensor.norm()))
        assert (row["min"], row["max"]) == pytest.approx((float(tensor.min()), float(tensor.max())))
    assert table.loc["encoder.blocks.10.mlp.weight", "layer"] == "encoder.blocks.10"
    assert not browser.running


def test_the_shipped_model_is_opened_by_name():
    browser = checkpoint_browser("demo").wait()
    assert browser.checkpoint.paintable and browser.result["nonfinite"].sum() == 0


def test_a_chosen_tensor_has_its_histogram(path):
    browser = checkpoint_browser(path).wait()
    browser.controls["tensor"].value = "encoder.blocks.2.mlp.weight"
    (bars,) = browser._tensors.histogram.data
    assert sum(bars.y) == 16
    browser.controls["log"].value = True
    assert browser._tensors.histogram.layout.yaxis.type == "log"


def test_find_narrows_the_list_and_a_click_in_the_tree_chooses(path):
    browser = checkpoint_browser(path).wait()
    browser.controls["find"].value = "BLOCKS.0"
    assert [name for _, name in browser.controls["tensor"].options] == [
        "encoder.blocks.0.attn.qkv.bias",
        "encoder.blocks.0.attn.qkv.weight",
    ]
    browser._clicked("tensor", "logit_scale")
    assert browser.controls["tensor"].value == "logit_scale" and not browser.controls["find"].value
    browser._clicked("layer", "encoder.blocks.10")
    assert browser.controls["tensor"].value == "encoder.blocks.10.mlp.weight"
    browser.controls["find"].value = "nothing like it"
    assert browser.controls["tensor"].value is None and not browser._note.value


def test_layers_show_what_was_measured(path):
    browser = checkpoint_browser(path).wait()
    browser.controls["view"].value = "Layers"
    rms = browser._layers.norms.data[0]
    at = list(rms.y).index("encoder.blocks.2")
    wanted = weights()["encoder.blocks.2.mlp.weight"].square().mean().sqrt()
    assert rms.x[at] == pytest.approx(float(wanted))
    assert len(browser.statistics) == len(weights())


def test_parts_are_read_when_chosen_and_averages_compared(tmp_path):
    browser = checkpoint_browser(write_pth(tmp_path / "theirs.pth")).wait()
    browser.controls["view"].value = "Averaged"
    browser.wait()
    assert all(row.relative == pytest.approx(1.0) for row in browser.averaged.distances)  # twice as large
    assert len(browser._averages.distances.data) == 2
    browser.controls["view"].value = "Tensors"
    browser.controls["part"].value = "optimizer"
    browser.wait()
    assert sorted(browser.result["rms"]) == pytest.approx([1.0, 3.0, 4.0])
    assert browser.controls["part"].options == ("model", "model_ema", "optimizer")


def test_without_averages_it_says_so(path):
    browser = checkpoint_browser(path).wait()
    browser.controls["view"].value = "Averaged"
    assert browser.averaged is None and "one set of weights" in browser._averages._words.value


def test_the_difference_is_a_row_a_layer_and_a_figure(path, tmp_path):
    other = dict(weights())
    other["encoder.blocks.2.mlp.weight"] = other["encoder.blocks.2.mlp.weight"] * 1.5
    browser = checkpoint_browser(path)
    table = browser.difference(write_safetensors(tmp_path / "b.safetensors", other)).set_index("name")
    assert table.loc["encoder.blocks.2", "relative"] == pytest.approx(0.5)
    assert table["equal"].sum() == len(table) - 1
    assert browser.controls["view"].value == "Difference"
    assert list(browser._differences.distances.data[0].y) == ["encoder.blocks.2"]
    assert len(browser.wait().statistics) == len(weights())  # reading went on


def test_positions_are_pictures_and_a_click_chooses_one(path):
    browser = checkpoint_browser(path).wait()
    browser.controls["view"].value = "Positions"
    view = browser._positions
    assert (browser.controls["table"].value, browser.controls["side"].value) == ("encoder.positions", 3)
    assert np.shape(view.similarity.data[0].z) == (3, 3)
    view._click(view.tiles.data[-1], _Points([2]), None)
    assert browser.controls["position"].value == 2
    assert np.asarray(view.similarity.data[0].z, float)[0, 2] == pytest.approx(1.0)
    gaps = [z for row in view.tiles.data[0].z for z in row if z is None]
    assert len(gaps) == 11 * 11 - 81  # JSON has no NaN
    browser.controls["side"].value = 0
    assert len(view.similarity.data[0].z[0]) == 11 and not browser._note.value


def test_a_large_part_waits_for_the_button(path, monkeypatch):
    monkeypatch.setattr(browsers, "SMALL", 10)
    browser = checkpoint_browser(path)
    assert not browser.running and "norm" not in browser.result
    assert browser.controls["read"].layout.display == "flex"
    browser.controls["read"].click()
    assert browser.wait().result["norm"].notna().all()
    assert browser.controls["read"].layout.display == "none"


def test_stopped_reading_goes_on_where_it_was(tmp_path):
    tensors = {f"layer.{i}.weight": torch.full((1024, 1024), float(i)) for i in range(40)}
    browser = checkpoint_browser(write_safetensors(tmp_path / "large.safetensors", tensors))
    while browser.running and len(browser.statistics) < 3:
        time.sleep(0.05)
    browser.cancel()
    browser.wait()
    known = len(browser.statistics)
    browser.controls["read"].click()
    assert len(browser.wait().statistics) == 40
    assert 0 < known <= 40


def test_what_is_broken_is_named(tmp_path):
    tensors = {"a.weight": torch.tensor([[1.0, math.nan], [0.0, 0.0]]), "b.bias": torch.zeros(3)}
    browser = checkpoint_browser(write_safetensors(tmp_path / "bad.safetensors", tensors)).wait()
    problems = browser.result.set_index("name")["problems"]
    assert "1 NaN" in problems["a.weight"] and problems["b.bias"] == "constant 0"
    browser.controls["view"].value = "Layers"
    assert "a.weight" in browser._layers._health.value


def test_what_is_no_checkpoint_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "no.bin").write_text("no weights")
    for wrong in (tmp_path / "no.bin", tmp_path / "missing"):
        with pytest.raises(InputError):
            checkpoint_browser(wrong)


class _Points:
    """What plotly tells of a click."""

    def __init__(self, places):
        self.point_inds = places
