"""Conversions of pictures (3, H, W) uint8: to files, data URLs and enlarged copies, and from a user's file."""

import base64
import html
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dream.decoding.pictures import HAIRLINE, hatching
from dream.errors import InputError

Picture = NDArray[np.uint8]
"""(3, H, W) uint8."""

STRIPE = 8
"""Width of the stripes of a hidden cell in an enlarged picture, in pixels."""
PALETTE_SIDE, PALETTE = 96, 128
"""Pictures with a longer side go to the browser with at most this many colours: a fifth of the bytes."""


def image_of(picture: Picture) -> Image.Image:
    """Converts a picture to a PIL image."""
    return Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))


def enlarged(picture: Picture, side: int) -> Image.Image:
    """Enlarges a picture by a whole factor to at most `side` pixels, never shrinking it; pixels stay sharp."""
    image = image_of(picture)
    factor = max(1, side // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def hatched(picture: Picture, hidden: NDArray[np.bool_], side: int = 240) -> Picture:
    """A picture (3, S, S) with the hidden cells (g, g) striped, enlarged by a whole factor to about `side` pixels.

    S is a multiple of g.
    """
    times = max(1, side // picture.shape[-1])
    seen = picture.repeat(times, 1).repeat(times, 2)
    cell = seen.shape[-1] // len(hidden)
    where = hidden.repeat(cell, 0).repeat(cell, 1)
    return np.where(where, hatching(len(where), STRIPE), seen)


def edged(image: Image.Image) -> Image.Image:
    """The picture with a hairline along its edge, so that a white one is seen on a white page; in place."""
    ImageDraw.Draw(image).rectangle((0, 0, image.width - 1, image.height - 1), outline=HAIRLINE)
    return image


def png_of(image: Image.Image) -> bytes:
    """Encodes an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def png_url(picture: Picture) -> str:
    """Data URL of a picture as a PNG; large ones with fewer colours, so use `exact_url` where levels matter."""
    image = image_of(picture)
    if min(image.size) > PALETTE_SIDE:
        image = image.quantize(PALETTE, dither=Image.Dither.NONE)
    return image_url(image)


def exact_url(picture: Picture) -> str:
    """Data URL of a picture as a PNG with all its colours."""
    return image_url(image_of(picture))


def image_url(image: Image.Image) -> str:
    """Data URL of a PIL image as a PNG."""
    return "data:image/png;base64," + base64.b64encode(png_of(image)).decode()


def captioned_pictures(pictures: Mapping[str, Picture | str], side: int = 150) -> str:
    """HTML with pictures (or their data URLs) in a wrapping row, each above its caption."""
    looks = f"display:block;width:{side}px;height:{side}px;image-rendering:pixelated"
    urls = {
        html.escape(caption): picture if isinstance(picture, str) else png_url(picture)
        for caption, picture in pictures.items()
    }
    figures = [
        f'<figure style="margin:0"><img src="{url}" alt="{name}" style="{looks}">'
        f'<figcaption style="font-size:12px">{name}</figcaption></figure>'
        for name, url in urls.items()
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(figures)}</div>'


def picture_of(content: bytes, size: int, name: str) -> Picture:
    """Decodes the centre square (3, size, size) of a picture file; raises InputError if it cannot be used."""
    from dream.data.transforms import BrokenPicture, load_pixels

    try:
        return load_pixels(content, size)
    except BrokenPicture as error:
        raise InputError(f"{name} cannot be used as a picture: {error}") from error
