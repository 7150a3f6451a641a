"""Where captions stand and what pictures are called: one row per instance, so that the next is one more row."""

import io
import json
import os
import tarfile
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dream.__main__ import main
from dream.config import DreamConfig
from dream.data.captions import Names, caption_in, decode_caption
from dream.data.corpora.hub import HubCorpus
from dream.data.formats import CAPTION_ENDINGS, CAPTION_NAMES, FORMATS, OTHER_PICTURES, PICTURES
from dream.data.report import DataReport
from dream.data.samples import BadSample
from dream.data.sources import open_corpora
from dream.errors import InputError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
EMPTY, BROKEN, MISSING, METADATA = "empty caption", "broken caption", "missing member", "broken metadata"


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (12, 12), (200, 30, 30)).save(out, kind)
    return out.getvalue()


PNG = picture()
Files = Mapping[str, bytes | str]


def write(folder: Path, files: Files) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder)


def write_tar(path: Path, files: Files) -> str:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def lines(*records: Any) -> str:
    return "\n".join(map(json.dumps, records))


def config(**names: str) -> DreamConfig:
    usual = DreamConfig()
    return replace(usual, data=replace(usual.data, **names))


def read(source: str, split: str = "train", **names: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Captions of the good samples, and the problems as (kind, key, detail)."""
    corpus, report = open_corpora(source, config(**names))[split], DataReport()
    captions = []
    for shard in range(len(corpus.shards)):
        for row in corpus.rows(shard, 0, report):
            try:
                captions.append(row.caption())
                assert row.picture()
            except BadSample as bad:
                report.add(bad.kind, row.shard, row.key, bad.detail)
    return sorted(captions), [(kind, key, detail) for kind, _, key, detail in report.problems()]


# Objects, rows and columns


@pytest.mark.parametrize("name", [spelt for n in CAPTION_NAMES for spelt in (n, n.upper(), n.title())])
def test_each_usual_name_holds_the_caption_in_any_case(name: str) -> None:
    assert caption_in({"id": 3, name: "a cat"}) == "a cat"


DEEP: Any = "a cat"
for _ in range(500):
    DEEP = [DEEP]

RECORDS: list[tuple[Any, str, str]] = [
    # record, caption, else kind of the problem
    ({"caption": ["a cat", "a dog"]}, "a cat", ""),
    ({"caption": [None, "a cat"]}, "a cat", ""),
    ({"caption": ["", "  ", "a cat"]}, "a cat", ""),
    ({"caption": ["\ud83d", "a cat"]}, "a cat", ""),
    ({"caption": [3, "a cat"]}, "a cat", ""),
    ({"caption": None, "text": "a cat"}, "a cat", ""),
    ({"caption": "", "prompt": "a cat"}, "a cat", ""),
    ({"caption": 7, "text": "a cat"}, "a cat", ""),
    ({"text": "second", "Caption": "a cat"}, "a cat", ""),
    ({"captions": ("a cat",)}, "a cat", ""),
    ({"captions": [["a cat"], ["a dog"]]}, "a cat", ""),
    ({"caption": {"raw": "a cat"}}, "a cat", ""),
    ({"captions": [{"caption": "a cat", "id": 1}]}, "a cat", ""),
    ({"sentences": [{"tokens": ["a"], "raw": "a cat"}]}, "a cat", ""),
    ({"sentences": {"raw": ["a cat", "a dog"], "id": [1, 2]}}, "a cat", ""),
    ({"txt": b"a cat"}, "a cat", ""),
    ({"caption": "￿\ufeff a  \n cat"}, "￿\ufeff a cat", ""),
    ({}, "", MISSING),
    ([], "", MISSING),
    (None, "", MISSING),
    ("a cat", "", MISSING),
    ({"title": "a cat"}, "", MISSING),
    ({"caption": "\u200b\u200e\ufeff"}, "", EMPTY),
    ({"caption": ["\u2060", "a cat"]}, "a cat", ""),
    ({"caption": []}, "", EMPTY),
    ({"caption": None}, "", EMPTY),
    ({"caption": [None, " "]}, "", EMPTY),
    ({"caption": 7}, "", BROKEN),
    ({"caption": True}, "", BROKEN),
    ({"caption": {"id": 3}}, "", BROKEN),
    ({"caption": DEEP}, "", BROKEN),
    ({"caption": "\ud83d"}, "", BROKEN),
    ({"caption": "\ude00\ud83d"}, "", BROKEN),
    ({"caption": ["", "\udc80 cat"]}, "", BROKEN),
    ({"caption": "a\x00cat"}, "", BROKEN),
]


@pytest.mark.parametrize(("record", "caption", "kind"), RECORDS)
def test_the_first_usable_text_of_an_object_is_its_caption(record: Any, caption: str, kind: str) -> None:
    try:
        assert (caption_in(record), "") == (caption, kind)
    except BadSample as bad:
        assert ("", bad.kind) == (caption, kind)


class Table:
    """As much of an IterableDataset as HubCorpus uses."""

    num_shards = 1

    def __init__(self, **columns: list[Any]) -> None:
        self.column_names, self.columns = list(columns), columns

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.column_names, cells, strict=True))


CELL = {"bytes": PNG, "path": None}
TABLES: list[tuple[dict[str, Any], str]] = [
    ({"image": CELL, "caption": "a cat"}, "a cat"),
    ({"Image": CELL, "TEXT": "a cat"}, "a cat"),
    ({"img": PNG, "prompt": "a cat"}, "a cat"),
    ({"jpg": CELL, "txt": b"a cat"}, "a cat"),
    ({"jpg": CELL, "json": {"caption": "a cat"}}, "a cat"),
    ({"jpg": CELL, "txt": b"", "json": {"prompt": ["", "a cat"]}}, "a cat"),
    ({"image": CELL, "captions": [None, "a cat"]}, "a cat"),
    ({"image": CELL, "caption": None, "text": "a cat"}, "a cat"),
    ({"image": CELL, "sentences": [{"raw": "a cat"}]}, "a cat"),
]


@pytest.mark.parametrize(("row", "caption"), TABLES)
def test_columns_of_the_hub_follow_the_same_table(row: dict[str, Any], caption: str) -> None:
    corpus = HubCorpus("set", "train", Table(**{name: [cell] for name, cell in row.items()}), 10)
    (found,) = corpus.rows(0, 0, DataReport())
    assert (found.caption(), found.picture()) == (caption, PNG)


def test_columns_of_other_names_are_taken_by_name_and_a_wrong_name_lists_them() -> None:
    table = Table(scan=[CELL], legend=["a cat"])
    (found,) = HubCorpus("set", "train", table, 10, Names("Legend", "scan")).rows(0, 0, DataReport())
    assert (found.caption(), found.picture()) == ("a cat", PNG)
    with pytest.raises(InputError, match="column of captions: expected 'x' .*it has scan, legend; .*data.caption="):
        HubCorpus("set", "train", table, 10, Names("x", "scan"))
    with pytest.raises(InputError, match="no column of pictures: .*it has scan, legend; .*data.picture="):
        HubCorpus("set", "train", table, 10)


# Text files

TEXTS: list[tuple[bytes, str, str]] = [
    # content, caption, else part of the reason
    (b"a cat\r\n", "a cat", ""),
    ("\ufeffa caf\u00e9".encode(), "a caf\u00e9", ""),
    ("a caf\u00e9".encode("utf-16"), "a caf\u00e9", ""),
    (b"\xfe\xff" + "a caf\u00e9".encode("utf-16-be"), "a caf\u00e9", ""),
    ("a caf\u00e9".encode("utf-32"), "a caf\u00e9", ""),
    (b"\x00\x00\xfe\xff" + "a caf\u00e9".encode("utf-32-be"), "a caf\u00e9", ""),
    ("a caf\u00e9".encode("latin-1"), "", "not UTF-8 at byte 5"),
    ("a caf\u00e9".encode("cp1252"), "", "not UTF-8"),
    ("\u732b".encode("shift-jis"), "", "not UTF-8"),
    ("a cat".encode("utf-16-le"), "", "control character"),
    (b"\xff\xfea\x00b", "", "not UTF-16"),
    (b"\xed\xa0\xbd", "", "not UTF-8"),
    (LFS, "", "git lfs pull"),
    (b"", "", ""),
    (b" \n\t", "", ""),
    (b"\xff\xfe", "", ""),
]


@pytest.mark.parametrize(("content", "caption", "reason"), TEXTS)
def test_text_files_of_other_encodings_are_read_or_named(content: bytes, caption: str, reason: str) -> None:
    try:
        assert (decode_caption(content), "") == (caption, reason)
    except BadSample as bad:
        assert not caption and reason in bad.detail
        assert bad.kind == (BROKEN if reason else EMPTY)


# Files next to pictures: the same in folders and in tars

BESIDE: list[tuple[Files, list[str], list[tuple[str, str]]]] = [
    # files, captions, parts of the problems (kind, detail)
    *(({"a.png": PNG, f"a{ending}": "a cat"}, ["a cat"], []) for ending in CAPTION_ENDINGS),
    ({"a.png": PNG, "a.TXT": "a cat"}, ["a cat"], []),
    ({"a.PNG": PNG, "a.json": lines({"Prompt": "a cat"})}, ["a cat"], []),
    ({"a.png": PNG, "a.txt": "", "a.caption": "a cat"}, ["a cat"], []),
    ({"a.png": PNG, "a.txt": " ", "a.json": lines({"caption": "a cat"})}, ["a cat"], []),
    ({"a.png": PNG, "a.txt": "a cat", "a.json": "{"}, ["a cat"], []),
    ({"a.png": PNG, "a.txt": b"\xff", "a.json": lines({"text": "a cat"})}, ["a cat"], []),
    ({"a.png": PNG, "a.json": lines({"text": "a cat"}).encode("utf-16")}, ["a cat"], []),
    ({"a.png": PNG, "a.json": "[" * 100_000}, [], [(BROKEN, "nested too deeply")]),
    ({"a.png": PNG, "a.json": LFS}, [], [(BROKEN, "git lfs pull")]),
    ({"a.png": PNG, "a.txt": LFS}, [], [(BROKEN, "git lfs pull")]),
    ({"a.png": PNG, "a.json": lines({"title": "x"})}, [], [(MISSING, "it has title")]),
    ({"a.png": PNG, "a.json": lines({"text": "\ud83d"})}, [], [(BROKEN, "half of a character")]),
    ({"a.png": PNG}, [], [(MISSING, "no caption")]),
    ({"b.txt": "a dog", "a.png": PNG, "a.txt": "a cat"}, ["a cat"], [(MISSING, "no picture of this name")]),
    *(
        ({f"a{ending}": b"?", "a.txt": "a cat", "b.png": PNG, "b.txt": "b"}, ["b"], [("broken picture", ending)])
        for ending in OTHER_PICTURES
    ),
    ({"a.JP2": b"?", "b.png": PNG, "b.txt": "b"}, ["b"], [("broken picture", ".jp2 is not decoded here")]),
    ({"a.png": PNG, "a.txt": "a cat", "._a.png": b"?", "._a.txt": b"?", "__MACOSX/a.png": b"?"}, ["a cat"], []),
    ({"a.png": PNG, "a.txt": "a cat", "@eaDir/a.png/thumb.jpg": b"?", "lost+found/a.txt": "x"}, ["a cat"], []),
    ({"d/a.png": PNG, "d/a.txt": "a cat", "Thumbs.db": b"?", "d/Desktop.ini": b"?"}, ["a cat"], []),
]


@pytest.mark.parametrize(("files", "captions", "problems"), BESIDE)
@pytest.mark.parametrize("form", ["folder", "tar"])
def test_captions_next_to_pictures(
    tmp_path: Path, form: str, files: Files, captions: list[str], problems: list[tuple[str, str]]
) -> None:
    folder = form == "folder"
    source = write(tmp_path / "set", files) if folder else write_tar(tmp_path / "set.tar", files)
    found, reported = read(source)
    assert found == captions
    assert len(reported) == len(problems), reported
    for (kind, part), (got, _, detail) in zip(problems, reported, strict=True):
        assert kind == got and part in detail


@pytest.mark.parametrize("ending", PICTURES)
@pytest.mark.parametrize("form", ["folder", "tar", "metadata"])
def test_every_decoded_ending_is_found(tmp_path: Path, form: str, ending: str) -> None:
    assert set(FORMATS) >= {"JPEG", "PNG", "GIF", "BMP", "TIFF"}
    name = f"p{ending.upper() if len(ending) > 4 else ending}"
    text = {"metadata.jsonl": lines({"file_name": name, "text": "a cat"})} if form == "metadata" else {"p.txt": "a cat"}
    files: Files = {name: PNG, **text}
    source = write_tar(tmp_path / "set.tar", files) if form == "tar" else write(tmp_path / "set", files)
    assert read(source) == (["a cat"], [])


# Metadata

NAME = "caf\u00e9.png"
NFD = unicodedata.normalize("NFD", NAME)
TWO: Files = {"a.png": PNG, "b.png": PNG}
CATS = [{"file_name": "a.png", "text": "a"}, {"file_name": "b.png", "text": "b"}]

PLACES: list[tuple[Files, list[str], list[tuple[str, str]]]] = [
    # files, captions, parts of the problems (kind, detail)
    ({**TWO, "metadata.jsonl": lines(*CATS)}, ["a", "b"], []),
    ({**TWO, "Metadata.JSONL": lines(*CATS)}, ["a", "b"], []),
    ({**TWO, "metadata.jsonl": lines(*CATS).encode("utf-16")}, ["a", "b"], []),
    ({**TWO, "metadata.jsonl": b"\xef\xbb\xbf" + lines(*CATS).encode()}, ["a", "b"], []),
    ({**TWO, "metadata.jsonl": lines(*CATS).replace("\n", "\r\n\r\n")}, ["a", "b"], []),
    ({"m/metadata.jsonl": lines({"file_name": "../i/a.png", "text": "a"}), "i/a.png": PNG}, ["a"], []),
    ({"z/metadata.jsonl": lines({"file_name": "../i/a.png", "text": "a"}), "i/a.png": PNG}, ["a"], []),
    ({"metadata.jsonl": lines({"file_name": "i\\a.png", "text": "a"}), "i/a.png": PNG}, ["a"], []),
    ({"metadata.jsonl": lines({"file_name": ".\\I\\A.PNG", "text": "a"}), "i/a.png": PNG}, ["a"], []),
    ({"metadata.jsonl": lines({"file_name": "./i//a.png", "text": "a"}), "i/a.png": PNG}, ["a"], []),
    ({NFD: PNG, "metadata.jsonl": lines({"file_name": NAME, "text": "a"})}, ["a"], []),
    ({NAME: PNG, "metadata.jsonl": lines({"file_name": NFD, "text": "a"})}, ["a"], []),
    ({f"{NFD}/a.png": PNG, "metadata.jsonl": lines({"file_name": f"{NAME}/a.png", "text": "a"})}, ["a"], []),
    ({NFD: PNG, NAME.replace("png", "txt"): "a"}, ["a"], []),
    ({NAME: PNG, NFD.replace("png", "txt"): "a"}, ["a"], []),
    ({"a.png": PNG, "a.png.txt": "a"}, ["a"], []),
    *(
        ({"a.png": PNG, "metadata.jsonl": lines({name: "a.png", "Prompt": "a"})}, ["a"], [])
        for name in (
            "File_Name",
            "filename",
            "file",
            "image",
            "image_path",
            "path",
            "Image_Name",
            "filepath",
            "img_path",
        )
    ),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png", "text": None}), "a.txt": "a"}, ["a"], []),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png"}), "a.txt": "a"}, ["a"], []),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png", "x": 1})}, [], [(MISSING, "it has file_name, x")]),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png", "text": "\udc80"})}, [], [(BROKEN, "0x80")]),
    (
        {"a.png": PNG, "metadata.jsonl": '{"file_name": "a.png", "text": "caf\xe9"}'.encode("latin-1")},
        [],
        [(BROKEN, "not UTF-8 (0xe9)")],
    ),
    ({**TWO, "metadata.jsonl": lines(*CATS, CATS[0])}, ["a", "b"], [("duplicate member", "a second line for a.png")]),
    ({**TWO, "metadata.jsonl": lines(*CATS), "metadata.csv": "file_name,text\na.png,a\n"}, ["a", "b"], []),
    ({**TWO, "metadata.jsonl": f"{lines(CATS[0])}\n[1]\n{{\n{lines(CATS[1])}"}, ["a", "b"], [(METADATA, "")] * 2),
    ({**TWO, "metadata.jsonl": f"{'[' * 100_000}\n{lines(*CATS)}"}, ["a", "b"], [(METADATA, "nested too deeply")]),
    ({"a.png": PNG, "a.txt": "a", "metadata.jsonl": LFS}, ["a"], [(METADATA, "git lfs pull")]),
    (
        {"a.png": PNG, "a.txt": "a", "metadata.jsonl": lines({"file_name": "\ud83d.png", "text": "x"})},
        ["a"],
        [(MISSING, "half of a character")],
    ),
    (
        {"a.png": PNG, "a.txt": "a", "metadata.jsonl": lines({"file_name": "https://x.org/b.png", "text": "x"})},
        ["a"],
        [(MISSING, "download")],
    ),
    (
        {"a.png": PNG, "a.txt": "a", "metadata.jsonl": lines({"file_name": "x" * 5000, "text": "x"})},
        ["a"],
        [(MISSING, "no such picture")],
    ),
    (
        {"a.png": PNG, "a.txt": "a", "b.jp2": b"?", "metadata.jsonl": lines({"file_name": "b.jp2", "text": "b"})},
        ["a"],
        [("broken picture", ".jp2 is not decoded here")],
    ),
    ({**TWO, "metadata.csv": "file_name,text\na.png,a\nb.png,b\n"}, ["a", "b"], []),
    ({**TWO, "metadata.csv": "\ufefffile_name;text\r\na.png;a\r\nb.png;b\r\n"}, ["a", "b"], []),
    ({**TWO, "metadata.csv": "file_name\ttext\na.png\ta\nb.png\tb"}, ["a", "b"], []),
    ({**TWO, "metadata.tsv": "File_Name\tText\na.png\ta, really\nb.png\tb"}, ["a, really", "b"], []),
    ({**TWO, "metadata.csv": "sep=;\nfile_name;text\na.png;a\nb.png;b"}, ["a", "b"], []),
    (
        {**TWO, "metadata.csv": 'file_name,text\n"a.png","a ""big""\ncat, red"\n\nb.png,b'},
        ['a "big" cat, red', "b"],
        [],
    ),
    ({**TWO, "metadata.csv": "file_name,text\na.png,a\nb.png,b\n".encode("utf-16")}, ["a", "b"], []),
    ({**TWO, "metadata.csv": "image,captions\na.png,\"['a', 'x']\"\nb.png,['b'\n"}, ["['b'", "a"], []),
    ({**TWO, "metadata.jsonl": json.dumps(CATS)}, ["a", "b"], []),
    (
        {"a.png": PNG, "a.txt": "a", "metadata.jsonl": '{"file_name": "a.png", "n": ' + "9" * 5000 + "}"},
        ["a"],
        [(METADATA, "it has a number with thousands of digits")],
    ),
    # a name without a folder is that of the only file below; of two, of neither
    ({"Images/a.png": PNG, "metadata.csv": "image,caption\nA.png,a\n"}, ["a"], []),
    (
        {"x/a.png": PNG, "y/a.png": PNG, "metadata.csv": "image,caption\na.png,a\n"},
        [],
        [(MISSING, "no such picture"), (MISSING, "no caption"), (MISSING, "no caption")],
    ),
    (
        {"x/a.png": PNG, "y/metadata.csv": "image,caption\na.png,a\n"},
        [],
        [(MISSING, "no caption"), (MISSING, "no such picture")],
    ),
    (
        {"x/a.png": PNG, "metadata.csv": "image,caption\ny/a.png,a\n"},
        [],
        [(MISSING, "no such picture"), (MISSING, "no caption")],
    ),
    ({**TWO, "metadata.csv": 'image,captions\na.png,"[""a"", ""x""]"\nb.png,[b]'}, ["[b]", "a"], []),
    (
        {**TWO, "metadata.csv": "file_name,text\na.png,caf\xe9\nb.png,b\n".encode("latin-1")},
        ["b"],
        [(BROKEN, "not UTF-8 (0xe9)")],
    ),
    (
        {**TWO, "metadata.csv": "file_name,text\na.png,a cat, red\nb.png,b\n"},
        ["b"],
        [(MISSING, "no caption"), (METADATA, "put quotes around")],
    ),
    (
        {**TWO, "metadata.csv": 'file_name,text\na.png,"a cat\nb.png,b\n'},
        [],
        [(MISSING, "no caption"), (MISSING, "no caption"), (METADATA, "quote")],
    ),
    (
        {"a.png": PNG, "metadata.csv": "a.png,a cat\na.png,x\n"},
        [],
        [(MISSING, "no caption"), (METADATA, "it has a.png, a cat")],
    ),
]


@pytest.mark.parametrize(("files", "captions", "problems"), PLACES)
def test_metadata_gives_captions_wherever_the_pictures_are(
    tmp_path: Path, files: Files, captions: list[str], problems: list[tuple[str, str]]
) -> None:
    found, reported = read(write(tmp_path / "set", files))
    assert found == captions
    assert len(reported) == len(problems), reported
    for (kind, part), (got, _, detail) in zip(problems, reported, strict=True):
        assert kind == got and part in detail


def test_absolute_names_are_found_and_counted_once(tmp_path: Path) -> None:
    image = tmp_path / "set" / "images" / "a.png"
    source = write(
        tmp_path / "set", {"images/a.png": PNG, "m/metadata.jsonl": lines({"file": str(image), "text": "a"})}
    )
    assert read(source) == (["a"], [])
    os.rename(tmp_path / "set", tmp_path / "moved")
    found, problems = read(str(tmp_path / "moved"))
    assert not found and [kind for kind, *_ in problems] == [MISSING, MISSING]


def test_file_names_that_are_no_text_have_different_names(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for byte, text in ((b"\xe9", "a"), (b"\xe8", "b")):
        base = os.fsencode(tmp_path / "set") + b"/" + byte
        Path(os.fsdecode(base + b".png")).write_bytes(PNG)
        Path(os.fsdecode(base + b".txt")).write_text(text)
    corpus = open_corpora(str(tmp_path / "set"), DreamConfig())["train"]
    rows = {row.key: row.caption() for row in corpus.rows(0, 0, DataReport())}
    assert rows == {"\\udce9.png": "a", "\\udce8.png": "b"}


# Names that the user gives

GIVEN: list[tuple[Files, dict[str, str], list[str]]] = [
    ({"a.png": PNG, "a.cap": "a"}, {"caption": "cap"}, ["a"]),
    ({"a.png": PNG, "a.cap": "a", "a.txt": "x"}, {"caption": ".CAP"}, ["a"]),
    ({"a.png": PNG, "a.json": lines({"legend": "a", "text": "x"})}, {"caption": "legend"}, ["a"]),
    ({"a.png": PNG, "metadata.jsonl": lines({"file_name": "a.png", "Legend": "a"})}, {"caption": "legend"}, ["a"]),
    (
        {"a.png": PNG, "metadata.jsonl": lines({"scan": "a.png", "file": "x.png", "text": "a"})},
        {"picture": "scan"},
        ["a"],
    ),
    ({"a.png": PNG, "metadata.csv": "scan,legend\na.png,a\n"}, {"picture": "scan", "caption": "legend"}, ["a"]),
]


@pytest.mark.parametrize(("files", "names", "captions"), GIVEN)
def test_given_names_take_the_place_of_the_usual_ones(
    tmp_path: Path, files: Files, names: dict[str, str], captions: list[str]
) -> None:
    assert read(write(tmp_path / "set", files), **names) == (captions, [])
    if not any(name.startswith("metadata") for name in files):
        assert read(write_tar(tmp_path / "set.tar", files), **names) == (captions, [])


HINTS: list[tuple[Files, dict[str, str], str]] = [
    # files without a captioned picture, names, part of the hint
    ({"a.png": PNG}, {}, "none of its 1 pictures has a caption"),
    ({"a.png": PNG, "a.txt": "a"}, {"caption": "x"}, r"none named 'x' \(data.caption\): it has files .* .png, .txt"),
    ({"a.png": PNG, "metadata.csv": "file,legend\na.png,a"}, {}, "fields file, legend; .*--set data.caption=FIELD"),
    ({"a.png": PNG, "metadata.csv": "file,legend\na.png,a"}, {"caption": "x"}, "'x' .*has the fields file, legend"),
    ({"a.png": PNG, "metadata.csv": "scan,text\na.png,a"}, {}, "fields scan, text; .*data.picture=FIELD"),
    ({"a.heic": b"?", "a.txt": "a"}, {}, ".heic is not decoded here"),
    ({"data/t-0.parquet": b"PAR1"}, {}, "give it as 'hf:"),
    ({"t.arrow": b"?", "state.json": "{"}, {}, "give it as 'hf:"),
    ({"deep/t.tar": b"?"}, {}, r"tar shards, not pictures; give them as '.*/deep/\*.tar'"),
    ({"t.tar.gz": b"?"}, {}, "unpack"),
    ({"a.zip": b"?"}, {}, "unpack"),
    ({"readme.md": b"?"}, {}, r"no pictures \(readme.md\)"),
    ({".git/a.png": PNG}, {}, "nothing at all"),
    ({"i/a.png": PNG, "metadata.csv": "file,text\nj/a.png,a"}, {}, "names pictures that are not there; .*as 'i/a.png'"),
    ({"i/a.png": PNG, "text/a.txt": "a"}, {}, "like 'text/a.txt' are not next to the pictures, as 'i/a.png'"),
    *(
        ({"Images/a.png": PNG, name: "x"}, {}, rf"/{name}' may have them: .*{{\"file_name\": \"Images/a.png\"")
        for name in (
            "captions.txt",
            "Flickr8k.token.txt",
            "results.csv",
            "annotations/captions.json",
            "dataset_coco.json",
        )
    ),
    (
        {
            "train2017/a.png": PNG,
            "val2017/a.png": PNG,
            "annotations/captions_train2017.json": "{}",
            "annotations/a.json": "",
        },
        {},
        "annotations/captions_train2017.json' may have them",
    ),
]


@pytest.mark.parametrize(("files", "names", "part"), HINTS)
def test_a_folder_without_captioned_pictures_says_what_it_has(
    tmp_path: Path, files: Files, names: dict[str, str], part: str
) -> None:
    corpus = open_corpora(write(tmp_path / "set", files), config(**names))["train"]
    assert not list(corpus.rows(0, 0, DataReport()))
    with pytest.raises(AssertionError, match=part):
        raise AssertionError(corpus.hint())


def test_a_tar_without_captions_says_which_files_it_has(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "t.tar", {"a.png": PNG, "a.words": "a"})
    hint = open_corpora(source, config(caption="legend"))["train"].hint()
    assert "needs a .legend" in hint and "'t.tar' has files that end in .png, .words" in hint


@pytest.mark.parametrize("name", ["a.png", "metadata.jsonl", "captions.txt", "results.csv", "a.heic"])
def test_a_single_file_is_refused_with_the_folder_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["data", f"{write(tmp_path / 'set', {name: 'x'})}/{name}"]) == 2
    assert f"give the folder that holds pictures and captions, as '{tmp_path}/set'" in capsys.readouterr().err


def test_dream_data_takes_the_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "set", {"a.png": PNG, "metadata.csv": "scan,legend\na.png,a\n"})
    assert main(["data", source]) == 2
    assert "its metadata has the fields scan, legend" in capsys.readouterr().err
    assert main(["data", source, "--set", "data.caption=legend", "data.picture=scan"]) == 0
    assert "1 good" in capsys.readouterr().out
