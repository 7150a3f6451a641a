"""Tars as they come: every dialect, link, name and kind of junk gives the same samples, or says what is wrong.

To add an instance, add a row.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dream.data.corpora.shards import TarShards
from dream.data.corpora.tar_walk import read_member, walk_tar
from dream.data.paths import shard_paths
from dream.data.report import DataReport
from dream.errors import InputError

Entry = tuple[str, bytes] | tarfile.TarInfo


def picture(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 0, 0)).save(out, "BMP")
    return out.getvalue()


PICTURES = [picture(number) for number in range(3)]


def samples(*names: str) -> list[Entry]:
    """A picture and a text, the name itself, per name."""
    return [
        entry
        for number, name in enumerate(names)
        for entry in ((f"{name}.png", PICTURES[number]), (f"{name}.txt", f"text {number}".encode()))
    ]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def packed(entries: list[Entry], form: int = tarfile.GNU_FORMAT, **options: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **options) as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                tar.addfile(info, io.BytesIO(entry[1]))
    return out.getvalue()


def unended(entries: list[Entry]) -> bytes:
    """The tar without its end mark."""
    return padded(packed(entries).rstrip(b"\0"))


def block(name: bytes, size: int, kind: bytes = b"0", *, signed: bool = False, **fields: tuple[int, bytes]) -> bytes:
    """A header made by hand, in v7's fashion: no magic, nothing after the name of the link."""
    header = bytearray(512)
    for place, value in ((0, name), (100, b"0000644\0"), (124, b"%011o\0" % size), (156, kind), *fields.values()):
        header[place : place + len(value)] = value
    header[148:156] = b" " * 8
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in header)
    header[148:156] = b"%06o\0 " % total
    return bytes(header)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def by_hand(entries: list[tuple[bytes, bytes]], *, signed: bool = False) -> bytes:
    blocks = [block(name, len(content), signed=signed) + padded(content) for name, content in entries]
    return b"".join(blocks) + bytes(1024)


V7 = [(b"a.png", PICTURES[0]), (b"a.txt", b"text 0"), (b"b.png", PICTURES[1]), (b"b.txt", b"text 1")]


def damaged_v7() -> bytes:
    content = bytearray(by_hand([(b"x.png", PICTURES[2]), *V7]))
    content[3] ^= 0xFF
    return bytes(content)


def sparse(map_blocks: int) -> bytes:
    """GNU's old form of a sparse file: a zero of 100 kB, then a picture, with further blocks of the map."""
    hole = 100_000
    size = hole + len(PICTURES[0])
    number = b"%011o\0"
    entry = number % hole + number % len(PICTURES[0])
    fields = {"magic": (257, b"ustar  \0"), "map": (386, entry), "real": (483, number % size)}
    if map_blocks:
        fields["more"] = (482, b"\1")
    further = b"".join(bytes(504) + bytes([n + 1 < map_blocks]) + bytes(7) for n in range(map_blocks))
    return block(b"hole.png", len(PICTURES[0]), b"S", **fields) + further + padded(PICTURES[0])


def pax(records: dict[bytes, bytes]) -> bytes:
    """A pax header with any bytes in its records."""
    lines = b""
    for key, value in records.items():
        rest = b" " + key + b"=" + value + b"\n"
        length = next(n for n in range(len(rest), len(rest) + 20) if n == len(rest) + len(str(n)))
        lines += str(length).encode() + rest
    return block(b"pax", len(lines), b"x", magic=(257, b"ustar\00000")) + padded(lines)


DEEP = "/".join(["d" * 120] * 4)
AB = ["a", "b"]
END = bytes(1024)
GOOD: dict[str, tuple[bytes, list[str]]] = {
    # name: (bytes of the tar, keys of its samples in order)
    "ustar": (packed(samples("a", "b"), tarfile.USTAR_FORMAT), AB),
    "GNU": (packed(samples("a", "b")), AB),
    "pax": (packed(samples("a", "b"), tarfile.PAX_FORMAT), AB),
    "v7": (by_hand(V7), AB),
    "v7 after damage": (damaged_v7(), AB),
    "checksums of signed bytes": (by_hand([(b"\xe9" + n, c) for n, c in V7], signed=True), [r"\xe9a", r"\xe9b"]),
    "prefix of ustar": (packed(samples(f"{'p' * 99}/a"), tarfile.USTAR_FORMAT), [f"{'p' * 99}/a"]),
    "GNU, 480 characters": (packed(samples(f"{DEEP}/a")), [f"{DEEP}/a"]),
    "pax, 480 characters": (packed(samples(f"{DEEP}/a"), tarfile.PAX_FORMAT), [f"{DEEP}/a"]),
    "pax, global header": (packed(samples("a"), tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 900}), ["a"]),
    "pax, 3 MB of attributes": (
        pax({b"LIBARCHIVE.xattr.x": bytes(3 << 20), b"path": b"long.png"})
        + block(b"x", len(PICTURES[0]))
        + padded(PICTURES[0])
        + packed([("long.txt", b"text 0")]),
        ["long"],
    ),
    "names of Latin-1": (
        by_hand([(b"caf\xe9.png", PICTURES[0]), (b"caf\xe8.png", PICTURES[1])])
        + by_hand([(b"caf\xe9.txt", b"text 0"), (b"caf\xe8.txt", b"text 1")]),
        [r"caf\xe9", r"caf\xe8"],
    ),
    "dots first": (packed(samples("./a", "././b")), AB),
    "concatenated": (packed(samples("a")) + packed([("b.png", PICTURES[1]), ("b.txt", b"text 1")]), AB),
    "folders between": (
        packed([link("a", "", tarfile.DIRTYPE), *samples("a/a"), link("b", "", tarfile.DIRTYPE)]),
        ["a/a"],
    ),
    "a folder with a size": (unended([link("a", "", tarfile.DIRTYPE, size=4096)]) + packed(samples("a/a")), ["a/a"]),
    "devices and pipes": (
        packed([link("c", "", tarfile.CHRTYPE), link("f", "", tarfile.FIFOTYPE), *samples("a")]),
        ["a"],
    ),
    "contiguous files": (
        block(b"a.png", len(PICTURES[0]), b"7") + padded(PICTURES[0]) + packed([("a.txt", b"text 0")]),
        ["a"],
    ),
    "files of macOS": (
        packed([("._a.png", b"x"), ("__MACOSX/._a.png", b"x"), ("__MACOSX/._a.txt", b"y"), *samples("a")]),
        ["a"],
    ),
    "a hard link": (packed([*samples("a"), link("b.png", "a.png", tarfile.LNKTYPE), ("b.txt", b"text 0")]), AB),
    "a hard link, its size without data": (
        unended([*samples("a"), link("b.png", "a.png", tarfile.LNKTYPE, size=66)]) + packed([("b.txt", b"text 0")]),
        AB,
    ),
    "a hard link with data": (
        block(b"a.png", len(PICTURES[0]), b"1", target=(157, b"elsewhere"))
        + padded(PICTURES[0])
        + packed([("a.txt", b"text 0")]),
        ["a"],
    ),
    "a link": (packed([*samples("x/a"), link("b.png", "x/a.png"), link("b.txt", "x/a.txt")]), ["x/a", "b"]),
    "a link forward": (
        packed([link("y/a.png", "../x/p.png"), ("y/a.txt", b"text 0"), *samples("x/p")]),
        ["y/a", "x/p"],
    ),
    "a link to a link": (
        packed([link("a.png", "l"), link("l", "./p.dat"), ("p.dat", PICTURES[0]), ("a.txt", b"text 0")]),
        ["a"],
    ),
    "a link through a folder": (
        packed([link("now", "v2"), link("a.png", "now/p.dat"), ("v2/p.dat", PICTURES[0]), ("a.txt", b"text 0")]),
        ["a"],
    ),
    "a link of a long name": (
        packed([(f"{DEEP}/p.dat", PICTURES[0]), link("a.png", f"{DEEP}/p.dat"), ("a.txt", b"text 0")]),
        ["a"],
    ),
    "a link of a long name, pax": (
        packed(
            [(f"{DEEP}/p.dat", PICTURES[0]), link("a.png", f"{DEEP}/p.dat"), ("a.txt", b"text 0")], tarfile.PAX_FORMAT
        ),
        ["a"],
    ),
}


def rows_of(path: Path) -> tuple[list, DataReport]:
    corpus, report = TarShards("t", [path]), DataReport()
    return list(corpus.rows(0, 0, report)), report


def content_of(name: str, tmp_path: Path) -> Iterator[tuple[str, str, bytes]]:
    path = tmp_path / "t.tar"
    path.write_bytes(GOOD[name][0])
    rows, report = rows_of(path)
    allowed = {"damaged header"} if "damage" in name else set()
    assert set(report.by_kind()) <= allowed, report.summary()
    return ((row.key, row.caption(), row.picture()) for row in rows)


@pytest.mark.parametrize("name", GOOD)
def test_every_dialect_holds_the_same_samples(tmp_path: Path, name: str) -> None:
    found = list(content_of(name, tmp_path))
    assert [key for key, _, _ in found] == GOOD[name][1]
    for _, caption, image in found:
        assert image == PICTURES[int(caption.removeprefix("text "))]


@pytest.mark.parametrize("map_blocks", [0, 1, 3])
def test_a_sparse_file_has_its_holes(tmp_path: Path, map_blocks: int) -> None:
    path = tmp_path / "t.tar"
    path.write_bytes(sparse(map_blocks) + packed(samples("a")))
    contents = walk_tar(path)
    assert [m.name for m in contents.members] == ["hole.png", "a.png", "a.txt"] and not contents.damages
    assert read_member(path, contents.members[0]) == bytes(100_000) + PICTURES[0]


@pytest.mark.parametrize("form", ["0.0", "0.1", "1.0"])
def test_sparse_files_of_pax_have_their_holes_and_their_names(tmp_path: Path, form: str) -> None:
    start, size = 5120, 5120 + len(PICTURES[0])
    records = {b"GNU.sparse.size": b"%d" % size, b"GNU.sparse.numblocks": b"1"}
    data, name = PICTURES[0], b"hole.png"
    if form == "0.0":
        records |= {b"GNU.sparse.offset": b"%d" % start, b"GNU.sparse.numbytes": b"%d" % len(data)}
    elif form == "0.1":
        records |= {b"GNU.sparse.map": b"%d,%d" % (start, len(data)), b"GNU.sparse.name": b"hole.png"}
        name = b"GNUSparseFile.1/hole.png"
    else:
        records = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"%d" % size}
        records[b"GNU.sparse.name"], name = b"hole.png", b"GNUSparseFile.1/hole.png"
        data = padded(b"1\n%d\n%d\n" % (start, len(data))) + data
    path = tmp_path / "t.tar"
    path.write_bytes(pax(records) + block(name, len(data)) + padded(data) + packed([("hole.txt", b"text 0")]))
    rows, report = rows_of(path)
    assert [row.key for row in rows] == ["hole"] and not report.total
    assert rows[0].picture() == bytes(start) + PICTURES[0]


LOST = {
    # name: (entries, key of the sample that is missing, part of the reason)
    "a link out of the tar": ([link("a.png", "/data/a.png"), ("a.txt", b"x")], "a", "link to '/data/a.png'"),
    "a link to nothing": ([link("d/a.png", "b.png"), ("d/a.txt", b"x")], "d/a", "link to 'd/b.png', which is not"),
    "links in a circle": ([link("a.png", "b.png"), link("b.png", "a.png"), ("a.txt", b"x")], "a", "link to 'b.png'"),
    "a link to itself": ([link("a.png", "a.png"), ("a.txt", b"x")], "a", "link to 'a.png'"),
    "a folder that links to itself": ([link("l", "l/l"), link("a.png", "l/x"), ("a.txt", b"x")], "a", "link to 'l/x'"),
    "a text that links out": (
        [("a.png", PICTURES[0]), link("a.txt", "../../etc/passwd")],
        "a",
        "link to '../../etc/passwd'",
    ),
    "a second member": ([*samples("a"), ("a.txt", b"other")], "a.txt", "the first is used"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_a_tar_lacks_is_named_once(tmp_path: Path, name: str) -> None:
    entries, key, reason = LOST[name]
    path = tmp_path / "t.tar"
    path.write_bytes(packed(entries) if "second" in name else packed([*entries, *samples("good")]))
    rows, report = rows_of(path)
    assert [row.key for row in rows] == (["a"] if "second" in name else ["good"])
    told = {found: text for _, _, found, text in report.problems()}
    assert reason in told[key]
    assert "circle" in name or len(told) == 1


NO_TAR = {
    # name: (bytes, part of the reason)
    "an empty file": (b"", "an empty file"),
    "an empty tar": (bytes(10240), "an empty tar"),
    "folders only": (packed([link("a", "", tarfile.DIRTYPE)]), "it holds no file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(600), "compressed with gzip.*unpack"),
    "bzip2": (b"BZh9" + bytes(600), "compressed with bzip2"),
    "xz": (b"\xfd7zXZ\0" + bytes(600), "compressed with xz"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(600), "compressed with zstd"),
    "zip": (b"PK\x03\x04" + bytes(600), "a zip file"),
    "parquet": (b"PAR1" + bytes(600), "hf:FOLDER"),
    "HTML": (b"<!DOCTYPE html><html>not found", "a page of HTML"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", "git lfs pull"),
    "noise": (b"noise" * 300, "no tar header"),
}


@pytest.mark.parametrize("name", NO_TAR)
def test_what_is_no_tar_is_named(tmp_path: Path, name: str) -> None:
    content, reason = NO_TAR[name]
    path = tmp_path / "t.tar"
    path.write_bytes(content)
    rows, report = rows_of(path)
    ((kind, _, _, told),) = report.problems()
    assert rows == [] and kind == "unreadable shard"
    assert re.search(reason, told), told


def test_a_sparse_file_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    number = b"%011o\0"
    fields = {"magic": (257, b"ustar  \0"), "map": (386, number % 0 + number % 4), "real": (483, number % (7 << 30))}
    path.write_bytes(block(b"a.png", 4, b"S", **fields) + padded(b"abcd") + END)
    with pytest.raises(OSError, match="a sparse file of 7,516,192,768 bytes"):
        read_member(path, walk_tar(path).members[0])


NAMED = {
    # source: names of the tars that it stands for
    "my [data]/a-*.tar": ["my [data]/a-0.tar", "my [data]/a-1.tar"],
    "my [data]/a-[01].tar": ["my [data]/a-0.tar", "my [data]/a-1.tar"],
    "my [data]/a-{0..1}.tar": ["my [data]/a-0.tar", "my [data]/a-1.tar"],
    "my [data]/b [1]-*.tar": ["my [data]/b [1]-0.tar"],
    "{v1}/a-*.tar": ["{v1}/a-0.tar", "{v1}/a-1.tar"],
    "{v1}/a-{0..1}.tar": ["{v1}/a-0.tar", "{v1}/a-1.tar"],
    "{v1}/{v1}-*.tar": ["{v1}/{v1}-0.tar"],
    "{x,y}/a-{0,1}.tar": ["{x,y}/a-0.tar", "{x,y}/a-1.tar"],
    "*/a-0.tar": ["my [data]/a-0.tar", "{v1}/a-0.tar", "{x,y}/a-0.tar"],
    "{v1}/a-0.tar::{x,y}/a-*.tar": ["{v1}/a-0.tar", "{x,y}/a-0.tar", "{x,y}/a-1.tar"],
    "{v1}/**/a-0.tar": ["{v1}/a-0.tar"],  # though a link leads back
    "file:{v1}/a-0.tar": ["{v1}/a-0.tar"],
    "{v1}/T.TAR": ["{v1}/T.TAR"],
}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("my [data]", "{v1}", "{x,y}"):
        Path(folder).mkdir()
        for name in ("a-0.tar", "a-1.tar"):
            Path(folder, name).touch()
    for name in ("my [data]/b [1]-0.tar", "{v1}/{v1}-0.tar", "{v1}/T.TAR"):
        Path(name).touch()
    Path("{v1}/loop").symlink_to(".")
    Path("odd").mkdir()
    for name in ("a.tar.gz", "a.tgz", "a.tar.zst", "a.zip", "a.parquet", "a.jpg"):
        Path("odd", name).touch()
    Path("odd/lost.tar").symlink_to("gone.tar")
    Path("odd/self.tar").symlink_to("self.tar")
    os.mkfifo("odd/pipe.tar")


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("source", NAMED)
def test_names_with_brackets_and_braces_are_found(source: str) -> None:
    assert [str(path) for path in shard_paths(source)] == NAMED[source]


REFUSED = {
    # source: part of the reason
    "odd/a.tar.gz": "is compressed.*gunzip -k 'odd/a.tar.gz'",
    "odd/a.tgz": "is compressed.*gunzip",
    "odd/*.zst": "is compressed.*unzstd",
    "odd/a.zip": "unpack it",
    "odd/*.parquet": "'hf:.*/odd'",
    "odd/a.jpg": "is a single file, not a .tar shard: give the folder",
    "odd/lost.tar": "is a link to 'gone.tar', which leads to nothing",
    "odd/self.tar": "is a link to 'self.tar', which leads to nothing",
    "odd/pipe.tar": "a pipe or a device",
    "pipe:cat a.tar": "is a command, which is not run",
    "odd": "is a folder",
    "{v1}/a-0.tar::{v1}/a-7.tar": "there is no '{v1}/a-7.tar'",
    "::": "names nothing",
    "{v1}/{x}.tar": "write a range",
    "a-{0..999999999999}.tar": "names 1,000,000,000,000 files",
    f"{'y' * 300}.tar": "there is no 'yyy",
    f"{'y' * 300}-*.tar": "no file matches 'yyy",
    "a\0b.tar": "there is no 'a",
}


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("source", REFUSED)
def test_what_cannot_be_a_shard_is_refused_in_a_sentence(source: str) -> None:
    with pytest.raises(InputError, match=REFUSED[source]) as raised:
        shard_paths(source)
    assert "\n" not in str(raised.value)
