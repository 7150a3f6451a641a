"""The authors' crop, pictures of every kind as RGB, and broken ones that only ever raise BrokenPicture."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dream.data.transforms import MAX_PIXELS, BrokenPicture, center_crop, flip_some, load_pixels, open_picture


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(height: int, width: int, channels: int = 3) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values)


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("shape", [(64, 64), (65, 131), (200, 33), (16, 16), (7, 9), (31, 32)])
def test_crop_is_a_square_of_the_size_for_any_picture(shape: tuple[int, int]) -> None:
    assert center_crop(noise(*shape), 16).size == (16, 16)


def test_crop_halves_by_means_of_four_and_leaves_the_right_size_alone() -> None:
    image = noise(64, 64)
    halved = np.asarray(image, dtype=float).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(center_crop(image, 32)) - halved).max() <= 1.0  # PIL rounds each way
    assert np.array_equal(np.asarray(center_crop(image, 64)), np.asarray(image))


def test_crop_takes_the_middle() -> None:
    image = Image.new("RGB", (96, 32), "black")
    image.paste("white", (32, 0, 64, 32))
    assert np.asarray(center_crop(image, 32)).min() == 255


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr", "LA", "RGBA"])
def test_every_mode_comes_out_as_the_same_picture(mode: str) -> None:
    grey = Image.fromarray(np.full((20, 20), 200, dtype=np.uint8)).convert("RGB")
    grey.paste("black", (0, 0, 20, 10))
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    back = np.asarray(open_picture(encoded(grey.convert(mode), kind)).rgb, dtype=float)
    dithered = mode == "1"
    back = back.reshape(2, 10, 20, 3).mean(axis=(1, 2)) if dithered else back[[2, 17], 5]
    assert np.abs(back - [[0.0], [200.0]]).max() < 25


def test_transparent_parts_are_white() -> None:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 5, 10))
    palette = image.convert("RGB").quantize(4)
    palette.info["transparency"] = palette.getpixel((9, 9))
    for content in (encoded(image), encoded(image, "WEBP", lossless=True), encoded(palette)):
        pixels = np.asarray(open_picture(content).rgb)
        assert pixels[5, 9].tolist() == [255, 255, 255]
        assert pixels[5, 2].tolist() == [0, 0, 255]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = Image.fromarray(np.linspace(0, 65535, 100).round().astype(np.uint16).reshape(10, 10))
    pixels = np.asarray(open_picture(encoded(deep)).rgb)[..., 0].ravel()
    assert np.abs(pixels - np.linspace(0, 255, 100)).max() <= 0.51


def test_exif_orientation_is_applied_and_a_spoilt_one_ignored() -> None:
    image = Image.new("RGB", (40, 20), "black")
    image.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    turned = open_picture(encoded(image, "JPEG", exif=exif)).rgb
    assert turned.size == (20, 40)
    assert np.asarray(turned)[2, 10, 0] > 200 > 50 > np.asarray(turned)[37, 10, 0]
    assert open_picture(encoded(image, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff")).rgb.size == (40, 20)


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no bytes"),
        (b"hello, I am a caption", "not a JPEG"),
        (claimed_png(12_000, 10_000), "12000 x 10000 pixels"),
        (claimed_png(60_000, 60_000), "pixels"),
        (claimed_png(20, 20), "truncated"),
        (encoded(Image.new("L", (1, 40_000))), "narrow"),
    ],
)
def test_what_cannot_be_used_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(BrokenPicture, match=reason):
        load_pixels(content, 64)


def test_the_limit_on_pixels_lets_large_photographs_pass() -> None:
    assert MAX_PIXELS >= 10_000**2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_damage_never_raises_anything_else(kind: str) -> None:
    rng = np.random.default_rng(1)
    whole = encoded(noise(24, 24), kind)
    for trial in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(256)
        try:
            load_pixels(bytes(content[: rng.integers(len(content))] if trial % 2 else content), 16)
        except BrokenPicture as broken:
            assert str(broken)


def test_flips_are_mirrors_of_those_asked_for() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    flips = np.array([True, False, True, False])
    flipped = flip_some(images, flips)
    assert np.array_equal(flip_some(flipped, flips), images)
    assert np.array_equal(flipped[0], images[0, :, :, ::-1]) and np.array_equal(flipped[1], images[1])
