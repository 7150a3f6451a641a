"""A built table of few emoji: each style is a colour of its own, so that styles are easy and things are not."""

import io

from PIL import Image

from dream.data.emoji.table import COUNTS, Drawing, table_path, write_table

STYLES = tuple(COUNTS["style"])
SUBGROUPS = (("food-drink", "food-fruit"), ("food-drink", "drink"), ("animals-nature", "animal-bird"))
THINGS = 18
UNSEEN = range(15, THINGS)
"""Things that no training picture shows; of the others every sixth drawing is held out."""


def small_drawings():
    return [_drawing(thing, number) for thing in range(THINGS) for number in range(len(STYLES))]


def write_small_emoji(folder, monkeypatch):
    """Makes the small table the built one; returns its drawings."""
    monkeypatch.setenv("DREAM_CACHE", str(folder))
    write_table(table_path(), small_drawings())
    return small_drawings()


def _drawing(thing, number):
    style, (group, subgroup) = STYLES[number], SUBGROUPS[thing % len(SUBGROUPS)]
    split = "unseen" if thing in UNSEEN else "val" if (thing + number) % len(STYLES) == 0 else "train"
    picture = Image.new("RGB", (64, 64), (40 * number, 250 - 40 * number, 90 * (number % 3)))
    picture.paste((255, 255, 255), (0, 0, 4 + thing, 8))
    stored = io.BytesIO()
    picture.save(stored, "WEBP", lossless=True)
    label = f"thing {thing}"
    return Drawing(f"{thing}.{style}", label, style, (), str(thing), group, subgroup, split, stored.getvalue())
