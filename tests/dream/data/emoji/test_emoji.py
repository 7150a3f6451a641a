"""The emoji: what a build gives, and what a source of it holds."""

import io
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dream import json_text
from dream.__main__ import main
from dream.data.emoji import build, packages, table
from dream.data.emoji.corpus import open_emoji
from dream.data.emoji.icons import icon_name
from dream.data.emoji.packages import LABELS, PACKAGES, STYLES
from dream.data.emoji.pixels import pixels_of
from dream.data.emoji.table import COUNTS, Drawing, built_emoji, read_table, table_path, write_table
from dream.data.emoji.things import Emoji, Splits
from dream.data.sources import open_source
from dream.errors import InputError, RunError
from dream.presets import tiny

SQUARE = '<path fill="currentColor" d="M0 0h16v16H0z"/>'
DOT = '<circle cx="8" cy="8" r="6" fill="#f00"/>'
NEEDS_RESVG = pytest.mark.skipif(find_spec("resvg_py") is None, reason="needs resvg-py")


def package(root: Path, name: str, version: str, files: dict[str, object]) -> None:
    folder = root / "node_modules" / name
    for path, tree in {"package.json": {"version": version}, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(tree))


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The packages, with two emoji in each style (one of them through an alias), and one that no style draws."""
    icons = {"icons": {"apple": {"body": SQUARE}, "one-oclock": {"body": DOT, "left": 1, "width": 14}}}
    icons |= {"aliases": {"red-apple": {"parent": "apple"}, "mirrored": {"parent": "apple", "hFlip": True}}}
    for each in STYLES.values():
        package(tmp_path, each.name, each.version, {"icons.json": icons})
    entries = [
        {"hexcode": "1F34E", "label": "red apple", "tags": ["fruit"], "group": 4, "subgroup": 0},
        {"hexcode": "1F550", "label": "one o’clock", "group": 4, "subgroup": 0},
        {"hexcode": "1F9FF", "label": "mirrored", "group": 4, "subgroup": 0},
        {"hexcode": "1F3FB", "label": "light skin tone", "group": 2, "subgroup": 0},
        {"hexcode": "1F1E6", "label": "regional indicator A"},
    ]
    messages = {
        "groups": [{"key": "component", "order": 2}, {"key": "food", "order": 4}],
        "subgroups": [{"key": "fruit", "order": 0}],
    }
    package(tmp_path, LABELS.name, LABELS.version, {"en/data.json": entries, "en/messages.json": messages})
    return tmp_path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))
    return table_path()


def drawing(label: str, style: str, split: str) -> Drawing:
    stored = io.BytesIO()
    Image.new("RGB", (64, 64), (len(label) * 9 % 255, 80, len(style) * 20)).save(stored, "WEBP", lossless=True)
    return Drawing(f"{label}.{style}", label, style, ("a tag",), label, "food", "fruit", split, stored.getvalue())


SIX = [drawing(f"thing {n}", style, split) for n in range(3) for style, split in (("ink", "train"), ("flat", "val"))]


@NEEDS_RESVG
def test_a_build_draws_every_icon_that_a_style_has(unpacked, cache, monkeypatch):
    style = Counter(dict.fromkeys(STYLES, 2))
    monkeypatch.setattr(table, "COUNTS", {"style": style, "split": Counter(train=12)})
    shares = []
    assert build.build_emoji(unpacked, lambda share, doing: shares.append(share)) == cache
    rows = {row.key: row for row in read_table(cache)}
    assert {row.caption for row in rows.values()} == {f"{n}, {s}" for n in ("red apple", "one o’clock") for s in STYLES}
    apple = np.asarray(Image.open(io.BytesIO(rows["1F34E.ink"].picture)))
    assert apple.shape == (64, 64, 3) and apple.max() == 0  # currentColor is black
    clock = np.asarray(Image.open(io.BytesIO(rows["1F550.ink"].picture)))
    assert clock[0, 0].tolist() == [255] * 3 and clock[32, 32].tolist() == [255, 0, 0]
    assert shares == sorted(shares) and shares[-1] == 1


@NEEDS_RESVG
def test_a_build_with_other_counts_writes_nothing(unpacked, cache):
    with pytest.raises(RunError, match=r"glossy 2 instead of 1,562.*nothing was written"):
        build.build_emoji(unpacked)
    assert not cache.exists()


@NEEDS_RESVG
@pytest.mark.parametrize("broken", PACKAGES, ids=lambda package: package.name)
def test_a_missing_or_other_package_is_named(unpacked, broken):
    manifest = unpacked / "node_modules" / broken.name / "package.json"
    manifest.write_text('{"version": "0.0.1"}')
    with pytest.raises(InputError, match=f"version 0.0.1 of {broken.name}: expected {broken.version}"):
        build.build_emoji(unpacked)
    manifest.unlink()
    with pytest.raises(InputError, match=f"has no package {broken.name}"):
        build.build_emoji(unpacked)


@NEEDS_RESVG
@pytest.mark.parametrize("layout", ["node_modules/{name}", "{name}", "{short}", "{short}/package"])
def test_a_build_takes_packages_unpacked_in_any_usual_way(unpacked, tmp_path, cache, monkeypatch, layout):
    """As npm leaves them, as their names say, or as the archives of the registry unpack."""
    monkeypatch.setattr(table, "COUNTS", {"style": dict.fromkeys(STYLES, 2), "split": Counter(train=12)})
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)  # npm is not asked
    folder = tmp_path / "by hand"
    for each in PACKAGES:
        home = folder / layout.format(name=each.name, short=each.name.rpartition("/")[2])
        shutil.copytree(unpacked / "node_modules" / each.name, home)
    assert build.build_emoji(folder) == cache
    assert len(read_table(cache)) == 12


@NEEDS_RESVG
@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("{flat}/icons.json", "", "is missing or damaged"),
        ("{flat}/icons.json", "{", "is missing or damaged"),
        ("{flat}/icons.json", "3", "neither an object nor a list"),
        ("{labels}/en/data.json", None, "is missing or damaged"),
        ("{labels}/en/messages.json", "[1", "is missing or damaged"),
        ("{labels}/package.json", "{", "is missing or damaged"),
    ],
)
def test_a_damaged_package_is_one_sentence(unpacked, cache, capsys, file, content, says):
    path = unpacked / "node_modules" / file.format(flat=STYLES["flat"].name, labels=LABELS.name)
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert main(["data", "emoji", "--build", "--from", str(unpacked)]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in told and path.name in told
    assert not cache.exists()


def test_drawings_of_one_style_may_be_larger_than_other_json(tmp_path):
    path = tmp_path / "icons.json"
    path.write_bytes(b'{"icons": {}}' + b" " * json_text.MOST_BYTES)
    assert packages.read_package_json(path) == {"icons": {}}


@NEEDS_RESVG
def test_without_npm_one_sentence_says_what_to_do(monkeypatch, capsys, cache):
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    assert main(["data", "emoji", "--build"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "sudo apt install npm" in told and "--from FOLDER" in told
    assert all(each.wanted in told for each in PACKAGES)
    assert not cache.exists()


@NEEDS_RESVG
@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (
            subprocess.CompletedProcess([], 1, "", "npm error 404\nnot found"),
            "npm error 404 not found.*check the network",
        ),
        (subprocess.CompletedProcess([], 7, "", ""), "exit code 7"),
        (subprocess.TimeoutExpired("npm", 600), "after 10 minutes: check the network"),
    ],
)
def test_an_npm_that_fails_is_one_sentence(monkeypatch, capsys, cache, outcome, says):
    def npm(command, **options):
        assert "--ignore-scripts" in command and PACKAGES[0].wanted in command
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(packages.shutil, "which", lambda name: "/usr/bin/npm")
    monkeypatch.setattr(packages.subprocess, "run", npm)
    assert main(["data", "emoji", "--build"]) == 1
    assert re.search(says, capsys.readouterr().err)
    assert not cache.exists()


@pytest.mark.parametrize(
    "arguments", [["shapes", "--build"], ["emoji", "--from", "."], ["emoji", "--build", "--from", "no"]]
)
def test_building_anything_else_is_refused(arguments, capsys):
    assert main(["data", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_splits_are_those_that_the_counts_name():
    splits = Splits.read()
    thing = Emoji("1F34E", "red apple", (), "food-drink", "food-fruit", "1F34E")
    assert splits.of(thing, "ink") in COUNTS["split"]
    assert len(splits.val) == COUNTS["split"]["val"] and not {code for code, _ in splits.val} & splits.unseen
    toned = Emoji("1F44B-1F3FB", "waving hand: light skin tone", (), "people-body", "hand-fingers-open", "1F44B")
    assert sum(splits.of(toned, style) is not None for style in STYLES) <= len(STYLES)
    assert sum(COUNTS["style"].values()) == sum(COUNTS["split"].values()) == 10681


def test_labels_are_names_of_icons():
    assert [icon_name(each) for each in ("one o’clock", "flag: Côte d’Ivoire", "1st place medal")] == [
        "one-oclock",
        "flag-c-te-divoire",
        "1st-place-medal",
    ]


def test_a_source_of_emoji_has_its_own_splits(cache):
    write_table(cache, SIX)
    source = open_source("emoji", tiny())
    assert {caption.rpartition(", ")[2] for caption in source.captions()} == {"ink"}
    assert set(source.fixed(9).captions) == {f"thing {n}, flat" for n in range(3)}
    assert set(open_source("emoji:val", tiny(), split="val").captions()) == {f"thing {n}, flat" for n in range(3)}
    with pytest.raises(InputError, match="did you mean 'unseen'"):
        open_emoji("emoji:unsen")


def test_emoji_that_are_not_built_are_a_sentence():
    with pytest.raises(InputError, match="dream data emoji --build"):
        open_source("emoji", tiny())


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """The table with a change, as a whole Parquet file of the same version."""
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def without_value(table: pa.Table, name: str) -> pa.Table:
    return with_column(table, name, pa.array([None, *table[name].to_pylist()[1:]], table.schema.field(name).type))


DAMAGES = {
    "cut at its end": (lambda path: path.write_bytes(path.read_bytes()[:-200]), "damaged"),
    "cut in half": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "damaged"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "text": (lambda path: path.write_text("red apple, ink\n"), "damaged"),
    "zeros inside": (lambda path: path.write_bytes(bytes(3000) + path.read_bytes()[3000:]), "damaged"),
    "another version": (
        lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({"dream.emoji": "0"}), path),
        "another version",
    ),
    "no version": (lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata(), path), "another version"),
    "a column missing": (lambda path: rewritten(path, lambda table: table.drop_columns(["tags"])), "instead of"),
    "a column too many": (
        lambda path: rewritten(path, lambda table: table.append_column("more", table["label"])),
        "its columns are key, .*more instead of",
    ),
    "numbers for labels": (
        lambda path: rewritten(path, lambda table: with_column(table, "label", pa.array([np.nan] * len(table)))),
        "'label' holds double instead of string",
    ),
    "a gap in the labels": (lambda path: rewritten(path, lambda table: without_value(table, "label")), "has gaps"),
    "a gap in the tags": (lambda path: rewritten(path, lambda table: without_value(table, "tags")), "has gaps"),
    "a gap among tags": (
        lambda path: rewritten(
            path, lambda table: with_column(table, "tags", pa.array([[None]] * len(table), pa.list_(pa.string())))
        ),
        "'tags' has gaps",
    ),
    "a gap in the pictures": (lambda path: rewritten(path, lambda table: without_value(table, "picture")), "has gaps"),
    "another split": (
        lambda path: rewritten(path, lambda table: with_column(table, "split", pa.array(["test"] * len(table)))),
        "'split' holds 'test'",
    ),
    "another style": (
        lambda path: rewritten(path, lambda table: with_column(table, "style", pa.array(["oil"] * len(table)))),
        "'style' holds 'oil'",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_one_sentence_that_says_what_to_do(cache, damage, capsys):
    write_table(cache, SIX)
    change, says = DAMAGES[damage]
    change(cache)
    with pytest.raises(InputError, match=says):
        open_source("emoji", tiny())
    assert main(["data", "emoji"]) == 2
    told = capsys.readouterr().err.strip()
    assert len(told.splitlines()) == 1 and "Traceback" not in told
    assert str(cache) in told and told.endswith("run 'dream data emoji --build' again")


def test_a_table_without_a_row_is_a_sentence(cache):
    write_table(cache, [])
    assert read_table(cache) == []
    with pytest.raises(InputError, match="run 'dream data emoji --build' again"):
        next(iter(open_source("emoji", tiny()).batches(2)))


def test_a_picture_that_cannot_be_decoded_is_counted_and_named(cache, capsys):
    write_table(cache, [replace(SIX[0], picture=b"RIFF"), *SIX[1:], drawing("thing 9", "blob", "unseen")])
    assert main(["data", "emoji"]) == 0
    told = capsys.readouterr().out
    assert "1 problem" in told and f"{SIX[0].key}: not a JPEG" in told
    with pytest.raises(InputError, match=f"the picture of {SIX[0].key}"):
        pixels_of(built_emoji(), 16)
    assert pixels_of(built_emoji()[1:], 16).shape == (6, 3, 16, 16)


def test_a_table_that_is_built_again_is_read_again(cache):
    write_table(cache, SIX)
    assert len(built_emoji()) == 6 and built_emoji() is built_emoji()
    cache.write_bytes(b"no")
    with pytest.raises(InputError, match="damaged"):
        built_emoji()
    write_table(cache, SIX[:4])
    os.utime(cache, ns=(1, 1))
    assert len(built_emoji()) == 4
