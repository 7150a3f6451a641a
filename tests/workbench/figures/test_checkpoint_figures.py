"""Figures of checkpoints: what they draw is what was given, axes carry units, and nothing to draw is said."""

import math
from dataclasses import replace

import numpy as np
import pytest
from plotly.graph_objects import Figure

from tests.workbench.checkpoints.checkpoint_files import done, write_pth, write_safetensors
from workbench.checkpoints import positions
from workbench.checkpoints.difference import Distance
from workbench.checkpoints.files import Part, open_checkpoint
from workbench.checkpoints.history import History, Scale
from workbench.checkpoints.optimizer import OptimizerMoments
from workbench.checkpoints.statistics import measure_part, statistics_by_layer
from workbench.figures import checkpoint_positions, checkpoint_tree, checkpoints


@pytest.fixture
def part(tmp_path) -> Part:
    """Weights of a small file."""
    return open_checkpoint(write_safetensors(tmp_path / "a.safetensors")).weights


def said(figure: Figure) -> str:
    """What an empty figure says."""
    return figure.layout.annotations[0].text


def test_the_trees_rectangles_add_up_and_name_their_tensors(part):
    tree = checkpoint_tree.plot_tree(part).data[0]
    sizes = dict(zip(tree.ids, tree.values, strict=True))
    leaves = {id for id in tree.ids if id.startswith("tensor:")}
    assert leaves == {f"tensor:{entry.name}" for entry in part.entries}
    assert sum(sizes[leaf] for leaf in leaves) == sizes["part:weights"] == part.bytes
    for id in set(tree.parents) - {""}:
        children = [sizes[i] for i, above in zip(tree.ids, tree.parents, strict=True) if above == id]
        assert sum(children) == sizes[id]
    leaf = "tensor:encoder.blocks.0.attn.qkv.bias"
    assert checkpoint_tree.plot_tree(part, leaf).data[0].level == "layer:encoder.blocks.0"
    assert checkpoint_tree.plot_tree(part, "layer:encoder").data[0].level == "layer:encoder"
    assert checkpoint_tree.plot_tree(part, "layer:of another file").data[0].level is None
    assert checkpoint_tree.clicked_name("tensor:a.b") == ("tensor", "a.b")
    assert len(set(tree.ids)) == len(tree.ids)


def test_a_tree_of_the_authors_parts_can_be_drawn(tmp_path):
    for part in open_checkpoint(write_pth(tmp_path / "a.pth")).parts:
        tree = checkpoint_tree.plot_tree(part).data[0]
        assert set(tree.parents) - {""} <= set(tree.ids)


def test_norms_magnitudes_and_histograms_show_what_was_measured(part):
    measured = done(lambda work: measure_part(part, work))
    layers = statistics_by_layer(measured)
    norms = checkpoints.plot_norms(layers)
    assert list(norms.data[0].x) == [layer.rms for layer in layers]
    assert norms.layout.xaxis.title.text == "value (log scale)"
    shares = np.array(checkpoints.plot_magnitudes(layers).data[0].z)
    assert np.allclose(shares.sum(axis=1), 1, atol=0.05)
    bars = checkpoints.plot_histogram(measured[0])
    assert sum(bars.data[0].y) == measured[0].count and bars.layout.yaxis.title.text == "count"
    assert checkpoints.plot_histogram(measured[0], log=True).layout.yaxis.type == "log"


def test_distances_equal_and_infinite_ones_do_not_break_the_log_axis():
    rows = [
        Distance("a", 3, 4.0, 4.0, 1.0, 3.5, 0.5),
        Distance("b", 3, 4.0, 4.0, 0.0, 4.0, 0.0),
        Distance("c", 3, 0.0, 4.0, 4.0, 0.0, 1.0),
    ]
    relative, angle = checkpoints.plot_distances(rows).data
    assert relative.x == (0.5, None, None) and angle.x == (0.125, None, None)


def test_moments_losses_and_scales_are_drawn_by_name():
    row = OptimizerMoments("a.0", "two", 3.0, 4, 0.5, 1.0, 0)
    figure = checkpoints.plot_moments([row, replace(row, parameter="b", gradient=math.nan)])
    assert [trace.name for trace in figure.data] == ["momentum", "recent gradients"]
    past = History(
        5,
        [{"step": 1, "generative_loss": 2.0, "contrastive_loss": None}],
        [{"step": 1, "loss": 3.0}],
        [Scale(5, "raw", 14.0), Scale(5, "averaged", 13.0)],
    )
    assert [trace.name for trace in checkpoints.plot_history(past).data] == ["generative", "validation, both losses"]
    assert [trace.name for trace in checkpoints.plot_scales(past).data] == ["raw", "averaged"]
    assert "1 / temperature" in checkpoints.plot_scales(past).layout.yaxis.title.text


def test_nothing_to_draw_is_said(part):
    nothing = History(0, [], [], [])
    empty = replace(done(lambda work: measure_part(part, work))[0], rms=math.nan)
    for figure in (
        checkpoint_tree.plot_tree(Part("x", ())),
        checkpoints.plot_norms([]),
        checkpoints.plot_magnitudes([]),
        checkpoints.plot_distances([]),
        checkpoints.plot_moments([]),
        checkpoints.plot_history(nothing),
        checkpoints.plot_scales(nothing),
        checkpoints.plot_histogram(empty),
    ):
        assert said(figure).endswith(".")


@pytest.mark.parametrize("side", [0, 3])
def test_position_figures_cover_the_grid_and_carry_the_position_to_click(side):
    table = positions.on_grid(np.random.default_rng(0).normal(size=(9, 5)), side)
    scores, variance = positions.components(table)
    cosines = positions.similarities(table)
    figure = checkpoint_positions.plot_similarity(cosines, table, 4)
    assert np.array(figure.data[0].z).shape == (table.rows, table.columns)
    assert list(figure.data[-1].customdata) == list(range(9)) and figure.data[-1].opacity == 0
    assert (figure.data[1].y[0], figure.data[1].x[0]) == table.place(4)
    tiles = checkpoint_positions.plot_mosaic(positions.mosaic(cosines, table), table)
    assert list(tiles.data[-1].customdata) == list(range(9))
    component = checkpoint_positions.plot_component(scores[:, 0], table, "Component 1")
    assert component.layout.title.text == "Component 1"
    colours = positions.as_colours(scores, table)
    assert "variance" in checkpoint_positions.plot_colours(colours, table, variance).layout.title.text
    pairs = checkpoint_positions.plot_pairs(cosines, "pairs")
    assert pairs.layout.xaxis.title.text == pairs.layout.yaxis.title.text == "position"
