"""`dream cache` killed at random moments, by the system: what goes on is to the bit what was never stopped."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream.__main__ import main
from dream.data.emoji.table import table_path
from tests.dream.data.test_sources import write_shards
from tests.dream.frozen_small import save_vae

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
KILLS = 3


def arguments(source: str, vae: Path, out: Path) -> list[str]:
    """The command that caches a source as latents of 16 pixels."""
    sets = [f"image.vae={vae}", "image.tokenizer=sd-vae", "image.channels=4", "image.stride=2", "image.patch_size=2"]
    sets += ["image.size=16", "image.scale=0.18215", "data.flip=true"]
    return ["cache", "--preset", "tiny", "--data", source, "--out", str(out), "--batch-size", "4", "--set", *sets]


def parts(cache: Path) -> list[Path]:
    return [path for path in cache.glob("*/*") if path.name[0].isdigit()]


def killed(command: list[str], cache: Path, moment: random.Random) -> bool:
    """Starts the command and kills it some time after its next part; returns whether it was still at work."""
    before = len(parts(cache))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(parts(cache)) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.2 * moment.random())
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def contents(cache: Path) -> dict[str, str]:
    """Hash of every file."""
    files = [path for path in cache.rglob("*") if path.is_file()]
    return {path.relative_to(cache).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def survives(source: str, tmp_path: Path, kills: int) -> int:
    """Kills a writer so many times, ends what it began, and compares with one that was never killed."""
    vae, stopped, whole = save_vae(tmp_path / "vae"), tmp_path / "stopped.zarr", tmp_path / "whole.zarr"
    moment, stops = random.Random(7), 0
    for _ in range(kills):
        stops += killed([sys.executable, "-m", "dream", *arguments(source, vae, stopped)], stopped, moment)
    for cache in (stopped, whole):
        assert main(arguments(source, vae, cache)) == 0
        assert main(["cache", "--out", str(cache), "--verify"]) == 0
    assert contents(stopped) == contents(whole) and len(parts(whole)) > 1
    assert not list(stopped.rglob(".*"))
    return stops


def test_image_shards(tmp_path):
    (tmp_path / "data").mkdir()
    assert survives(write_shards(tmp_path / "data", 8, 100), tmp_path, KILLS) == KILLS


@pytest.mark.skipif(not table_path().is_file(), reason="the emoji are not built here: dream data emoji --build")
def test_emoji(tmp_path):
    assert survives("emoji", tmp_path, KILLS) > 0
