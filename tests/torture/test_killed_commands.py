"""Commands that are killed at random moments and file operations, on full disks and in folders that may not be written.

What is there after a kill is whole as far as it goes, and what is begun again comes out as if nothing had happened.
"""

import random
import shutil
import time
from functools import partial
from pathlib import Path

import pytest

from dream.errors import InputError
from tests.torture.faults import full_after, jumping_clock, kill_really_after, without_privileges
from tests.torture.kills import (
    HOURS,
    KILLS,
    abandon,
    begin_command,
    ended_within,
    kill_some,
    leftovers,
    move_clock,
    share,
)
from tests.torture.undertakings import UNDERTAKINGS, Undertaking

EACH = share(1 / 12)
"""Kills of each command."""
SIZES = (0, 300, 3000, 20_000, 100_000)
"""Bytes after which a disk is full; without a long form two of them are tried."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=UNDERTAKINGS, ids=lambda undertaking: undertaking.name)
def undisturbed(request, tmp_path_factory):
    """An undertaking, what it is given, what it comes to when nothing happens, and how long that takes."""
    root = tmp_path_factory.mktemp("undisturbed")
    for name in ("given", "out"):
        (root / name).mkdir()
    undertaking: Undertaking = request.param
    undertaking.lay_out(root / "given")
    began = time.monotonic()
    finish(undertaking, root / "given", root / "out")
    return undertaking, root / "given", undertaking.read(root / "out"), time.monotonic() - began


def start(undertaking: Undertaking, given: Path, out: Path, first=lambda: None):
    return [begin_command(line, first) for line in undertaking.lines(given, out)]


def finish(undertaking: Undertaking, given: Path, out: Path, first=lambda: None) -> None:
    """Calls the lines, which all end well."""
    processes = start(undertaking, given, out, first)
    assert ended_within(processes, 300)
    assert all(each.exitcode == 0 for each in processes), [each.words() for each in processes]


def is_part(seen: object, whole: object) -> bool:
    """Whether everything that is there is what it will be."""
    if isinstance(seen, dict) and isinstance(whole, dict):
        return all(name in whole and is_part(value, whole[name]) for name, value in seen.items())
    if isinstance(seen, list) and isinstance(whole, list):
        return all(value in whole for value in seen)
    return seen == whole


def check_part(undertaking: Undertaking, out: Path, whole: object) -> None:
    """Asserts that nothing half reads as whole."""
    try:
        seen = undertaking.read(out)
    except InputError:
        assert undertaking.whole_or_said, "a kill left what cannot be read"
        return
    assert is_part(seen, whole)


def test_killed_at_random_it_comes_out_the_same(undisturbed, tmp_path):
    undertaking, given, whole, seconds = undisturbed
    draws, kills = random.Random(f"{undertaking.name} {KILLS}"), 0
    while kills < EACH:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (out := tmp_path / "out").mkdir()
        while kills < EACH:
            operations = int(2 ** draws.uniform(0, 8)) if draws.random() < 0.5 else None
            first = (lambda: None) if operations is None else partial(kill_really_after, out, operations)
            processes = start(undertaking, given, out, first)
            if ended_within(processes, seconds * (draws.uniform(0, 1) if operations is None else 5)):
                if all(each.exitcode == 0 for each in processes):
                    break
            else:
                kill_some(processes, draws)
            kills += 1
            check_part(undertaking, out, whole)
            if draws.random() < 0.25:
                move_clock(out, draws.choice([-HOURS, HOURS]))
        finish(undertaking, given, out)
        assert undertaking.read(out) == whole
        abandon(out)
        finish(undertaking, given, out)
        assert undertaking.read(out) == whole and leftovers(out) == []


def test_while_the_clock_jumps_it_comes_out_the_same(undisturbed, tmp_path):
    undertaking, given, whole, _ = undisturbed
    for number in range(max(1, EACH // 2)):
        (out := tmp_path / str(number)).mkdir()
        finish(undertaking, given, out, partial(jumping_clock, number))
        assert undertaking.read(out) == whole


def test_on_a_disk_that_is_full_it_says_so_and_goes_on_when_it_is_not(undisturbed, tmp_path):
    undertaking, given, whole, _ = undisturbed
    draws = random.Random(undertaking.name)
    (out := tmp_path / "out").mkdir()
    for size in SIZES if KILLS > 100 else draws.sample(SIZES, 2):
        processes = start(undertaking, given, out, full_after(size).__enter__)
        assert ended_within(processes, 120)
        check_said(processes)
        check_part(undertaking, out, whole)
        assert leftovers(out) == [], size
    finish(undertaking, given, out)
    assert undertaking.read(out) == whole


def test_in_a_folder_that_may_not_be_written_it_says_so(undisturbed, tmp_path):
    undertaking, given, _, _ = undisturbed
    (out := tmp_path / "out").mkdir(mode=0o555)
    processes = start(undertaking, given, out, without_privileges)
    assert ended_within(processes, 120)
    check_said(processes)
    assert all(each.exitcode != 0 for each in processes) and list(out.iterdir()) == []


def check_said(processes) -> None:
    """Asserts that each process ended well, or with one sentence."""
    for each in processes:
        said = each.words()
        assert each.exitcode in (0, 1, 2) and "Traceback" not in said, said
        assert each.exitcode == 0 or said.strip().splitlines()[-1].startswith("dream: "), said
