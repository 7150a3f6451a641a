"""Leftovers of killed writers are swept, and nothing that somebody may be writing."""

import os
import time

import pytest

from dream.files import ABANDONED_SECONDS, WRITING, is_abandoned, remove_leftovers

YEAR = 365 * 86_400.0


@pytest.fixture
def half(tmp_path):
    """A file that is being written."""
    path = tmp_path / f".a.json.0123{WRITING}"
    path.write_text("half")
    return path


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_what_is_being_written_stays_although_this_machines_clock_is_wrong(half, monkeypatch, jump):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    assert not is_abandoned(half)
    remove_leftovers(half.parent, ABANDONED_SECONDS)
    assert list(half.parent.iterdir()) == [half], "nor is anything left by the look at the disk's clock"


@pytest.mark.parametrize("days", [2, -2])
def test_what_was_left_days_ago_or_before_a_clock_was_put_back_is_swept(half, days):
    when = time.time() - days * 86_400
    os.utime(half, (when, when))
    assert is_abandoned(half)
    remove_leftovers(half.parent, ABANDONED_SECONDS)
    assert not half.exists()


def test_without_an_age_all_is_swept(half):
    remove_leftovers(half.parent)
    assert not half.exists()
