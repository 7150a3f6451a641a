"""The emoji: what a build gives, and what a source of it holds."""

import io
import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.__main__ import main
from dream.data.emoji import build, packages, table
from dream.data.emoji.corpus import open_emoji
from dream.data.emoji.icons import icon_name
from dream.data.emoji.packages import LABELS, PACKAGES, STYLES
from dream.data.emoji.table import COUNTS, Drawing, read_table, table_path, write_table
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
def test_without_npm_one_sentence_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    assert main(["data", "emoji", "--build"]) == 2
    assert "sudo apt install npm" in capsys.readouterr().err


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


def test_emoji_that_are_not_built_or_damaged_are_a_sentence(cache):
    with pytest.raises(InputError, match="dream data emoji --build"):
        open_source("emoji", tiny())
    write_table(cache, SIX)
    cache.write_bytes(cache.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        open_source("emoji", tiny())
