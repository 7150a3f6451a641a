"""The world of the emoji as HTML: every drawing once, in its style's column, and counts that add up."""

import io
import itertools

import pytest
from PIL import Image

from dream.data.emoji.packages import STYLES
from dream.data.emoji.table import Drawing
from workbench.sources.emoji_world import MEANINGS, count_table, groups_of, things_of, world_table


def drawing(label: str, style: str, group: str = "food", split: str = "train") -> Drawing:
    stored = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stored, "WEBP")
    return Drawing(
        f"{label}.{style}", label, style, ("<tag>",), label, group, f"{group}-part", split, stored.getvalue()
    )


DRAWN = [
    *(drawing("red apple", style) for style in STYLES),
    drawing("pear", "ink", split="val"),
    drawing("<b>goat</b>", "flat", "animals", "unseen"),
]


def test_every_drawing_stands_in_the_column_of_its_style():
    table = world_table(things_of(DRAWN, "food"))
    assert table.count("<img ") == len(STYLES) + 1
    pear = table.split("<tr><th>pear</th>")[1].partition("</tr>")[0]
    cells = pear.split("<td")[1:]
    assert [("<img" in cell) for cell in cells] == [style == "ink" for style in STYLES]
    assert 'class="val"' in pear and MEANINGS["val"] in pear


def test_text_of_the_packages_is_text():
    table = world_table(things_of(DRAWN, "animals"))
    assert "<b>" not in table and "<tag>" not in table and "&lt;b&gt;goat" in table


@pytest.mark.parametrize("part", ["", "food-part"])
def test_groups_hold_all_things_once(part):
    assert groups_of(DRAWN) == {"food": ["food-part"], "animals": ["animals-part"]}
    things = things_of(DRAWN, "food", part)
    assert list(things) == ["red apple", "pear"] and list(things["red apple"]) == list(STYLES)


def test_counts_add_up():
    rows = count_table(DRAWN).split("<tr><th>")[2:]
    numbers = {
        row.partition("</th>")[0]: [int(cell.partition("<")[0]) for cell in row.split('class="number">')[1:]]
        for row in rows
    }
    assert all(sum(counts[:-1]) == counts[-1] for counts in numbers.values())
    by_split = itertools.accumulate(numbers[split][-1] for split in MEANINGS)
    assert list(by_split)[-1] == len(DRAWN) == numbers["food"][-1] + numbers["animals"][-1]
