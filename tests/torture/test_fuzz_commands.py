"""No command line ends in anything but a sentence, whatever stands in it.

What a command would begin after its checks (a training, a decode, a measurement) is left out.
"""

import argparse
import importlib
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from dream.__main__ import COMMANDS, FILES, main
from dream.errors import RunError
from tests.dream.decoding import decode_fakes
from tests.torture.faults import bounded

CASES = int(os.environ.get("DREAM_FUZZ", "2200"))
"""Command lines in all; `make torture` sets 60,000."""
SLOWEST = 10.0
"""Seconds that a command may take until it has checked what it is given."""
HOSTILE = (
    *("", " ", "\0", "-1", "0", "1", "2.5", "1e999", "nan", "9" * 400, "1" + "0" * 5000, "-", "--", "x" * 70_000),
    *(
        "../" * 40,
        "a/" * 3000,
        "~",
        "~nobody-of-this-name/x",
        "/dev/zero",
        "/proc/self/mem",
        "/",
        ".",
        "*",
        "**",
        "[",
        "{",
    ),
    *(
        "{a,b}",
        "{0..9}",
        "{9..0}",
        "{000000..999999999}",
        "{0..1}{0..999999}",
        "shapes::",
        "::",
        "pipe:ls",
        "file:",
        "hf:",
        "hf:/",
    ),
    *(
        "\udce9",
        "\N{BOMB}",
        "a\nb",
        "<b>x</b>",
        "$(ls)",
        "%s%n",
        "=",
        "a=b",
        "=b",
        "a=",
        "a.b=c",
        "train.steps=[]",
        "image.size=0",
    ),
    *(
        "train.steps=1e9999",
        "encoder.heads=0",
        "masking.std=nan",
        "data.level=99",
        "image.size=99999999",
        "text.vocab_size=-1",
    ),
    *(
        "12.5%tokens",
        "101%tokens",
        "0steps",
        "nan%steps",
        "1,1,1,1",
        "cosine+cosine",
        "+",
        "0/0",
        "1/2",
        "2/1",
        "-1/1",
        "1/999999999",
    ),
    *(
        "here.png",
        "here.zarr",
        "pictures",
        "words.txt",
        "run",
        "base",
        "tiny",
        "dream",
        "shapes",
        "step-00000001",
        "latest",
        "all",
    ),
)
"""What stands in the place of a value, among it names of what is there."""
BEGUN = (
    "dream.training.loop.train",
    "dream.commands.painting.paint_job",
    "dream.commands.painting_parts.paint_job",
    "dream.evaluation.session.evaluate",
    "dream.evaluation.painted.critic_training.train_critic",
    "dream.evaluation.painted.phrase_training.train_phrase_critic",
    "dream.distilling.run.distil",
    "dream.training.frozen.FrozenEncoder",
    "dream.benchmark.decoding.random_model",
    "dream.benchmark.decoding.decode_split",
    "dream.benchmark.choices.choice_prices",
    "dream.benchmark.growth.growth",
    "dream.evaluation.painted.front.held_out_pictures",
    "dream.data.cache.speed.reading_rates",
    "dream.weights.hub_models.upload",
    "dream.training.monitor.draw_samples",
    "dream.publishing.folder.draw_samples",
)
"""Where the work of each command begins."""
LONG = "1" + "0" * 5000
SEEDS: tuple[tuple[str, ...], ...] = (
    ("train", "--set", "encoder.heads=0", "--out", "x"),
    ("import", "pictures", "--out", "out", "--heads", LONG),
    ("import", "/proc/self/mem", "--out", "out"),
    ("decode", "--model", "run", "--prompt", "a", "--out", "a.png", "--checkpoint", LONG),
    ("bench", "--model", "run", "--threads", "9" * 400),
    ("bench", "--depth", "9" * 400),
    ("decode", "--model", "run", "--prompt", "a", "--out", "a.png", "--count", "9" * 400),
    ("decode", "--model", "run", "--prompt", "a", "--out", "a.png", "--count", "99999999"),
    ("data", "shapes", "--size", "99999999"),
    ("plan", "--data", "9" * 400),
    ("plan", "--set", "train.epochs=1e308"),
    ("plan", "--set", "encoder.mlp_ratio=1e308"),
)
"""Lines that once ended in an exception."""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def begun(tmp_path, monkeypatch):
    """A folder with something to name, and commands that stop where their work begins."""

    def stop(*_: object, **__: object) -> None:
        raise RunError("begun")

    for place in BEGUN:  # all first: a module that is imported later would take over what another has in place
        importlib.import_module(place.rpartition(".")[0])
    for place in BEGUN:
        monkeypatch.setattr(place, stop)
    monkeypatch.chdir(tmp_path)
    decode_fakes.save_run(decode_fakes.small_pretrained(), Path("run"))
    Path("pictures").mkdir()
    Path("words.txt").write_text("a red circle\n")
    Path("here.png").write_bytes(b"no picture")


def options_of(name: str) -> list[argparse.Action]:
    parser = argparse.ArgumentParser(prog=name, add_help=False)
    importlib.import_module(f"dream.commands.{FILES.get(name, name)}").add_arguments(parser)
    return [action for action in parser._actions if "--build" not in action.option_strings]  # which asks the network


def line(name: str, actions: Sequence[argparse.Action], draws: random.Random) -> list[str]:
    """A line of the command: what it needs, mostly, and a few options with any values."""
    words = [name]
    needed = [action for action in actions if action.required or not action.option_strings]
    likely = [action for action in actions if {"--model", "--out", "--data", "--prompt"} & set(action.option_strings)]
    chosen = {id(a): a for a in [*needed, *likely] if draws.random() < 0.9}
    chosen |= {id(a): a for a in draws.sample(list(actions), min(len(actions), draws.choice((1, 2, 4))))}
    for action in chosen.values():
        words += draws.sample(action.option_strings, 1)[:1] if action.option_strings else []
        if action.nargs == 0:
            continue
        good = {"--model": "run", "--out": f"out{draws.choice(('', '.png', '.zarr'))}", "--data": "shapes"}
        usual = next((good[option] for option in action.option_strings if option in good), "a red circle")
        words.append(usual if draws.random() < 0.6 else draws.choice(HOSTILE))
    return words


@pytest.mark.parametrize("name", COMMANDS)
def test_any_line_ends_in_a_sentence(name, capsys):
    draws, actions, faults = random.Random(name), options_of(name), {}
    lines = [list(seed) for seed in SEEDS if seed[0] == name]
    lines += [line(name, actions, draws) for _ in range(CASES // len(COMMANDS))]
    for words in lines:
        began = time.monotonic()
        try:
            with bounded():
                code = main(words)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException as error:
            code, faults[type(error).__name__] = 1, (str(error)[:200], shown(words))
        said = capsys.readouterr().err
        if code not in (0, 1, 2) or "set DREAM_DEBUG=1" in said or "Traceback" in said:
            faults[said[-300:]] = code, shown(words)
        if time.monotonic() - began > SLOWEST:
            faults[f"{time.monotonic() - began:.0f} s"] = code, shown(words)
    assert not faults, "\n".join(f"{fault}\n    {how}" for fault, how in faults.items())


def shown(words: Sequence[str]) -> list[str]:
    return [word if len(word) < 60 else f"{word[:30]}... ({len(word)})" for word in words]
