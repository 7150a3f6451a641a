"""An example folder holds what its source holds, and the emoji are offered only where they are built."""

import io

import numpy as np
import pytest
from PIL import Image

from dream.data.drawn.grammar import parse_caption
from dream.data.emoji.table import Drawing, table_path, write_table
from dream.errors import InputError
from workbench.sources.example import write_example
from workbench.sources.places import at_hand


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))


def build() -> None:
    drawings = []
    for number in range(9):
        stored = io.BytesIO()
        Image.new("RGB", (64, 64), (20 * number, 0, 0)).save(stored, "WEBP", lossless=True)
        split = "unseen" if number == 8 else "train"
        drawings.append(
            Drawing(
                f"{number}.ink", f"thing {number}", "ink", (), f"{number}", "food", "fruit", split, stored.getvalue()
            )
        )
    write_table(table_path(), drawings)


def test_emoji_that_are_not_built_become_shapes_in_one_sentence(capsys):
    assert at_hand("emoji") == "shapes" and at_hand("emoji:val", "other") == "other"
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 and all("dream data emoji --build" in line for line in told)
    assert at_hand("shapes") == "shapes" and at_hand("pictures/own") == "pictures/own"
    build()
    assert at_hand("emoji") == "emoji" and not capsys.readouterr().out


def test_a_folder_of_drawings_reads_as_its_captions_say(tmp_path):
    captions = write_example(tmp_path / "new" / "drawn", "shapes", 5, seed=7)
    again = write_example(tmp_path / "again", "shapes", 5, seed=7)
    assert captions == again and len({parse_caption(text) for text in captions}) > 1
    for number, text in enumerate(captions):
        assert (tmp_path / "new" / "drawn" / f"{number:03d}.txt").read_text() == text
        pixels = [np.asarray(Image.open(tmp_path / of / f"{number:03d}.png")) for of in ("new/drawn", "again")]
        assert pixels[0].shape == (64, 64, 3) and np.array_equal(*pixels)


def test_a_folder_of_emoji_holds_training_pictures_with_their_own_captions(tmp_path):
    with pytest.raises(InputError, match="dream data emoji --build"):
        write_example(tmp_path / "emoji", "emoji", 4)
    build()
    captions = write_example(tmp_path / "emoji", "emoji", 8)
    assert sorted(captions) == [f"thing {number}, ink" for number in range(8)]
    for number, text in enumerate(captions):
        red = np.asarray(Image.open(tmp_path / "emoji" / f"{number:03d}.png"))[0, 0, 0]
        assert red == 20 * int(text.split()[1].rstrip(","))
