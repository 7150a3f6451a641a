"""Statistics are those of the whole tensor, however it is cut, and memory does not grow with the file."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import workbench.checkpoints.statistics as module
from tests.workbench.checkpoints.checkpoint_files import done, write_header, write_pth, write_safetensors
from workbench.checkpoints.cache import DiskCache
from workbench.checkpoints.files import open_checkpoint
from workbench.checkpoints.optimizer import moments, moments_by_layer
from workbench.checkpoints.statistics import (
    BINS,
    CHUNK,
    TensorStatistics,
    edges,
    measure_part,
    statistics_by_layer,
    total,
)
from workbench.work import Work

ROOT = Path(__file__).parents[3]


def measured(tmp_path, **tensors: torch.Tensor) -> dict[str, TensorStatistics]:
    """Statistics of these tensors, through a file."""
    save_file(tensors, tmp_path / "a.safetensors")
    part = open_checkpoint(tmp_path / "a.safetensors").weights
    return {one.name: one for one in done(lambda work: measure_part(part, work))}


@pytest.mark.parametrize("chunk", [10**6, 64, 7])
def test_numbers_are_those_of_the_whole_tensor_however_it_is_cut(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
    one = measured(tmp_path, x=x)["x"]
    assert one.mean == pytest.approx(x.mean().item(), rel=1e-5)
    assert one.rms == pytest.approx(x.square().mean().sqrt().item(), rel=1e-5)
    assert one.norm == pytest.approx(x.norm().item(), rel=1e-5)
    assert (one.low, one.high) == (x.min().item(), x.max().item())
    assert sum(one.histogram) == sum(one.magnitudes) == x.numel()
    expected = torch.histc(x, BINS, x.min().item(), x.max().item())
    assert (torch.tensor(one.histogram) - expected).abs().sum() <= 2  # a value on a bin's edge
    assert edges(one)[0] == one.low and edges(one)[-1] == one.high


@pytest.mark.parametrize("chunk", [10**6, 12])
def test_what_is_not_finite_or_dead_is_counted(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    x = torch.ones(5, 6)
    x[1], x[:, 2], x[3, 3], x[4, 4], x[4, 5] = 0.0, 0.0, math.nan, math.inf, -math.inf
    found = measured(tmp_path, x=x, bias=torch.full((4,), 0.5), counter=torch.tensor([7, 7]))
    one = found["x"]
    assert (one.nans, one.infinities, one.zeros) == (1, 2, 10)
    assert (one.zero_rows, one.zero_columns) == (1, 1)
    assert one.mean == pytest.approx(x[x.isfinite()].mean().item())
    assert [word.split()[-1] for word in one.problems] == ["NaN", "infinite", "zero", "zero"]
    assert found["bias"].constant and found["bias"].problems == ["constant 0.5"]
    assert [layer.name for layer in statistics_by_layer(found.values())] == ["bias", "x"]  # counters are no weights
    assert total(list(found.values())).nonfinite == 3


def test_a_tensor_of_nothing_finite_and_an_empty_one_have_no_numbers(tmp_path):
    found = measured(tmp_path, x=torch.full((3,), math.nan), empty=torch.zeros(0, 4))
    for one in found.values():
        assert math.isnan(one.rms) and math.isnan(one.norm) and sum(one.histogram) == 0
    assert math.isnan(total(list(found.values())).rms)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8, torch.bool])
def test_narrow_and_whole_numbers_do_not_overflow(tmp_path, dtype):
    high = 1 if dtype == torch.bool else 200
    one = measured(tmp_path, x=torch.full((300, 300), high).to(dtype))["x"]
    assert one.mean == one.rms == high and one.zeros == 0


def test_magnitudes_are_those_of_the_logarithms():
    draws = torch.Generator().manual_seed(0)
    wide = torch.exp(20 * torch.randn(100_000, generator=draws)) * torch.randn(100_000, generator=draws).sign()
    edges = 10 ** torch.arange(-13, 7.25, 0.25)
    for values in (wide, edges, torch.cat([wide * 0, edges * 1e-30, torch.tensor([-0.0, 1e-45, 3e38])])):
        assert torch.equal(module._magnitudes(values), module._by_logarithm(values))


def test_huge_and_tiny_values_keep_their_norm(tmp_path):
    found = measured(tmp_path, huge=torch.full((8,), 3e38), tiny=torch.full((8,), 1e-30))
    assert found["huge"].rms == pytest.approx(3e38) and found["tiny"].rms == pytest.approx(1e-30)
    assert sum(found["huge"].magnitudes) == sum(found["tiny"].magnitudes) == 8


def test_statistics_survive_json(tmp_path):
    found = measured(tmp_path, x=torch.randn(3, 3))["x"]
    cache = DiskCache(tmp_path / "cache")
    cache.put(("a", "b"), found.to_dict())
    assert TensorStatistics.from_dict(cache.get("a", "b")) == found
    assert cache.get("a", "c") is None
    for path in (tmp_path / "cache").iterdir():
        path.write_text("{")
    assert cache.get("a", "b") is None


def test_findings_beyond_the_limit_go(tmp_path):
    cache = DiskCache(tmp_path / "cache", most=3)
    for number in range(6):
        cache.put((str(number),), number)
    assert len(list((tmp_path / "cache").iterdir())) == 3 and cache.get("5") == 5


def test_measuring_stops_when_asked(tmp_path):
    part = open_checkpoint(write_safetensors(tmp_path / "a.safetensors")).weights

    def begin(work: Work) -> object:
        work.cancel()
        return measure_part(part, work)

    assert Work(begin).wait(30).state == "cancelled"


def test_the_optimisers_state_is_a_row_a_parameter(tmp_path):
    part = open_checkpoint(write_pth(tmp_path / "a.pth")).optimizer
    (row,) = moments(done(lambda work: measure_part(part, work)))
    assert (row.parameter, row.step, row.momentum, row.gradient) == ("parameter 0", 3, 1, 2)
    assert row.agreement == 0.5
    ones = torch.ones(3)
    adam = {"a.0.w/exp_avg": ones, "a.0.w/exp_avg_sq": ones.clone(), "a.0.w/step": torch.tensor(4.0)}
    save_file({**adam, "a.0.v/momentum_buffer": ones * 7}, tmp_path / "o.safetensors")
    part = open_checkpoint(tmp_path / "o.safetensors").optimizer
    rows = moments(done(lambda work: measure_part(part, work)))
    assert {row.parameter: row.rule.split()[0] for row in rows} == {"a.0.w": "two", "a.0.v": "momentum"}
    (layer,) = moments_by_layer(rows)
    assert layer.parameter == "a.0" and layer.momentum == pytest.approx(5.0) and layer.gradient == 1.0


MEASURE = """
import resource, sys, torch
from pathlib import Path
torch.set_num_threads(1)
from workbench.checkpoints import reader as checkpoint_reader
from workbench.checkpoints import statistics as checkpoint_statistics
checkpoint_statistics.CHUNK = int(sys.argv[2])
from workbench.checkpoints.files import open_checkpoint
from workbench.work import Work
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
part = open_checkpoint(Path(sys.argv[1])).weights
work = Work(lambda work: checkpoint_statistics.measure_part(part, work)).wait(500)
assert work.error is None and len(work.result) == 1, work.error
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def added_kilobytes(tmp_path: Path, rows: int, chunk: int) -> int:
    """What measuring a sparse file of one tensor (rows, 1000) float64 adds to a process's memory."""
    size = 8000 * rows
    header = {"x": {"dtype": "F64", "shape": [rows, 1000], "data_offsets": [0, size]}}
    path = write_header(tmp_path / "big.safetensors", header)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(chunk)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


def test_memory_does_not_grow_with_the_file(tmp_path):
    """80 MB in pieces of 1 MB; the rest is what torch takes once."""
    assert added_kilobytes(tmp_path, 10_000, 2**17) < 40_000


@pytest.mark.slow
def test_a_gigabyte_takes_little_more_memory_than_a_quarter_of_it(tmp_path):
    """In the pieces that the app takes; the allocator keeps some of them, now more, now fewer."""
    small, large = (added_kilobytes(tmp_path, rows, CHUNK) for rows in (31_250, 125_000))
    assert large < small + 60_000 and large < 150_000
