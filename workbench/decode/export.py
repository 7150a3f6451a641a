"""A stored decode as a file for others: PNG, GIF, MP4, one offline HTML, JSON. Each says how it was painted.

Files are made in memory from what is stored; no model is opened.
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
from workbench.decode.paint import GIVEN_PICTURE
from workbench.decode.player_data import player_data
from workbench.decode.request import final_picture, winner
from workbench.pictures import enlarged
from workbench.player import player_html
from workbench.store import StoredDecode

PNG_SIDE = 512
"""Small pictures are enlarged by a whole factor to at most this side, in pixels."""
GIVEN_BYTES = 300_000
"""Largest given picture that a file carries; readers of PNGs refuse texts of a megabyte."""
FRAME_SECONDS, HOLD_SECONDS = 0.35, 2.5
FRAMES_A_SECOND = 20
FORMAT = "dream decode"


def about_file(stored: StoredDecode) -> dict[str, Any]:
    """What a file says of its making: enough to paint it again."""
    about = {"prompt": stored.prompt, "stored": stored.id, **stored.about}
    given = stored.path / GIVEN_PICTURE
    if given.is_file() and given.stat().st_size <= GIVEN_BYTES:
        about["given_picture"] = base64.b64encode(given.read_bytes()).decode()
    return about


def file_name(stored: StoredDecode, suffix: str) -> str:
    """A name for a file of it: the prompt, then the seed."""
    slug = re.sub(r"[^a-z0-9]+", "-", stored.prompt.lower()).strip("-")[:40].strip("-")
    return f"{slug or 'picture'}-seed{stored.about.get('seed', 0)}.{suffix}"


def decode_png(stored: StoredDecode) -> bytes:
    """The finished picture, with its settings inside."""
    file = io.BytesIO()
    picture = enlarged(final_picture(load_record(stored.record_path)), PNG_SIDE)
    sheets.write_png(picture, file, about_file(stored))
    return file.getvalue()


def decode_gif(stored: StoredDecode) -> bytes:
    """Every step, with how far it is, as an endless GIF."""
    file = io.BytesIO()
    sheets.write_gif(list(_frames(stored)), file, FRAME_SECONDS, HOLD_SECONDS)
    return file.getvalue()


def can_write_mp4() -> bool:
    """Whether the package that brings the encoder is here."""
    return importlib.util.find_spec("imageio_ffmpeg") is not None


def decode_mp4(stored: StoredDecode) -> bytes:
    """Every step as a film (H.264)."""
    return film(_frames(stored), stored.about)


def film(images: Iterable[Image.Image], about: Mapping[str, Any]) -> bytes:
    """The pictures, all of one size, as a film (H.264) that says how it was made; the last one is held."""
    import imageio_ffmpeg  # type: ignore[import-untyped]

    frames = [np.asarray(_even(image)) for image in images]
    height, width = frames[0].shape[:2]
    repeats = [round(FRAME_SECONDS * FRAMES_A_SECOND)] * len(frames)
    repeats[-1] = round(HOLD_SECONDS * FRAMES_A_SECOND)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decode.mp4"
        film = imageio_ffmpeg.write_frames(
            str(path),
            (width, height),
            fps=FRAMES_A_SECOND,
            codec="libx264",
            pix_fmt_out="yuv420p",
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=["-movflags", "+faststart", "-metadata", f"comment={json.dumps(about)}"],
        )
        film.send(None)
        for frame, count in zip(frames, repeats, strict=True):
            for _ in range(count):
                film.send(np.ascontiguousarray(frame))
        film.close()
        return path.read_bytes()


def decode_html(stored: StoredDecode) -> bytes:
    """The player with this decode as one file that works offline."""
    return player_html(player_data(stored), stored.prompt).encode()


def decode_json(stored: StoredDecode) -> bytes:
    """How it was painted, and what every step did."""
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
    return json.dumps(tree, indent=1, ensure_ascii=False).encode()


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
    """A sheet a step: the picture so far over its prompt."""
    record = load_record(stored.record_path)
    candidate, steps = winner(record), record.about.settings.steps
    for step in record.steps:
        share = float(record.decoded_fraction[step])
        picture = np.asarray(record.previews[step, 0, record.drawn_by(step, 0, candidate)])
        heading = f"step {step + 1} of {steps}, {share:.0%} of the tokens decoded"
        yield sheets.draw_sheet([SheetRow([SheetPanel(picture)])], heading, stored.prompt, share)


def _even(image: Image.Image) -> Image.Image:
    """The picture with even sides, as the film's colours want."""
    width, height = (side + side % 2 for side in image.size)
    whole = Image.new("RGB", (width, height), sheets.PAPER)
    whole.paste(image)
    return whole
