"""Pictures (3, H, W) uint8 as files, data URLs and enlarged for a screen; a user's file as one of them."""

import base64
import html
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.errors import InputError

Picture = NDArray[np.uint8]
"""(3, H, W) uint8."""

PALETTE_SIDE, PALETTE = 96, 128
"""Pictures of more pixels a side go to the browser with at most so many colours: a fifth of the bytes."""


def image_of(picture: Picture) -> Image.Image:
    """The picture as PIL has it."""
    return Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))


def enlarged(picture: Picture, side: int) -> Image.Image:
    """The picture with a whole factor to at most `side` pixels (but never shrunk): pixels stay pixels."""
    image = image_of(picture)
    factor = max(1, side // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def png_of(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def png_url(picture: Picture) -> str:
    """The picture as a PNG in a data URL; large ones with fewer colours."""
    image = image_of(picture)
    if min(image.size) > PALETTE_SIDE:
        image = image.quantize(PALETTE, dither=Image.Dither.NONE)
    return image_url(image)


def image_url(image: Image.Image) -> str:
    """A PIL image as a PNG in a data URL."""
    return "data:image/png;base64," + base64.b64encode(png_of(image)).decode()


def captioned_pictures(pictures: Mapping[str, Picture | str], side: int = 150) -> str:
    """Pictures (or their data URLs) in a line that wraps, each above its caption, as HTML."""
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
    """(3, size, size): the centre square of a picture file; InputError where it is none that can be used."""
    from dream.data.transforms import BrokenPicture, load_pixels

    try:
        return load_pixels(content, size)
    except BrokenPicture as error:
        raise InputError(f"{name} is no picture that can be used: {error}") from error
