"""A picture's bytes as a (3, H, W) uint8 array, the authors' way: ADM centre crop. Only it uses PIL here.

It knows nothing of shards or captions; whatever is wrong with the bytes raises BrokenPicture with the reason.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = np.ndarray
"""(3, H, W) or (B, 3, H, W) uint8."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""PIL decoders that may touch a stranger's bytes (libtiff prints to the terminal, and others are rare)."""
MAX_PIXELS = 100_000_000
"""Pictures with more pixels are not decoded (a few kB can claim gigabytes)."""

# PIL warns on the terminal of odd EXIF and palettes, and of large pictures, which MAX_PIXELS sees to.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BrokenPicture(Exception):
    """The bytes are no picture that can be used; says why."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright and opaque, with what its file said."""

    rgb: Image.Image
    """Mode RGB."""
    format: str
    """PIL's name, e.g. JPEG."""
    mode: str
    """PIL's mode in the file, e.g. RGBA or CMYK."""


def open_picture(content: bytes) -> Picture:
    """The picture in `content`: EXIF orientation applied, transparency on white, any colours as RGB.

    Raises BrokenPicture for empty, foreign, corrupt, cut or enormous content.
    """
    if not content:
        raise BrokenPicture("no bytes")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        name, mode = str(image.format), image.mode
        if image.width * image.height > MAX_PIXELS:
            raise BrokenPicture(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        image.load()
        return Picture(_as_rgb(_upright(image)), name, mode)
    except BrokenPicture:
        raise
    except UnidentifiedImageError:
        raise BrokenPicture(f"no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture") from None
    except Exception as error:  # PIL's decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError ...
        raise BrokenPicture(f"{error}" or type(error).__name__) from error


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The centre square of `image` at `size` x `size` (ADM's `center_crop_arr`, as DREAM's authors use it).

    Halves with a box filter while the short side is at least twice `size`, resizes the short side to `size`
    bicubically, cuts out the centre. Raises BrokenPicture for a strip so narrow that resizing would explode.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    if width * height > MAX_PIXELS:
        raise BrokenPicture(f"{image.width} x {image.height} is too narrow a strip for a square of {size}")
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def load_pixels(content: bytes, size: int) -> Pixels:
    """(3, size, size) uint8 of the picture in `content`. Raises BrokenPicture."""
    square = center_crop(open_picture(content).rgb, size)
    return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))


def flip_some(images: Pixels, flips: np.ndarray) -> Pixels:
    """(B, 3, H, W) `images`, mirrored left to right where the (B,) bool `flips` says so; a new array."""
    return np.where(flips[:, None, None, None], images[..., ::-1], images)


def _upright(image: Image.Image) -> Image.Image:
    """`image` turned as its EXIF orientation says; as it is where the EXIF data cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a good picture with a spoilt EXIF block: struct.error, SyntaxError, ValueError ...
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB, 8 bits a channel, transparent parts white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep_grey(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """An 8-bit grey picture of one with 16 bits (or floats in [0, 1]); PIL's `convert` clips it to white."""
    values = np.asarray(image, dtype=np.float64)
    if image.mode == "F":
        values = values * 255.0 if values.max(initial=0.0) <= 1.0 else values
    elif image.mode != "I" or values.max(initial=0.0) > 255:
        values = values / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8), "L")
