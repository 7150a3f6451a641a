"""Pictures as they come: every format, mode, orientation and size of metadata gives the same picture or one sentence.

To add an instance, add a row.
"""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageSequence, PngImagePlugin

from dream.data.formats import FORMATS
from dream.data.transforms import BrokenPicture, load_pixels, open_picture, read_image
from dream.decoding.pictures import about_of, write_png
from dream.errors import InputError

UPPER, LOWER = (40, 40, 200), (200, 40, 40)


def picture() -> Image.Image:
    """20 x 20, blue above red."""
    image = Image.new("RGB", (20, 20), LOWER)
    image.paste(UPPER, (0, 0, 20, 10))
    return image


def grey() -> np.ndarray:
    """The picture's grey values."""
    return np.asarray(picture().convert("L"))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture(), *profiles, outputMode="LAB")
    assert converted is not None
    return converted


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colour: int = 2, depth: int = 8, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG made by hand: its header may claim anything."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png() -> bytes:
    """The picture as an RGB PNG with 16 bits per channel, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.asarray(picture()).astype(np.uint16) * 257)
    return png(20, 20, depth=16, rows=rows)


def turned(kind: str, orientation: int, **options: object) -> bytes:
    """The picture as a camera stores it that was held otherwise."""
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = picture().transpose(back[orientation]) if orientation in back else picture()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(image, kind, exif=exif, **options)


def with_texts(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text, zip=name.startswith("zip"))
    return encoded(picture(), "PNG", pnginfo=info)


def animated(kind: str, **options: object) -> bytes:
    return encoded(picture(), kind, save_all=True, append_images=[Image.new("RGB", (20, 20), "green")], **options)


def translucent(kind: str, **options: object) -> bytes:
    """Black that is not there at all above, and the picture's red below."""
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 20, 10))
    return encoded(image, kind, **options)


COLOURS, GREYS = (UPPER, LOWER), ((58,) * 3, (88,) * 3)
SAME: dict[str, tuple[Callable[[], bytes], tuple]] = {
    # name: (bytes, colours of the upper and the lower half)
    **{f"{kind} RGB": (lambda kind=kind: encoded(picture(), kind), COLOURS) for kind in FORMATS},
    **{f"{kind} L": (lambda kind=kind: encoded(picture().convert("L"), kind), GREYS) for kind in FORMATS},
    "JPEG CMYK": (lambda: encoded(picture().convert("CMYK"), "JPEG"), COLOURS),  # Adobe's marker: stored inverted
    "JPEG progressive": (lambda: encoded(picture(), "JPEG", progressive=True), COLOURS),
    "JPEG 4:4:4": (lambda: encoded(picture(), "JPEG", subsampling=0), COLOURS),
    "JPEG large profile": (lambda: encoded(picture(), "JPEG", icc_profile=bytes(1_500_000)), COLOURS),
    "JPEG of a phone (MPO)": (lambda: animated("MPO"), COLOURS),
    "PNG LA": (lambda: encoded(picture().convert("LA"), "PNG"), GREYS),
    "PNG P": (lambda: encoded(picture().quantize(4), "PNG"), COLOURS),
    "PNG RGBA": (lambda: encoded(picture().convert("RGBA"), "PNG"), COLOURS),
    "PNG 16-bit RGB": (deep_png, COLOURS),
    "PNG 16-bit grey": (lambda: encoded(Image.fromarray(grey().astype(np.uint16) * 257), "PNG"), GREYS),
    "PNG transparent": (lambda: translucent("PNG"), ((255,) * 3, LOWER)),
    "PNG profile of 3 MB": (lambda: encoded(picture(), "PNG", icc_profile=bytes(3_000_000)), COLOURS),
    "PNG compressed text of 3 MB": (lambda: with_texts(zip_workflow="x" * 3_000_000), COLOURS),
    "PNG plain text of 3 MB": (lambda: with_texts(workflow="x" * 3_000_000), COLOURS),
    "PNG texts of 99 MB": (lambda: with_texts(**{f"zip{n}": "y" * 990_000 for n in range(100)}), COLOURS),
    "PNG damaged text": (lambda: damaged_text(), COLOURS),
    "WEBP transparent": (lambda: translucent("WEBP", lossless=True), ((255,) * 3, LOWER)),
    "WEBP large profile": (lambda: encoded(picture(), "WEBP", icc_profile=bytes(1_500_000)), COLOURS),
    "GIF transparent": (lambda: translucent("GIF"), ((255,) * 3, LOWER)),
    "GIF animated": (lambda: animated("GIF"), COLOURS),
    "PNG animated": (lambda: animated("PNG"), COLOURS),
    "WEBP animated": (lambda: animated("WEBP", lossless=True), COLOURS),
    "BMP P": (lambda: encoded(picture().quantize(4), "BMP"), COLOURS),
    "TIFF of pages": (lambda: animated("TIFF"), COLOURS),
    "TIFF P": (lambda: encoded(picture().quantize(4), "TIFF"), COLOURS),
    "TIFF PA": (lambda: encoded(picture().quantize(4).convert("PA"), "TIFF"), COLOURS),
    "TIFF transparent": (lambda: translucent("TIFF"), ((255,) * 3, LOWER)),
    "TIFF CMYK": (lambda: encoded(picture().convert("CMYK"), "TIFF"), COLOURS),
    "TIFF YCbCr": (lambda: encoded(picture().convert("YCbCr"), "TIFF"), COLOURS),
    "TIFF LAB": (lambda: encoded(lab(), "TIFF"), COLOURS),
    "TIFF 16-bit": (lambda: encoded(Image.fromarray(grey().astype(np.uint16) * 257), "TIFF"), GREYS),
    "TIFF 16-bit in 32": (lambda: encoded(Image.fromarray(grey().astype(np.int32) * 257), "TIFF"), GREYS),
    "TIFF 8-bit in 32": (lambda: encoded(Image.fromarray(grey().astype(np.int32)), "TIFF"), GREYS),
    "TIFF floats to 1": (lambda: encoded(Image.fromarray(grey().astype(np.float32) / 255), "TIFF"), GREYS),
    "TIFF floats to 255": (lambda: encoded(Image.fromarray(grey().astype(np.float32)), "TIFF"), GREYS),
    "TIFF floats, some NaN": (lambda: encoded(Image.fromarray(not_all_numbers()), "TIFF"), ((0,) * 3, (88,) * 3)),
    **{
        f"TIFF {packing}": (lambda packing=packing: encoded(picture(), "TIFF", compression=packing), COLOURS)
        for packing in ("raw", "jpeg", "tiff_adobe_deflate", "tiff_lzw", "packbits", "lzma", "zstd")
    },
    **{f"JPEG turned {n}": (lambda n=n: turned("JPEG", n), COLOURS) for n in range(1, 9)},
    **{f"{kind} turned": (lambda kind=kind: turned(kind, 6), COLOURS) for kind in ("PNG", "WEBP", "TIFF", "AVIF")},
}


def damaged_text() -> bytes:
    return png(20, 20, extra=chunk(b"tEXt", b"a\0b")[:-1] + b"?", rows=rows_of(picture()))


def rows_of(image: Image.Image) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in np.asarray(image))


def not_all_numbers() -> np.ndarray:
    values = grey().astype(np.float32)
    values[:10] = np.nan
    values[5, 0] = np.inf
    return values


@pytest.mark.parametrize("name", [name for name in SAME if name.partition(" ")[0] in FORMATS])
def test_a_picture_of_any_kind_comes_out_as_itself(name: str) -> None:
    make, (upper, lower) = SAME[name]
    pixels = np.asarray(open_picture(make()).rgb, dtype=int)
    assert pixels.shape == (20, 20, 3)
    assert np.abs(pixels[[2, 17], 5] - [upper, lower]).max() <= 12


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("JPEG", "AVIF")])
def test_black_and_white_stays_so(kind: str) -> None:
    image = Image.new("1", (20, 20), 1)
    image.paste(0, (0, 0, 20, 10))
    pixels = np.asarray(open_picture(encoded(image, kind)).rgb, dtype=int)
    assert np.abs(pixels[[2, 17], 5] - [[0], [255]]).max() <= 3


def test_numbers_beyond_16_bits_are_scaled_by_their_maximum() -> None:
    for values in (np.array([[0, 1 << 30], [0, 1 << 29]], np.int32), np.array([[0, 1e9], [0, 5e8]], np.float32)):
        pixels = np.asarray(open_picture(encoded(Image.fromarray(values), "TIFF")).rgb)
        assert pixels[..., 0].tolist() == [[0, 255], [0, 128]]


BROKEN: dict[str, tuple[bytes, str]] = {
    # name: (bytes, part of the reason)
    "nothing": (b"", "no bytes"),
    "NaN": (encoded(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF"), "none of its pixels is a number"),
    "text": (b"hello, I am a caption", "not a JPEG, PNG"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", "git lfs pull"),
    "git-annex": (b"/annex/objects/SHA256E-s7--0.jpg\n", "git annex get"),
    "HTML": (b"\n<!DOCTYPE html><html>404", "HTML, which is not decoded"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG, which is not decoded"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which is not decoded"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "JPEG XL, which is not decoded"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000, which is not decoded"),
    "PPM": (b"P6\n1 1\n255\n\0\0\0", "PNM, which is not decoded"),
    "PSD": (b"8BPS\0\1" + bytes(50), "PSD, which is not decoded"),
    "PDF": (b"%PDF-1.7\n", "PDF, which is not decoded"),
    "no pixels": (png(0, 0), "damaged PNG"),
    "no rows": (png(5, 0), "damaged PNG"),
    "GIF of no size": (b"GIF89a" + bytes(6) + b";", "damaged GIF"),
    "a claim of 120 million pixels": (png(12_000, 10_000), "12000 x 10000 pixels, more than 100,000,000"),
    "a claim of 3.6 billion pixels": (png(60_000, 60_000), "claims more than 100,000,000 pixels"),
    "a claim behind a large text": (
        png(20, 20, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000)))),
        "Decompressed data too large|truncated",
    ),
    "chunk of absurd length": (png(20, 20)[:33] + b"\xff\xff\xff\xffzTXt", "(?i)truncated"),
    **{f"{kind} cut": (encoded(picture(), kind)[: len(encoded(picture(), kind)) * 3 // 5], ".") for kind in FORMATS},
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:Image size")
def test_what_is_no_picture_says_so_in_one_line(name: str) -> None:
    content, reason = BROKEN[name]
    with pytest.raises(BrokenPicture, match=reason) as raised:
        load_pixels(content, 16)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


def test_damaged_pictures_print_nothing(tmp_path: Path) -> None:
    """libtiff writes to the terminal past Python, so a process of its own is asked."""
    rng = np.random.default_rng(0)
    for packing in ("jpeg", "tiff_lzw", "tiff_adobe_deflate", "group4"):
        image = picture().convert("1") if packing == "group4" else picture()
        whole = encoded(image, "TIFF", compression=packing)
        for trial in range(25):
            content = bytearray(whole)
            for place in rng.integers(0, len(content), 6):
                content[place] = rng.integers(256)
            (tmp_path / f"{packing}{trial}.tif").write_bytes(content)
    script = (
        "import sys\nfrom pathlib import Path\nfrom dream.data.transforms import BrokenPicture, open_picture\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    try:\n        open_picture(path.read_bytes())\n    except BrokenPicture:\n        pass\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_settings_in_a_png_are_found_behind_a_large_profile() -> None:
    out = io.BytesIO()
    write_png(picture(), out, {"prompt": "a cat"})
    whole = out.getvalue()
    profile = chunk(b"iCCP", b"large\0\0" + zlib.compress(bytes(2_000_000)))
    assert about_of(whole[:33] + profile + whole[33:], "x.png") == {"prompt": "a cat"}
    with pytest.raises(InputError, match="does not say how it was painted"):
        about_of(SAME["PNG profile of 3 MB"][0](), "x.png")
    with pytest.raises(InputError, match="not a readable PNG.*git lfs pull"):
        about_of(BROKEN["git-lfs"][0], "x.png")


def test_the_first_page_is_the_one_that_is_read() -> None:
    pages = Image.open(io.BytesIO(animated("TIFF")))
    assert sum(1 for _ in ImageSequence.Iterator(pages)) == 2
    assert np.asarray(read_image(animated("TIFF")))[2, 5].tolist() == list(UPPER)
