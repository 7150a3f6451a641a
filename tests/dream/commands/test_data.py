"""`dream data`: what it prints of good and of damaged sources, and what it refuses."""

import io
import tarfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dream.__main__ import main
from dream.commands.data import ReadingProgress
from dream.data.corpora.shards import TarShards
from dream.data.survey import Spread, Survey, survey


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Two shards of 30 samples each with sides 20 to 49; the second has damage of most kinds."""
    for shard in range(2):
        files = {}
        for n in range(30):
            files[f"{shard}{n:03d}.jpg"] = picture(20 + n, 60, "JPEG")
            files[f"{shard}{n:03d}.txt"] = b"one of many" if n < 10 else f"picture number {n} of {shard}".encode()
        if shard:
            files |= {f"1{n:03d}.jpg": b"?" for n in range(12)} | {"1020.txt": b""}
            del files["1021.txt"]
        write_tar(tmp_path / f"s-{shard}.tar", files)
    return str(tmp_path / "s-{0..1}.tar")


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["data", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_counts_sizes_captions_and_damage_are_printed(
    shards: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, out, err = output(capsys, shards, "--size", "25")
    assert (code, err) == (0, "")
    assert "46 good in 2 shards" in out
    assert "JPEG 46; colours RGB 46" in out
    assert "height 60 / 60 / 60" in out and "width 20 / " in out
    assert "5 have a side below 25" in out
    assert "10 times: one of many" in out and "37 different; 9 repeat" in out
    assert "14 problems" in out
    assert "broken picture: 12" in out and "and 2 more" in out and "1000: not a JPEG" in out
    assert "empty caption: 1" in out and "1021: no caption next to 1021.jpg" in out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_limit_looks_at_the_first_samples_only(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = output(capsys, shards, "--limit", "7")
    assert code == 0 and "7 good in 2 shards, the first of more" in out and "for validation" not in out


def test_a_cut_and_flipped_shard_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        f"{n:03d}.{end}": picture(16, 16) if end == "png" else b"words" for n in range(40) for end in ("png", "txt")
    }
    content = bytearray(write_tar(tmp_path / "whole.tar", files).read_bytes())
    rng = np.random.default_rng(2)
    for place in rng.integers(0, len(content) // 2, 60):
        content[place] ^= 1 << int(rng.integers(8))
    (tmp_path / "cut.tar").write_bytes(content[: len(content) // 2 + 700])
    code, out, _ = output(capsys, str(tmp_path / "cut.tar"))
    assert code == 0
    assert "truncated tar: 1" in out and "damaged header" in out and "for validation" in out


def test_nothing_good_at_all_is_still_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = output(capsys, str(write_tar(tmp_path / "a.tar", {"1.png": b"?", "1.txt": b"words"})))
    assert code == 2 and "0 good in 1 shard" in out and "1: not a JPEG" in out
    assert err.count("\n") == 1 and "every sample of" in err and "a.tar/1: not a JPEG" in err
    (tmp_path / "b.tar").write_bytes(b"not a tar" * 200)
    code, out, err = output(capsys, str(tmp_path / "b.tar"))
    assert code == 2 and "no tar header found" in out and "no captioned picture" in err


def test_splits_are_described_before_one_without_good_samples_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, content in (("train", b"?"), ("val", picture(16, 16))):
        (tmp_path / split).mkdir()
        (tmp_path / split / "1.png").write_bytes(content)
        (tmp_path / split / "1.txt").write_text("words")
    code, out, err = output(capsys, str(tmp_path))
    assert code == 2 and out.index("train split") < out.index("val split") and "1 good" in out
    assert f"every sample of '{tmp_path / 'train'}' is broken" in err


@pytest.mark.parametrize(
    ("captions", "pictures", "said"),
    [
        (["a cat"] * 3, [8, 9, 10], "all captions are the same ('a cat')"),
        (["a cat", "A Cat"], [8, 9], "all captions are the same ('a cat')"),
        (["a cat", "a dog"], [8, 8], "all pictures are the same"),
        (["a cat"], [8], "there is a single sample"),
        (["a cat", "a dog"], [8, 9], ""),
    ],
)
def test_data_that_teach_no_alignment_are_said_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], captions: list[str], pictures: list[int], said: str
) -> None:
    files = {f"{n}.png": picture(side, side) for n, side in enumerate(pictures)}
    files |= {f"{n}.txt": caption.encode() for n, caption in enumerate(captions)}
    code, out, _ = output(capsys, str(write_tar(tmp_path / "a.tar", files)))
    assert code == 0 and ("the contrastive objective learns nothing" in out) == bool(said) and said in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/missing"], "there is no"),
        (["{}"], "it holds no pictures"),
        (["{}/*.tar"], "no file matches"),
        (["shapes", "--limit", "0"], "--limit must be at least 1"),
        (["shapes", "--size", "-3"], "--size must be at least 1"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, out, err = output(capsys, *(text.format(tmp_path) for text in arguments))
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_the_grammar_of_shapes_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = output(capsys, "shapes", "--limit", "3", "--size", "32")
    assert code == 0 and out.count("e.g.") == 12
    assert "level 0     72 different scenes" in out  # 3 grounds, 4 shapes, 6 colours
    assert "level 1     3,384 different scenes" in out  # and 2 relations of 24 * 23 pairs


def test_a_survey_counts_every_row_of_every_window(shards: str) -> None:
    paths = [Path(shards.replace("{0..1}", str(n))) for n in range(2)]
    seen = [(found.rows, found.expected) for found in survey(TarShards("s", paths, window_rows=7))]
    *_, last = survey(TarShards("s", paths, window_rows=7))
    assert last.complete and last.rows == 59 and last.good == 46 and last.held_out <= last.good
    assert seen[0][1] == 60 and [rows for rows, _ in seen] == sorted(rows for rows, _ in seen)
    *_, whole = survey(TarShards("s", paths), limit=59)
    assert whole.complete and whole.formats == Counter(JPEG=46)


def test_captions_of_other_case_are_repeats() -> None:
    from dream.data.survey import SampleFacts

    found = Survey(shards=1)
    for caption in ("A cat", "a Cat", "a dog"):
        found.add(SampleFacts(caption, caption, "PNG", "RGB", 3, 5))
    assert found.repeated() == (2, [("A cat", 2)])
    assert Spread.of(found.words) == Spread(2, 2.0, 2) and found.smaller_than(4) == 3


def test_progress_waits_then_tells_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = ReadingProgress(quiet_s=2.0)
    for second, done in ((1.0, 10), (12.0, 100), (13.0, 110), (50.0, 500)):
        now[0] = second
        progress.show(done, 1000)
    progress.clear()
    assert capsys.readouterr().err.splitlines() == [
        "looked at 100 of 1,000 samples, 1 min 48 s left",
        "looked at 500 of 1,000 samples, 50 s left",
    ]
