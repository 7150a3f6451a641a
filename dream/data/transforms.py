"""Decodes a picture's bytes to a (3, H, W) uint8 array with the authors' ADM centre crop.

Any problem with the bytes raises BrokenPicture with the reason. `read_image` is the project's one reader of pictures
from outside.
"""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from dream.data.formats import FORMATS
from dream.data.picture_bytes import format_of, silence_decoders, without_texts
from dream.pointer_files import pointer_fault

Pixels = np.ndarray
"""(3, H, W) or (B, 3, H, W) uint8."""

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are not decoded (a file of a few kB can claim gigabytes)."""
MAX_MEMORY = 400_000_000
"""Bytes that the pixels of a picture may take while it is decoded; those that would take more are not."""
_BAND = 64
"""Rows that are converted at a time, so that only the whole picture and its result are in memory."""
_ONE_BYTE, _DEEP = ("1", "L", "P"), ("I", "F")
_WHOLE_FRAME = {"WEBP": 16, "AVIF": 8, "GIF": 4}
"""Bytes per pixel that a decoder takes next to its result."""

# PIL warns on the terminal about odd EXIF data and palettes, and about large pictures, which MAX_PIXELS rejects.
warnings.filterwarnings("ignore", module=r"PIL\.")
silence_decoders()


class BrokenPicture(Exception):
    """Raised for bytes that cannot be used as a picture, with the reason."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright and opaque, with the format of its file."""

    rgb: Image.Image
    """Mode RGB."""
    format: str
    """PIL's name, e.g. JPEG."""
    mode: str
    """PIL's mode in the file, e.g. RGBA or CMYK."""


def open_picture(content: bytes) -> Picture:
    """Decodes `content` to RGB, with its EXIF orientation applied and transparency on white.

    Of an animation or a file of several pages, the first picture is used. Raises BrokenPicture for content that is
    empty, of another format, corrupt, truncated or too large.
    """
    image = read_image(content)
    name, mode = str(image.format), image.mode
    try:
        return Picture(_as_rgb(_upright(image)), name, mode)
    except Exception as error:  # a mode that PIL converts to nothing else: ValueError, OSError
        raise BrokenPicture(f"colours of mode {mode} cannot be used: {error}") from error


def read_image(content: bytes, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """The first picture in `content`, decoded, in the mode of its file. Raises BrokenPicture.

    PNGs with large texts or profiles are read without them (Pillow refuses them).
    """
    if not content:
        raise BrokenPicture("no bytes")
    if fault := pointer_fault(content[:200]):
        raise BrokenPicture(fault)
    try:
        return _decoded(content, formats)
    except BrokenPicture:
        raise
    except Exception as error:  # PIL's decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError, ...
        reason = _reason(error, content, formats)
    if (shorter := without_texts(content)) is None:
        raise BrokenPicture(reason)
    try:
        return _decoded(shorter, formats)
    except BrokenPicture:
        raise
    except Exception:
        raise BrokenPicture(reason) from None


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The centre square of `image` at `size` x `size` (ADM's `center_crop_arr`, as DREAM's authors use it).

    Halves with a box filter while the short side is at least twice `size`, resizes the short side to `size` with a
    bicubic filter, then crops. Raises BrokenPicture for a strip so narrow that the resized picture would be too large.
    """
    *halved, (width, height) = crop_sizes(image.width, image.height, size)
    for smaller in halved:
        image = image.resize(smaller, Image.Resampling.BOX)
    if width * height > MAX_PIXELS:
        raise BrokenPicture(f"{image.width} x {image.height} is too narrow for a square of {size} pixels")
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def crop_sizes(width: int, height: int, size: int) -> list[tuple[int, int]]:
    """(width, height) after each resize of `center_crop`: the halvings, then the bicubic one. The crop comes last."""
    sizes = []
    while min(width, height) >= 2 * size:
        width, height = width // 2, height // 2
        sizes.append((width, height))
    scale = size / min(width, height)
    return [*sizes, (round(width * scale), round(height * scale))]


def load_pixels(content: bytes, size: int) -> Pixels:
    """Decodes and crops `content` to (3, size, size) uint8. Raises BrokenPicture."""
    square = center_crop(open_picture(content).rgb, size)
    return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))


def flip_some(images: Pixels, flips: np.ndarray) -> Pixels:
    """A copy of `images` (B, 3, H, W), mirrored left to right where `flips` (B,) bool is True."""
    return np.where(flips[:, None, None, None], images[..., ::-1], images)


def _decoded(content: bytes, formats: tuple[str, ...]) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=formats)
    if image.width * image.height > MAX_PIXELS:
        raise BrokenPicture(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    if (needed := memory_to_decode(image)) > MAX_MEMORY:
        size = f"{image.width} x {image.height} pixels of mode {image.mode}"
        raise BrokenPicture(f"{size} take {needed / 1e6:,.0f} MB to decode, more than {MAX_MEMORY / 1e6:,.0f}")
    image.load()
    if not min(image.size):
        raise BrokenPicture(f"{image.width} x {image.height} pixels: there is nothing in it")
    return image


def memory_to_decode(image: Image.Image) -> int:
    """Bytes that the pixels of an opened picture take at most until they are RGB; nothing is decoded for it."""
    own = 1 if image.mode in _ONE_BYTE else 2 if image.mode.startswith("I;16") else 4
    turned = own if _orientation(image) != 1 else 0
    if image.mode in _DEEP or image.mode.startswith("I;16"):
        convert = own + 5  # the numbers, the grey picture, RGB
    elif _is_transparent(image):
        convert = 4
    else:
        convert = 0 if image.mode == "RGB" else 4
    decoder = 6 if image.info.get("progressive") else _WHOLE_FRAME.get(str(image.format), 0)
    return image.width * image.height * (own + max(decoder, turned, convert))


def _reason(error: Exception, content: bytes, formats: tuple[str, ...]) -> str:
    """Why PIL did not decode `content`, in one line."""
    if isinstance(error, Image.DecompressionBombError):
        return f"its header claims more than {MAX_PIXELS:,} pixels"
    if not isinstance(error, UnidentifiedImageError):
        return " ".join(str(error).split()) or type(error).__name__
    known, claimed = " or ".join([", ".join(formats[:-1]), formats[-1]] if formats[1:] else formats), format_of(content)
    if claimed in formats:
        return f"a damaged {claimed} file: its header cannot be read"
    return f"not a {known} picture" + (f" but {claimed}, which is not decoded" if claimed else "")


def _upright(image: Image.Image) -> Image.Image:
    """`image` rotated by its EXIF orientation; unchanged if the EXIF data cannot be read."""
    try:
        return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
    except Exception:  # a good picture with broken EXIF data: struct.error, SyntaxError, ValueError, ...
        return image


def _orientation(image: Image.Image) -> int:
    """The number of its EXIF orientation; 1 is upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as above
        return 1


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info


def _as_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB, 8 bits per channel, with transparent parts white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep_grey(image).convert("RGB")
    if not _is_transparent(image):
        return image if image.mode == "RGB" else image.convert("RGB")
    opaque = Image.new("RGB", image.size)
    for box in _bands(image):
        layer = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        opaque.paste(Image.alpha_composite(white, layer).convert("RGB"), box)
    return opaque


def _bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of a few rows that make up the picture."""
    for top in range(0, image.height, _BAND):
        yield 0, top, image.width, min(top + _BAND, image.height)


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Converts 16-bit grey (or floats in [0, 1]) to 8 bits; PIL's `convert` would clip it to white.

    Where values go beyond 16 bits, their maximum is white. What is no number is black. Raises BrokenPicture if nothing
    in it is a number.
    """
    values = np.asarray(image)
    bands = [slice(top, bottom) for _, top, _, bottom in _bands(image)]
    finite = (part[np.isfinite(part)] for part in (values[band] for band in bands))
    largest = [float(each.max(initial=0)) for each in finite if each.size]
    if not largest:
        raise BrokenPicture("none of its pixels is a number")
    greatest = max(largest)
    grey = np.empty(values.shape, dtype=np.uint8)
    for band in bands:
        part = np.nan_to_num(values[band].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        if greatest > 65535:
            part = part * (255.0 / greatest)
        elif image.mode == "F" and greatest <= 1.0:
            part = part * 255.0
        elif image.mode not in ("I", "F") or greatest > 255:
            part = part / 257.0
        grey[band] = np.clip(np.rint(part), 0, 255)
    return Image.fromarray(grey, "L")
