"""Files of JSON: whatever is wrong with one is a sentence that names it, and nothing waits for ever."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from dream.errors import InputError
from dream.json_text import MOST_BYTES, read_as, read_bounded, read_json, read_json_object


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Outer:
    name: str
    share: float
    inner: Inner
    place: Path
    sizes: tuple[int, ...] = ()
    counts: dict[str, int] | None = None


WHOLE = '{"name": "a", "share": 1, "inner": {"size": 2, "new": 0}, "place": "x/y", "sizes": [1, 2], "counts": {"a": 1}}'


def test_a_record_becomes_what_it_describes(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(WHOLE)
    assert read_as(file, Outer) == Outer("a", 1.0, Inner(2), Path("x/y"), (1, 2), {"a": 1})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"name": "a", ', "", "lacks 'name'"),
        ('"a", "share"', '7, "share"', "name must be of type str"),
        ('"share": 1', '"share": 1e999', "share must be a finite number"),
        ('"share": 1', '"share": 1' + "0" * 400, "share must be a finite number"),
        ('"share": 1', '"share": true', "share must be of type float"),
        ('"size": 2', '"size": 2.5', "inner.size must be of type int"),
        ('{"size": 2, "new": 0}', "[2]", "inner must be an object"),
        ("[1, 2]", '"12"', "sizes must be a list"),
        ('{"a": 1}', '{"a": null}', "counts.a must be of type int"),
        ('"x/y"', '"x\\u0000"', "place must be of type Path"),
        (WHOLE, "[" * 100_000, "nested too deeply"),
        (WHOLE, "[]", "does not hold an object"),
        (WHOLE, WHOLE[:40], "not JSON"),
    ],
)
def test_what_it_does_not_describe_is_a_sentence(tmp_path, old, new, words):
    file = tmp_path / "a.json"
    file.write_text(WHOLE.replace(old, new))
    with pytest.raises(InputError, match=words) as caught:
        read_as(file, Outer)
    assert str(file) in str(caught.value) and len(str(caught.value)) < 400


def test_only_regular_files_are_read(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path, kind in ((pipe, "named pipe"), (folder, "folder"), (Path("/dev/zero"), "device")):
            with pytest.raises(InputError, match=kind):
                read_json(path)
        with pytest.raises((InputError, OSError)):
            read_json(tmp_path / "socket")
    with pytest.raises(FileNotFoundError):
        read_json_object(tmp_path / "none.json")


def test_no_file_is_read_without_a_bound(tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as handle:
        handle.truncate(MOST_BYTES + 1)  # sparse: it takes no disk
    with pytest.raises(InputError, match="more than"):
        read_json(file)
    assert read_bounded(file, MOST_BYTES + 1).count(b"\0") == MOST_BYTES + 1
