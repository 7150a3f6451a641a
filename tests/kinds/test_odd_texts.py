"""Texts that are none, and good texts that look odd, wherever a user or a file may bring them: one row per text.

A good text is kept as it is. A bad one is refused in a sentence that says what is wrong and where.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dream.commands.decode import prompts_given
from dream.console import Console
from dream.data.samples import BadSample, clean_caption
from dream.data.text import train_tokenizer
from dream.decoding.decode import collect
from dream.decoding.paint import paint_iter
from dream.decoding.pictures import SheetPanel, SheetRow, draw_sheet, read_about, save_gif, save_png
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import small_pretrained
from workbench.decode.paint import paint_and_store
from workbench.decode.request import DecodeRequest
from workbench.player import player_html
from workbench.runs.notes import Note, read_note, write_note
from workbench.runs.trainings import run_folder
from workbench.search.index import text_features
from workbench.store import list_stored
from workbench.trajectories.prompts import typed_prompts
from workbench.trajectories.race import asked
from workbench.work import Work
from workbench.workspace import Workspace

GOOD = {
    "emoji": "a 🐘 on a 🟥",
    "emoji of several": "a 👨‍👩‍👧 and a 🏳️‍🌈",
    "combining marks": "cafe\u0301 a\u0308\u0323",
    "right to left": "עיגול אדום مربع أزرق",
    "noncharacter": "a\uffff b\ufffe",
    "private use": "a \ue000 \U0010fffd",
    "byte order mark inside": "a\ufeff b",
    "C1 control": "a\x9b31m b",
    "bidi override": "a \u202eelcric\u202c",
    "markup": "<b>a</b> & ![x](y) $x$ {0} %s \\n",
    "Chinese": "白底上的红色圆",
    "very long": "a red circle " * 8_000,
    "very long word": "a" * 100_000,
    "line separator": "a\u2028b",
}
BAD = {
    "high half": ("a \ud83d b", "half of a character \\(U\\+D83D\\) at position 3"),
    "low half": ("a \ude00 b", "half of a character \\(U\\+DE00\\) at position 3"),
    "reversed pair": ("\ude00\ud83d", "half of a character \\(U\\+DE00\\) at position 1"),
    "byte of a Latin-1 terminal": ("caf\udce9", "a byte that is not UTF-8 \\(0xe9\\) at position 4"),
    "zero": ("a\0b", "control character"),
    "escape sequence": ("a \x1b[31mred", "control character"),
    "backspace": ("a\x08", "control character"),
}
SETTINGS = DecodeSettings(steps=2, guidance_scale=1.0, selection="none")


@pytest.fixture(scope="module")
def model():
    return small_pretrained()


def as_prompt(text, model, folder):
    """The prompt as `dream decode` takes it, painted."""
    (prompt,) = prompts_given([text], None)
    collect(paint_iter(model, [prompt], SETTINGS))
    return prompt


def in_a_prompt_file(text, model, folder):
    file = folder / "prompts.txt"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return " ".join(prompts_given([], file))


def to_the_sampler(text, model, folder):
    collect(paint_iter(model, [text], SETTINGS))
    return text


def as_caption(text, model, folder):
    try:
        return clean_caption(text)
    except BadSample as bad:
        raise InputError(str(bad)) from bad


def on_the_decode_page(text, model, folder):
    wanted = DecodeRequest("demo", "averaged", text, SETTINGS)
    work = Work(lambda one: paint_and_store(one, Workspace(folder), model, wanted)).wait()
    if work.error is not None:
        raise work.error
    (stored,) = list_stored(Workspace(folder))
    return stored.prompt


def among_many_prompts(text, model, folder):
    return typed_prompts(f"a red circle\n{text[:500]}")[-1]


def as_search(text, model, folder):
    assert torch.isfinite(text_features(model, text)).all()
    return text


def as_tag(text, model, folder):
    write_note(Workspace(folder), "run", Note((text,), ""))
    return read_note(Workspace(folder), "run").tags[0]


def as_note(text, model, folder):
    write_note(Workspace(folder), "run", Note((), text))
    return read_note(Workspace(folder), "run").text


def as_run_name(text, model, folder):
    return run_folder(Workspace(folder), f"run{text[:40].replace('/', '')}").name.removeprefix("run")


PLACES = {
    "prompt": as_prompt,
    "prompt file": in_a_prompt_file,
    "sampler": to_the_sampler,
    "caption": as_caption,
    "decode page": on_the_decode_page,
    "race": lambda text, model, folder: asked(text),
    "many prompts": among_many_prompts,
    "search": as_search,
    "tag": as_tag,
    "note": as_note,
    "run name": as_run_name,
}


def kept_of(text: str, place: str) -> str:
    """What is kept of a good text: white space counts once in prompts and captions, and lists have limits."""
    if place in ("sampler", "decode page", "search"):
        return text
    if place == "run name":
        return text[:40].replace("/", "").strip()
    if place in ("tag", "note"):
        return text.strip()[: 20_000 if place == "note" else None]
    if place == "many prompts":
        text = text[:500].splitlines()[-1]
    return " ".join(text.split())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", GOOD)
def test_a_good_text_is_kept(name, place, model, tmp_path):
    assert PLACES[place](GOOD[name], model, tmp_path) == kept_of(GOOD[name], place)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_text_is_refused_in_a_sentence(name, place, model, tmp_path):
    text, reason = BAD[name]
    if place == "prompt file" and "control" not in reason:  # a file of such bytes is no text as a whole
        reason = "not UTF-8"
    if place == "run name":  # it stands after other letters
        reason = reason.partition(" at position")[0]
    with pytest.raises(InputError, match=reason) as refused:
        PLACES[place](text, model, tmp_path)
    assert "\n" not in str(refused.value) and not list(tmp_path.glob("decodes/*"))


FILES = {"UTF-16 with a mark": "a red circle".encode("utf-16"), "Latin-1": b"caf\xe9", "UTF-16 without": b"a\0b\0"}


@pytest.mark.parametrize("name", FILES)
def test_a_prompt_file_of_another_encoding_is_refused(name, tmp_path):
    (tmp_path / "prompts.txt").write_bytes(FILES[name])
    with pytest.raises(InputError, match="save it as UTF-8"):
        prompts_given([], tmp_path / "prompts.txt")


@pytest.mark.parametrize("name", GOOD)
def test_files_keep_a_good_text(name, tmp_path):
    text, picture = GOOD[name], np.zeros((3, 8, 8), np.uint8)
    sheet = draw_sheet([SheetRow([SheetPanel(picture, text)], text)], text, text)
    save_png(sheet, tmp_path / "a.png", {"prompt": text})
    assert read_about(tmp_path / "a.png")["prompt"] == text
    save_gif([sheet], tmp_path / "a.gif")
    Image.open(tmp_path / "a.gif").load()
    data = {"mode": "cells", "title": text, "size": 8, "grid": 2, "cells": [], "verb": "keep"}
    assert player_html({**data, "picture": "data:image/png;base64,"}, text).encode()


def test_a_path_of_bytes_is_stored_in_a_picture_and_read_back(tmp_path):
    path = os.fsdecode(b"r\xe9")
    save_png(Image.new("RGB", (4, 4)), tmp_path / "a.png", {"prompt": "a", "model": path})
    assert read_about(tmp_path / "a.png")["model"] == path


def test_a_tokenizer_refuses_half_a_character():
    tokenizer = train_tokenizer(["a red circle"], 300, 8)
    for call in (tokenizer.pieces, lambda text: tokenizer.token_ids([text]), lambda text: tokenizer.lengths([text])):
        with pytest.raises(InputError, match="half of a character"):
            call("a \ud83d")


SHOWS = """
import sys
from dream.console import Console, print_out
from dream.errors import InputError
from dream.exit_codes import exit_code
def run():
    print_out(sys.argv[1]); print(sys.argv[1]); Console(True).say(sys.argv[1]); raise InputError(sys.argv[1])
sys.exit(exit_code("it", run))
"""
ENVIRONMENTS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "1"},
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("shown", [b"caf\xc3\xa9 \xf0\x9f\x90\x98", b"caf\xe9", b"\xed\xa0\xbd"])
def test_output_is_escaped_where_it_cannot_be_shown(environment, shown):
    variables = {**os.environ, "PYTHONUTF8": "1", **ENVIRONMENTS[environment]}
    command = [os.fsencode(sys.executable), b"-c", SHOWS.encode(), shown]
    ended = subprocess.run(command, capture_output=True, env=variables, check=False)
    assert ended.returncode == 2 and b"Traceback" not in ended.stderr
    assert ended.stdout.count(b"\n") == 2 and ended.stderr.count(b"\n") == 2


def test_control_characters_of_others_do_not_reach_a_terminal(capsys):
    Console(True).say("run\x1b[31m\x9b31m\x07\tname\n")
    assert capsys.readouterr().err == "run\\x1b[31m\\x9b31m\\x07\tname\n\n"


@pytest.mark.parametrize(
    "program",
    [
        "workbench.comparison",
        "workbench.notebook_pages",
        "app.screenshots",
        "app.readme_pictures",
        "dream.evaluation.judging.train_judge",
    ],
)
def test_the_other_programs_say_one_sentence_too(program):
    command = [sys.executable, "-m", program, os.fsdecode(b"--no\xe9")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == 2 and "unknown option '--no\\xe9'" in ended.stderr and "Traceback" not in ended.stderr


def test_the_supervisor_says_one_sentence_too(tmp_path):
    command = [sys.executable, "-m", "workbench.jobs.queue", str(tmp_path / "absent")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and ended.stderr.startswith("queue: the workspace") and ended.stderr.count("\n") == 1


def test_a_note_with_half_a_character_is_shown_without_it(tmp_path):
    write_note(Workspace(tmp_path), "run", Note(("a",), "b"))
    (file,) = (tmp_path / ".workbench" / "notes").iterdir()
    file.write_text(json.dumps({"tags": ["\ud83d"], "text": "x\udce9"}))
    assert read_note(Workspace(tmp_path), "run") == Note(("?",), "x?")
