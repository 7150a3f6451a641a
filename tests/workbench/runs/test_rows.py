"""A log is read as it grows: only what is new, never half a line, and anew where it was replaced."""

import json

from workbench.runs import rows
from workbench.runs.feed import RunFeed
from workbench.runs.rows import RowReader


def line(step: int, kind: str = "train") -> str:
    return json.dumps({"kind": kind, "step": step}) + "\n"


def steps(reader: RowReader) -> list[int]:
    return [row["step"] for row in reader.rows()]


def test_no_file_has_no_rows_and_growth_is_read_once(tmp_path):
    reader, log = RowReader(tmp_path), tmp_path / "metrics.jsonl"
    assert reader.rows() == []
    log.write_text(line(1) + line(2))
    assert steps(reader) == [1, 2]
    version, before = reader.version, reader.rows()
    assert reader.rows() is before and reader.version == version
    with log.open("a") as file:
        file.write(line(3))
    assert steps(reader) == [1, 2, 3] and reader.version > version
    assert [row["step"] for row in before] == [1, 2]


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path):
    reader, log = RowReader(tmp_path), tmp_path / "metrics.jsonl"
    log.write_text(line(1) + line(2)[:9])
    assert steps(reader) == [1]
    log.write_text(line(1) + line(2))
    assert steps(reader) == [1, 2] and reader.damaged == 0


def test_a_log_that_was_cut_by_a_resume_is_read_anew(tmp_path):
    reader, log = RowReader(tmp_path), tmp_path / "metrics.jsonl"
    log.write_text(line(1) + line(2) + line(3))
    assert steps(reader) == [1, 2, 3]
    other = tmp_path / "other"
    other.write_text(line(1) + line(9) + line(10) + line(11))
    other.replace(log)
    assert steps(reader) == [1, 9, 10, 11]
    log.unlink()
    version = reader.version
    assert reader.rows() == [] and reader.version > version


def test_damaged_lines_are_counted_and_passed_over(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(
        line(1).encode()
        + b"{broken\n[]\n\xff\xfe\n"
        + b'{"kind": "odd", "step": 2}\n{"kind": "train"}\n'
        + line(5).encode()
    )
    reader = RowReader(tmp_path)
    assert steps(reader) == [1, 5] and reader.damaged == 5


def test_a_new_row_costs_no_look_at_the_earlier_ones(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(rows, "read_row", lambda line: read.append(line) or json.loads(line))
    feed, log = RunFeed(tmp_path), tmp_path / "metrics.jsonl"
    log.write_text("".join(map(line, range(1, 200))))
    assert list(feed.curves()[1].steps) == list(range(1, 200))
    read.clear()
    with log.open("a") as file:
        file.write(line(200))
    assert feed.curves()[1].steps[-1] == 200 and len(read) == 1
    log.write_text(line(7))
    assert list(feed.curves()[1].steps) == [7]
