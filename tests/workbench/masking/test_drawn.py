"""The ratios of a run come from its log, damaged or not, and are compared with the closed form."""

import numpy as np
import pytest

from dream.errors import InputError
from dream.presets import preset
from dream.pretrained import SHIPPED
from dream.training.run_log import RunLog
from workbench.masking.drawn import drawn_table, drawn_windows, near, read_drawn
from workbench.masking.study import at_moment, true_mean


@pytest.fixture
def run(tmp_path):
    """A run of tiny with two rows of ratios."""
    log = RunLog(tmp_path)
    log.record({"config": preset("tiny").to_dict(), "history": []})
    log.row("train", 10, progress=0.1, mask_ratios=[0.0, 0.5])
    log.row("validation", 10, loss=1.0)
    log.row("train", 20, progress=1.0, mask_ratios=[0.9, 0.7])
    return tmp_path


def test_reads_ratios_with_their_moments_and_the_configuration(run):
    drawn = read_drawn(run, "mine")
    assert drawn.progress.tolist() == [0.1, 0.1, 1.0, 1.0]
    assert drawn.ratios.tolist() == [0.0, 0.5, 0.9, 0.7]
    assert drawn.config == preset("tiny") and drawn.name == "mine"


def test_a_cut_last_line_and_rows_without_ratios_are_passed_over(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 30}\n{"kind": "train", "step": 40, "progr')
    assert len(read_drawn(run).ratios) == 4


def test_windows_hold_every_draw_once(run):
    found = drawn_windows(read_drawn(run), 10)
    assert [(middle, count) for middle, _, _, count in found] == [(0.15, 2), (0.95, 2)]
    assert [mean for _, mean, _, _ in found] == pytest.approx([0.25, 0.8])
    assert found[0][2].contrast == 1 and found[1][2].generation == 1


def test_near_a_moment_are_only_its_draws(run):
    drawn = read_drawn(run)
    assert near(drawn, 0.11).tolist() == [0.0, 0.5]
    assert not len(near(drawn, 0.5))


@pytest.mark.parametrize("damage", ["no log", "no record"])
def test_says_what_is_missing(run, damage):
    (run / ("metrics.jsonl" if damage == "no log" else "config.json")).unlink()
    with pytest.raises(InputError, match="no mask ratios yet" if damage == "no log" else "no such|missing|not"):
        read_drawn(run)


def test_the_shipped_model_drew_what_its_masking_says():
    drawn = read_drawn(SHIPPED["demo"], "demo")
    for middle, mean, _, count in drawn_windows(drawn, 8):
        assert count > 500
        assert mean == pytest.approx(true_mean(middle, drawn.config.masking, drawn.config.objective), abs=0.02)


def test_the_table_has_a_column_for_each_that_is_compared(run):
    config = preset("tiny")
    moment = at_moment(0.1, config.masking, config.objective, 25, draws=80)
    assert list(drawn_table(moment)) == ["", "closed form", "80 draws"]
    table = drawn_table(moment, read_drawn(run, "mine"))
    assert table["2 of mine"] == ["0.250", "100.0%", "50.0%", "50.0%"]
    empty = drawn_table(at_moment(0.5, config.masking, config.objective, 25, draws=8), read_drawn(run, "mine"))
    assert empty["0 of mine"] == ["-"] * 4
    assert np.all([len(column) == 4 for column in table.values()])
