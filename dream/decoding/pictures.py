"""Sheets of captioned pictures, PNGs that carry their settings, and GIFs of a trajectory.

Uses PIL only, no model; pictures are (3, H, W) uint8 arrays.
"""

import io
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from dream import __version__
from dream.data.transforms import BrokenPicture, read_image
from dream.errors import InputError
from dream.files import replace_bytes
from dream.json_text import format_json, parse_json, read_bounded
from dream.plain_text import escaped, printable

Picture = np.ndarray
"""(3, H, W) uint8."""

PAPER, INK, QUIET, ACCENT, TRACK = "#ffffff", "#1f2430", "#667085", "#0b8f5a", "#e8eaee"
HAIRLINE = "#bcc2cb"
"""Edge of a picture, seen on a white sheet around a white one."""
HATCH = (180, 144)
"""Grey levels of ground and stripes of a hidden cell on every page and sheet, seen on white, black and colours."""
PALENESS, BADGE = 0.25, 15
"""Share of white over a dropped candidate, and the side of the box with a cross in its corner, in pixels."""
READABLE_SIDE = 144
"""Smaller pictures are enlarged by an integer factor to at least this side, in pixels."""
MOST_DRAWN = 2_000
"""Characters of a text that are laid out, more than fit on any sheet."""
MARGIN, GAP, TEXT_SIZE, TITLE_SIZE, MAX_LINES = 24, 14, 13, 16, 3
_CHUNK = "dream"  # keyword of the PNG text chunk with everything as JSON


@dataclass(frozen=True)
class SheetPanel:
    """A picture of a sheet with its caption."""

    picture: Picture
    caption: str = ""
    chosen: bool = False
    """Framed, with its caption in the accent colour."""
    dropped: bool = False
    """A candidate that was dropped: drawn a little pale, with a cross in its corner."""


@dataclass(frozen=True)
class SheetRow:
    """A row of panels under a title."""

    panels: Sequence[SheetPanel]
    title: str = ""


def panel_rows(panels: Sequence[SheetPanel], columns: int) -> list[SheetRow]:
    """The panels in rows of `columns`."""
    return [SheetRow(panels[i : i + columns]) for i in range(0, len(panels), columns)]


def hatching(side: int, stripe: int) -> np.ndarray:
    """(side, side) uint8: the pattern of hidden cells, diagonal stripes that are `stripe` pixels wide."""
    diagonal = np.add.outer(np.arange(side), np.arange(side))
    return np.where(diagonal // stripe % 2, *map(np.uint8, HATCH))


def enlargement(side: int) -> int:
    """Integer factor that enlarges a picture of `side` pixels to a readable size."""
    return max(1, -(-READABLE_SIDE // side))


def enlarged_for_screen(picture: Picture) -> Image.Image:
    """The picture enlarged for a screen, with sharp pixels (nearest neighbour)."""
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    factor = enlargement(min(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def draw_sheet(
    rows: Sequence[SheetRow], heading: str = "", footer: str = "", progress: float | None = None
) -> Image.Image:
    """Draws the rows below each other, with a heading, a progress bar (share done), captions and a footer.

    Raises ValueError if there is no panel.
    """
    if not any(row.panels for row in rows):
        raise ValueError("a sheet needs at least one picture")
    side = max(enlarged_for_screen(panel.picture).width for row in rows for panel in row.panels)
    width = max(len(row.panels) for row in rows) * (side + GAP) - GAP
    width = max(width, 3 * READABLE_SIDE if heading or footer or any(row.title for row in rows) else 0)
    blocks: list[_Block] = [_Text(heading, TITLE_SIZE + 2, width, INK)] if heading else []
    if progress is not None:
        blocks.append(_Bar(progress, width))
    for row in rows:
        if row.title:
            blocks.append(_Text(row.title, TITLE_SIZE, width, INK))
        blocks.append(_Panels(row.panels, side))
    if footer:
        blocks.append(_Text(footer, TEXT_SIZE, width, QUIET))
    height = sum(block.height + GAP for block in blocks) - GAP
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    draw, top = ImageDraw.Draw(sheet), MARGIN
    for block in blocks:
        block.draw(sheet, draw, MARGIN, top)
        top += block.height + GAP
    return sheet


def save_png(image: Image.Image, path: Path, about: Mapping[str, Any]) -> None:
    """Writes a PNG atomically with `about` (JSON) inside; `read_about` reads it back."""
    _write(path, lambda file: write_png(image, file, about))


def write_png(image: Image.Image, file: IO[bytes], about: Mapping[str, Any]) -> None:
    """Writes a PNG with `about` inside into an open file."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", f"dream {__version__}")
    if "prompt" in about:
        info.add_itxt("Description", escaped(str(about["prompt"])))
    info.add_itxt(_CHUNK, format_json(about))
    image.save(file, format="PNG", pnginfo=info, optimize=True)


def read_about(path: Path) -> dict[str, Any]:
    """The `about` that `save_png` stored; raises InputError for any other file."""
    if not path.is_file():
        raise InputError(f"no such picture: {path}")
    return about_of(read_bounded(path), str(path))


def about_of(content: bytes, name: str) -> dict[str, Any]:
    """The `about` that `save_png` stored, from a file's bytes; raises InputError for any other content."""
    try:
        text = getattr(read_image(content, ("PNG",)), "text", {}).get(_CHUNK)
        if text is None:
            raise InputError(
                f"{name} does not say how it was painted; expected a PNG written by `dream decode` or the workbench"
            )
        about = parse_json(text)
        if not isinstance(about, dict):
            raise SyntaxError(f"its settings are a {type(about).__name__}")
        return cast(dict[str, Any], about)
    except BrokenPicture as broken:
        raise InputError(f"{name} is not a readable PNG ({broken})") from broken
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, AssertionError) as error:  # JSON, absurd lengths, and Pillow's own assert
        raise InputError(f"{name} is not a readable PNG ({error})") from error


def save_gif(frames: Sequence[Image.Image], path: Path, seconds: float = 0.35, hold: float = 2.5) -> None:
    """Writes a looping GIF atomically, with `seconds` per frame and `hold` seconds for the last one."""
    _write(path, lambda file: write_gif(frames, file, seconds, hold))


def write_gif(frames: Sequence[Image.Image], file: IO[bytes], seconds: float = 0.35, hold: float = 2.5) -> None:
    """Writes a looping GIF into an open file; raises ValueError without frames."""
    if not frames:
        raise ValueError("a GIF needs at least one frame")
    durations = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * hold)]
    indexed = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    indexed[0].save(file, format="GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0)


class _Block(Protocol):
    """A part of a sheet that knows its height and draws itself."""

    height: int

    def draw(self, sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int) -> None: ...


class _Text(_Block):
    def __init__(self, text: str, size: int, width: int, color: str) -> None:
        self.font, self.color = font(size), color
        self.lines = wrap(text, self.font, width)
        self.line_height = round(size * 1.35)
        self.height = self.line_height * len(self.lines)

    def draw(self, sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        for i, line in enumerate(self.lines):
            draw.text((left, top + i * self.line_height), line, font=self.font, fill=self.color)


class _Bar(_Block):
    height = 6

    def __init__(self, share: float, width: int) -> None:
        self.share, self.width = share, width

    def draw(self, sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        box = (left, top, left + self.width, top + self.height)
        draw.rounded_rectangle(box, radius=3, fill=TRACK)
        if self.share > 0:
            draw.rounded_rectangle((*box[:2], left + max(6, round(self.width * self.share)), box[3]), 3, fill=ACCENT)


class _Panels(_Block):
    def __init__(self, panels: Sequence[SheetPanel], side: int) -> None:
        self.panels, self.side = panels, side
        self.captions = [
            _Text(panel.caption, TEXT_SIZE, side, ACCENT if panel.chosen else QUIET) if panel.caption else None
            for panel in panels
        ]
        self.height = side + max((6 + text.height for text in self.captions if text), default=0)

    def draw(self, sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        for panel, caption in zip(self.panels, self.captions, strict=True):
            image = enlarged_for_screen(panel.picture)
            if panel.dropped:
                image = Image.blend(image, Image.new("RGB", image.size, PAPER), PALENESS)
            sheet.paste(image, (left, top))
            box = (left - 1, top - 1, left + image.width, top + image.height)
            if panel.chosen:
                draw.rectangle((box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3), outline=ACCENT, width=3)
            else:
                draw.rectangle(box, outline=HAIRLINE)
            if panel.dropped:
                _cross_out(draw, box[2], box[1])
            if caption:
                caption.draw(sheet, draw, left, top + self.side + 6)
            left += self.side + GAP


def _cross_out(draw: ImageDraw.ImageDraw, right: int, top: int) -> None:
    """Draws a cross on a white box into the upper right corner of a picture."""
    draw.rectangle((right - BADGE, top, right, top + BADGE), fill=PAPER, outline=HAIRLINE)
    near, far = 4, BADGE - 4
    draw.line((right - far, top + near, right - near, top + far), fill=INK, width=2)
    draw.line((right - far, top + far, right - near, top + near), fill=INK, width=2)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """PIL's own font, so that a sheet looks the same on every machine."""
    return ImageFont.load_default(size)


def wrap(text: str, face: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text in at most MAX_LINES lines of `width` pixels; a longer text ends in an ellipsis."""
    lines: list[str] = []
    for word in map(printable, text[:MOST_DRAWN].split()):
        if lines and face.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
        if len(lines) > MAX_LINES:
            break
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"{lines[MAX_LINES - 1]} …"]
    return [_shortened(line, face, width) for line in lines]


def _shortened(line: str, face: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if face.getlength(line) <= width:
        return line
    line = line.rstrip(" …")
    fits = bisect_right(range(1, len(line) + 1), width, key=lambda count: math.ceil(face.getlength(f"{line[:count]}…")))
    return f"{line[:fits]}…"


def _write(path: Path, save: Any) -> None:
    """Writes a picture whole or not at all."""
    save(content := io.BytesIO())
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, content.getvalue())
