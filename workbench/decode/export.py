"""Exports of a stored decode: PNG, GIF, MP4, offline HTML and JSON, each with the settings that painted it.

Files are made in memory from the store; no model is opened.
"""

import base64
import importlib.util
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dream import __version__
from dream.decoding import pictures as sheets
from dream.decoding.pictures import SheetPanel, SheetRow
from dream.decoding.record import DecodeRecord, load_record
from dream.json_text import format_json
from workbench.decode.paint import GIVEN_PICTURE
from workbench.decode.player_data import player_data
from workbench.decode.request import final_picture, winner
from workbench.pictures import enlarged
from workbench.player import player_html
from workbench.store import StoredDecode

PNG_SIDE = 512
"""Small pictures are enlarged by an integer factor to at most this side, in pixels."""
GIVEN_BYTES = 300_000
"""Largest given picture that is put into a file: PNG readers refuse texts of a megabyte."""
FRAME_SECONDS, HOLD_SECONDS = 0.35, 2.5
FRAMES_A_SECOND = 20
FORMAT = "dream decode"


def about_file(stored: StoredDecode) -> dict[str, Any]:
    """Description stored in a file: enough to paint the decode again."""
    about = {"prompt": stored.prompt, "stored": stored.id, **stored.about}
    given = stored.path / GIVEN_PICTURE
    if given.is_file() and given.stat().st_size <= GIVEN_BYTES:
        about["given_picture"] = base64.b64encode(given.read_bytes()).decode()
    return about


def file_name(stored: StoredDecode, suffix: str) -> str:
    """File name made of the prompt and the seed."""
    slug = re.sub(r"[^a-z0-9]+", "-", stored.prompt.lower()).strip("-")[:40].strip("-")
    return f"{slug or 'picture'}-seed{stored.about.get('seed', 0)}.{suffix}"


def decode_png(stored: StoredDecode) -> bytes:
    """PNG of the finished picture, with its settings inside."""
    file = io.BytesIO()
    picture = enlarged(final_picture(load_record(stored.record_path)), PNG_SIDE)
    sheets.write_png(picture, file, about_file(stored))
    return file.getvalue()


def decode_gif(stored: StoredDecode) -> bytes:
    """Looping GIF of every step, with the decoded share."""
    file = io.BytesIO()
    sheets.write_gif(list(_frames(stored)), file, FRAME_SECONDS, HOLD_SECONDS)
    return file.getvalue()


def can_write_mp4() -> bool:
    """Whether the package with the video encoder is installed."""
    return importlib.util.find_spec("imageio_ffmpeg") is not None


def decode_mp4(stored: StoredDecode) -> bytes:
    """MP4 (H.264) of every step."""
    return film(_frames(stored), stored.about)


def film(images: Iterable[Image.Image], about: Mapping[str, Any]) -> bytes:
    """MP4 (H.264) of pictures of one size, with `about` as its comment; the last picture is held."""
    import imageio_ffmpeg  # type: ignore[import-untyped]

    frames = [np.asarray(_even(image)) for image in images]
    height, width = frames[0].shape[:2]
    repeats = [round(FRAME_SECONDS * FRAMES_A_SECOND)] * len(frames)
    repeats[-1] = round(HOLD_SECONDS * FRAMES_A_SECOND)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decode.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path),
            (width, height),
            fps=FRAMES_A_SECOND,
            codec="libx264",
            pix_fmt_out="yuv420p",
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=["-movflags", "+faststart", "-metadata", f"comment={json.dumps(about)}"],
        )
        writer.send(None)
        for frame, count in zip(frames, repeats, strict=True):
            for _ in range(count):
                writer.send(np.ascontiguousarray(frame))
        writer.close()
        return path.read_bytes()


def decode_html(stored: StoredDecode) -> bytes:
    """The player with this decode, as one HTML file that works offline."""
    return player_html(player_data(stored), stored.prompt).encode()


def decode_json(stored: StoredDecode) -> bytes:
    """JSON of the settings, the order and the result of every step."""
    record = load_record(stored.record_path)
    candidate = winner(record)
    tree = {
        "format": FORMAT,
        "version": __version__,
        **about_file(stored),
        "num_tokens": record.about.num_tokens,
        "picture_size": record.about.picture_size,
        "order": record.order[0].tolist(),
        "steps_done": [_step(record, step, candidate) for step in record.steps],
        "tokens": record.finished(0)[1][0].round(6).tolist(),
    }
    return format_json(tree, indent=1).encode()


def _step(record: DecodeRecord, step: int, candidate: int) -> dict[str, Any]:
    score = float(record.alignment[step, 0, record.drawn_by(step, 0, candidate)])
    return {
        "step": step + 1,
        "decoded_fraction": float(record.decoded_fraction[step]),
        "guidance": float(record.guidance[step]),
        "alignment": None if np.isnan(score) else score,
        "revealed": np.flatnonzero(record.reveal_step[0] == step).tolist(),
    }


def _frames(stored: StoredDecode) -> Iterator[Image.Image]:
    """One sheet per step: the picture so far, with its prompt."""
    record = load_record(stored.record_path)
    candidate, steps = winner(record), record.about.settings.steps
    for step in record.steps:
        share = float(record.decoded_fraction[step])
        picture = np.asarray(record.previews[step, 0, record.drawn_by(step, 0, candidate)])
        heading = f"step {step + 1} of {steps}, {share:.0%} of the tokens decoded"
        yield sheets.draw_sheet([SheetRow([SheetPanel(picture)])], heading, stored.prompt, share)


def _even(image: Image.Image) -> Image.Image:
    """The picture with even sides, as the colour format of H.264 needs."""
    width, height = (side + side % 2 for side in image.size)
    whole = Image.new("RGB", (width, height), sheets.PAPER)
    whole.paste(image)
    return whole
