"""Whatever the number of ranks, a training reads the same global batches from stored sources."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from dream.data.sources import open_source
from dream.data.transforms import load_pixels
from dream.presets import tiny
from tests.dream.data.test_sources import CONFIG, keys, members, resumable, take, windowed, write_shards, write_tar


def shares(make: Any, world: int, batches: int, position: dict[str, Any] | None = None) -> list[Any]:
    """Batches of 12 put together from what `world` ranks read, with the position that all of them give."""
    by_rank = [take(make(rank=rank, world_size=world), batches, 12, position) for rank in range(world)]
    together = []
    for parts in zip(*by_rank, strict=True):
        assert {len(batch) for batch, _ in parts} == {12 // world}
        (after,) = {json.dumps(after) for _, after in parts}
        names = [key for batch, _ in parts for key in batch.keys]
        captions = [caption for batch, _ in parts for caption in batch.captions]
        together.append((names, captions, torch.cat([batch.images for batch, _ in parts]), json.loads(after)))
    return together


def same_batches(ours: list[Any], theirs: list[Any]) -> bool:
    return all(
        (a[0], a[1], a[3]) == (b[0], b[1], b[3]) and torch.equal(a[2], b[2]) for a, b in zip(ours, theirs, strict=True)
    )


def test_any_number_of_ranks_reads_the_same_global_batches_and_goes_on_with_another(tmp_path: Path) -> None:
    """On tar shards, small windows, broken samples and folders: flips, stand-ins and epochs are the same, too."""
    for what, make in resumable(tmp_path):
        whole = shares(lambda make=make, **o: make(seed=3, **o), 1, 9)
        for world in (2, 3, 4):
            assert same_batches(shares(lambda make=make, **o: make(seed=3, **o), world, 9), whole), (what, world)
        after_two = shares(lambda make=make, **o: make(seed=3, **o), 2, 4)[-1][3]
        for world in (1, 3, 4):
            rest = shares(lambda make=make, **o: make(seed=3, **o), world, 5, after_two)
            assert same_batches(rest, whole[4:]), (what, world)


def test_a_rank_decodes_its_own_share_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = windowed(write_shards(tmp_path, 4, 6), 8, split="all", rank=1, world_size=4)
    decoded: list[bytes] = []
    monkeypatch.setattr(
        "dream.data.stored.load_pixels", lambda content, size: (decoded.append(content), load_pixels(content, size))[1]
    )
    take(source, 4, 8)
    assert len(decoded) == 4 * 8 // 4


def test_a_batch_that_ranks_cannot_share_equally_is_refused(tmp_path: Path) -> None:
    name = write_shards(tmp_path, 1, 4)
    for source in (name, "shapes"):
        with pytest.raises(ValueError, match="multiple of 3 ranks, got 8"):
            next(open_source(source, tiny(), world_size=3).batches(8))


def test_a_broken_sample_is_replaced_from_half_a_window_away(tmp_path: Path) -> None:
    files = [(name, b"?" if name == "00003.png" else content) for name, content in members(range(20))]
    source = open_source(str(write_tar(tmp_path / "a.tar", files)), CONFIG, split="all")
    epoch = keys(source, 1, 20)
    twice = [key for key, count in Counter(epoch).items() if count == 2]
    assert len(twice) == 1 and set(epoch) == {f"a.tar/{n:05d}" for n in range(20) if n != 3}
    first, second = (place for place, key in enumerate(epoch) if key == twice[0])
    assert second - first in (9, 10, 11)


def test_windows_without_a_good_sample_are_passed_over(tmp_path: Path) -> None:
    files = [(name, b"?" if name < "00020" and name.endswith("png") else c) for name, c in members(range(24))]
    source = windowed(str(write_tar(tmp_path / "a.tar", files)), 4, split="all")
    assert set(keys(source, 24, 1)) == {f"a.tar/{n:05d}" for n in range(20, 24)}
