"""Only regular files are read, none without a bound, and nothing outside of the folder a process is confined to."""

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.data import transforms
from dream.data.content import INSIDE, MOST_CAPTION
from dream.data.paths import expand_braces
from dream.data.sources import open_source
from dream.data.transforms import BrokenPicture, memory_to_decode, open_picture
from dream.errors import InputError
from tests.dream.training.training_small import small_config, write_pictures
from workbench.workspace import Workspace, confine


def problems(source) -> dict[str, str]:
    """Details of what a source found wrong, by key."""
    found = open_source(str(source), small_config(), split="all")
    found.fixed(100)
    return {key: detail for _, _, key, detail in found.report.problems()}


@pytest.fixture
def pictures(tmp_path) -> Path:
    return write_pictures(tmp_path / "pictures", 6)


def replaced(path: Path, make) -> None:
    path.unlink()
    make(path)


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
def test_what_is_no_file_is_named_and_not_waited_for(pictures, kind, monkeypatch):
    makes = {"a named pipe": os.mkfifo, "a device": lambda path: path.symlink_to("/dev/zero")}
    monkeypatch.chdir(pictures)  # a socket's path is short
    bind = lambda path: socket.socket(socket.AF_UNIX).bind(path.name)  # noqa: E731
    make = makes.get(kind, bind)
    for name in ("000.png", "001.txt"):
        replaced(pictures / name, make)
    make(pictures / "metadata.jsonl")
    found = " ".join(problems(pictures).values())
    assert found.count(kind) >= 2, found


def test_captions_and_members_without_bound_are_not_read(pictures):
    (pictures / "000.txt").write_text("a" * (MOST_CAPTION + 1))
    assert "more than 1,048,576" in problems(pictures)["000.png"]
    tar = pictures.parent / "shard-0.tar"
    with tarfile.open(tar, "w") as file:
        for number in range(3):
            for ending in ("png", "txt"):
                file.add(pictures / f"{number:03d}.{ending}", f"{number}.{ending}")
    assert "more than 1,048,576" in problems(tar)["0"]


def test_a_line_of_metadata_without_end_is_a_problem_and_no_more(pictures, monkeypatch):
    monkeypatch.setattr("dream.data.corpora.metadata.MOST_LINE", 1000)
    lines = [json.dumps({"file_name": "000.png", "text": "a cat"}), json.dumps({"file_name": "1", "text": "x" * 2000})]
    (pictures / "metadata.jsonl").write_text("\n".join(lines))
    assert any("a line of more than 1,000" in detail for detail in problems(pictures).values())


def test_links_and_entries_that_leave_the_workspace_are_refused_unless_it_allows_them(pictures, monkeypatch):
    root = pictures.parent / "workspace"
    inside = write_pictures(root.mkdir() or root / "data", 4)
    (inside / "link.png").symlink_to(pictures / "000.png")
    (inside / "link.txt").write_text("a picture of somebody else")
    replaced(inside / "001.txt", lambda path: path.symlink_to(pictures / "001.txt"))
    (inside / "folder").symlink_to(pictures)
    entry = {"file_name": "../../pictures/002.png", "text": "another one"}
    (inside / "metadata.jsonl").write_text(json.dumps(entry))
    monkeypatch.delenv(INSIDE, raising=False)
    assert "leads out" not in str(problems(inside))
    monkeypatch.setenv(INSIDE, "")
    confine(Workspace(root, outside=True))
    assert os.environ[INSIDE] == ""
    confine(Workspace(root))
    found = {key: detail for key, detail in problems(inside).items() if "leads out of" in detail}
    assert {"link.png", "001.png", "folder"} <= found.keys() and len(found) == 4
    good = open_source(str(inside), small_config(), split="all").fixed(100)
    assert {key.rpartition("/")[2] for key in good.keys} == {"000.png", "002.png", "003.png"}


@pytest.mark.parametrize("text", ["x" * 300, "a/" * 3000, "\0", "~nobody-of-this-name/x"])
def test_a_path_that_none_can_be_is_refused_in_a_sentence(tmp_path, text):
    with pytest.raises(InputError):
        Workspace(tmp_path).path(text)


def test_shards_are_expanded_one_by_one():
    names = expand_braces("{a,b}-{000000..499999}.tar")
    assert next(names) == "a-000000.tar" and next(names) == "a-000001.tar"
    with pytest.raises(InputError, match="names 1,000,002 files"):
        expand_braces("{a,b}-{000000..500000}.tar")


def png(size, mode) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size).save(content, "PNG")
    return content.getvalue()


def test_a_picture_that_takes_too_much_memory_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(transforms, "MAX_MEMORY", 8 * 1000)
    for size, mode, fits in (((50, 40), "RGB", True), ((20, 50), "RGBA", True), ((50, 21), "RGBA", False)):
        if fits:
            open_picture(png(size, mode))
        else:
            with pytest.raises(BrokenPicture, match=r"of mode RGBA take .* MB to decode"):
                open_picture(png(size, mode))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "I;16", "F", "I"])
def test_pictures_in_bands_are_those_in_one_piece(monkeypatch, mode):
    rng = np.random.default_rng(0)
    if mode in ("RGBA", "LA", "PA", "P"):
        image = Image.fromarray(rng.integers(0, 256, (37, 23, 4), dtype=np.uint8), "RGBA")
        image = image.convert("P" if mode in ("P", "PA") else mode)
        image = image.convert(mode)
    else:
        numbers = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((rng.random((37, 23)) * (1 if mode == "F" else 60000)).astype(numbers))
    whole = np.asarray(transforms._as_rgb(image))
    monkeypatch.setattr(transforms, "_BAND", 5)
    assert np.array_equal(np.asarray(transforms._as_rgb(image)), whole)


MEASURED = """
import io, resource, sys
import numpy as np
from PIL import Image
from dream.data import transforms
mode, format, options = sys.argv[1], sys.argv[2], eval(sys.argv[3])
side = 512
make = lambda side: Image.new(mode, (side, side))
def content(side):
    file = io.BytesIO(); make(side).save(file, format, **options); return file.getvalue()
transforms.open_picture(content(64))
per = transforms.memory_to_decode(Image.open(io.BytesIO(content(64)))) / 64**2
side = int((100e6 / per) ** 0.5)
data = content(side)
with open("/proc/self/clear_refs", "w") as file: file.write("5")
peak = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
before = int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) * 1024
transforms.open_picture(data)
print((peak() - before) / 1e6)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "format_", "options"),
    [
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("I;16", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", "JPEG", {}),
        ("RGB", "WEBP", {"method": 0}),
        ("RGBA", "WEBP", {"method": 0}),
        ("RGB", "AVIF", {"speed": 10}),
        ("F", "TIFF", {}),
        ("RGBA", "TIFF", {}),
    ],
)
def test_the_estimate_of_memory_is_none_too_small(mode, format_, options):
    """At an estimate of 100 MB, no more than 120 are taken."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, mode, format_, str(options)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 120, f"{done.stdout} MB where 100 were estimated"


def test_the_estimate_is_of_the_header_alone():
    image = Image.open(io.BytesIO(png((300, 100), "RGB")))
    assert memory_to_decode(image) == 300 * 100 * 4
