"""Builds the emoji: fetches the artists' packages, draws every icon, counts, and writes one table."""

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from dream.data.emoji.icons import Icon, read_icons
from dream.data.emoji.packages import STYLES, fetch_packages
from dream.data.emoji.table import Drawing, check_counts, table_path, write_table
from dream.data.emoji.things import Splits, read_things
from dream.errors import InputError, RunError

DRAWN = 256
"""Pixels that an icon is drawn at before it is made smaller."""
SIDE = 64
"""Pixels of a stored picture."""
Report = Callable[[float, str], object]
"""Takes the share that is done and what is being done; may raise to stop."""


def build_emoji(packages: Path | None = None, report: Report = lambda share, doing: None) -> Path:
    """Builds the table and returns its path; `packages` is a folder where the packages lie unpacked, else npm fetches.

    Nothing is written unless all pictures are there. Raises InputError for what is missing on this machine, RunError
    if the packages cannot be fetched or drawn.
    """
    _svg_renderer()  # before anything is fetched
    path = table_path()
    with tempfile.TemporaryDirectory(prefix="dream-emoji-") as scratch:
        root = packages or Path(scratch)
        if packages is None:
            report(0.0, "fetching the artists' packages")
            fetch_packages(root)
        drawings = list(_drawings(root, report))
    check_counts(drawings)
    report(1.0, "writing the table")
    write_table(path, drawings)
    return path


def _drawings(root: Path, report: Report) -> Iterator[Drawing]:
    """All drawings of all styles, in a fixed order."""
    splits, things = Splits.read(), list(read_things(root))
    sets = {style: read_icons(root, package) for style, package in STYLES.items()}
    wanted = [(thing, style, split) for thing in things for style in sets if (split := splits.of(thing, style))]
    for number, (thing, style, split) in enumerate(wanted):
        name = sets[style].name_of(thing.hexcode, thing.label)
        if name is not None:
            picture = draw_icon(sets[style].icon(name))
            told = (thing.label, style, thing.tags, thing.hexcode, thing.group, thing.subgroup, split)
            yield Drawing(f"{thing.hexcode}.{style}", *told, picture)
        if number % 50 == 0:
            report(number / len(wanted), f"drawing {thing.label}, {style}")


def draw_icon(icon: Icon) -> bytes:
    """An icon at 64 x 64 pixels on white, centred in a square, as lossless WebP."""
    scale = DRAWN / max(icon.width, icon.height)
    width, height = (max(1, round(side * scale)) for side in (icon.width, icon.height))
    try:
        content = bytes(_svg_renderer()(svg_string=icon.svg, skip_system_fonts=True, width=width, height=height))
    except ValueError as error:
        raise RunError(f"an icon cannot be drawn ({error}): fetch the packages again") from None
    drawn = Image.open(io.BytesIO(content)).convert("RGBA")
    square = Image.new("RGBA", (DRAWN, DRAWN), "white")
    square.alpha_composite(drawn, ((DRAWN - drawn.width) // 2, (DRAWN - drawn.height) // 2))
    stored = io.BytesIO()
    square.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(stored, "WEBP", lossless=True)
    return stored.getvalue()


def _svg_renderer() -> Callable[..., bytes]:
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise InputError("the emoji are drawn with resvg-py, which is not installed: pip install resvg-py") from None
    return svg_to_bytes
