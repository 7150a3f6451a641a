"""A source in numbers agrees with what was put into it."""

import csv
import io

import pytest

from tests.workbench.search.search_small import captioned_folder, small_config, small_tokenizer
from workbench.sources.browse import browse
from workbench.sources.statistics import problems_csv, source_statistics

CONFIG = small_config()
TOKENIZER = small_tokenizer(CONFIG)


def found_in(folder, limit=None):
    return source_statistics(browse(str(folder), CONFIG, "all"), TOKENIZER, limit)


def test_counts_lengths_sizes_words_and_repetitions(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 8)
    (folder / "000.txt").write_text("a red square " * 4)
    found = found_in(folder)
    assert (found.rows, found.good, found.complete) == (8, 8, True)
    assert set(found.widths) == {40} and set(found.heights) == {24}
    assert found.words.max() == 12 and found.tokens.max() == 14 and found.cut == 1
    assert dict(found.frequent)["square"] == 11 and found.vocabulary == 6
    assert found.different == 5 and dict(found.repeated)["a green square"] == 2
    assert found.held_out == 2 and found.formats == {"PNG": 8}


def test_the_limit_holds_and_says_that_there_is_more(tmp_path):
    found = found_in(captioned_folder(tmp_path / "pictures", 8), 3)
    assert (found.rows, found.complete) == (3, False)


def test_broken_samples_are_named_by_kind_and_written_as_csv(tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 4)
    (folder / "000.png").write_bytes(b"cut")
    (folder / "001.txt").write_text("")
    (folder / "002.txt").unlink()
    found = found_in(folder)
    assert found.by_kind == {"broken picture": 1, "empty caption": 1, "missing member": 1}
    assert found.good == len(found.tokens) == len(found.widths) == 1
    rows = list(csv.DictReader(io.StringIO(problems_csv(found.problems).decode())))
    assert {row["kind"] for row in rows} == set(found.by_kind) and len(rows) == 3


def test_shapes_count_every_attribute_once_an_object():
    found = source_statistics(browse("shapes", CONFIG, "train"), TOKENIZER, 60)
    attributes = {name: sum(counts.values()) for name, counts in found.attributes.items()}
    objects = sum(int(count) * times for count, times in found.attributes["objects"].items())
    assert attributes["objects"] == attributes["background"] == attributes["layout"] == found.good == 60
    assert attributes["shape"] == attributes["colour"] == attributes["size"] == objects


def test_telling_may_end_it(tmp_path):
    class Stop(Exception):
        pass

    def tell(now, expected):
        raise Stop

    folder = captioned_folder(tmp_path / "pictures", 3)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr("workbench.sources.statistics.EVERY", -1.0)
        source_statistics(browse(str(folder), CONFIG, "all"), TOKENIZER, None, tell)
