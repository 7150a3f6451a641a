"""Exports of a stored choice among candidates: PNG, GIF, MP4, JSON, and the player as one HTML file.

Files are made in memory from the store, with the settings that painted them; no model is opened.
"""

import io
import math
from collections.abc import Mapping
from typing import Any

from PIL import Image

from dream import __version__
from dream.decoding import pictures as sheets
from dream.decoding.pictures import SheetPanel
from dream.json_text import format_json
from workbench.decode.export import FRAME_SECONDS, HOLD_SECONDS, about_file, film
from workbench.player import player_html
from workbench.store import StoredDecode
from workbench.trajectories.race import Race, open_race, place_name

FORMAT = "dream choice"
IN_A_ROW = 8


def race_png(stored: StoredDecode) -> bytes:
    """PNG of all candidates as far as they were painted, the chosen one framed, with the settings inside."""
    file = io.BytesIO()
    sheets.write_png(race_sheets(open_race(stored))[-1], file, about_file(stored))
    return file.getvalue()


def race_gif(stored: StoredDecode) -> bytes:
    """Looping GIF of all candidates, step by step."""
    file = io.BytesIO()
    sheets.write_gif(race_sheets(open_race(stored)), file, FRAME_SECONDS, HOLD_SECONDS)
    return file.getvalue()


def race_mp4(stored: StoredDecode) -> bytes:
    """MP4 (H.264) of all candidates, step by step."""
    return film(race_sheets(open_race(stored)), stored.about)


def race_html(stored: StoredDecode, played: Mapping[str, Any]) -> bytes:
    """The player with its data (`race_data`), as one HTML file that works offline."""
    return player_html(played, stored.prompt).encode()


def race_json(stored: StoredDecode) -> bytes:
    """JSON of the settings, and of the candidates and their scores at every step."""
    race = open_race(stored)
    steps = [
        {
            "step": race.steps[i],
            "decoded_fraction": race.decoded[i],
            "alignment": [None if math.isnan(a) else a for a in race.alignment[i].tolist()],
            "alive": race.alive[i].tolist(),
            "kept": race.kept[i].tolist(),
        }
        for i in range(len(race.steps))
    ]
    tree = {
        "format": FORMAT,
        "version": __version__,
        "prompt": stored.prompt,
        "created": stored.created,
        "about": stored.about,
        "chosen": race.chosen,
        "steps": steps,
    }
    return format_json(tree, indent=1).encode()


def race_sheets(race: Race) -> list[Image.Image]:
    """One sheet per step, all of one size: every candidate, with dropped ones crossed out and the chosen one framed."""
    return [_sheet(race, i) for i in range(len(race.steps))]


def _sheet(race: Race, i: int) -> Image.Image:
    left = race.kept[i].sum() == 1 and any(choice <= i for choice in race.choices)
    panels = []
    for k in range(race.candidates):
        at = race.shown_at(i, k)
        score = race.alignment[at]
        chosen = bool(left and race.kept[i, k])
        out = not race.kept[i, k] and bool(race.choices) and (not race.redraws or bool(left))
        text = f"candidate {k + 1}: {score:.3f}" if score == score else f"candidate {k + 1}"
        panels.append(SheetPanel(race.frames[at], text, chosen, out))
    where = place_name(race.steps[i], race.settings.steps, race.decoded[i])
    return sheets.draw_sheet(sheets.panel_rows(panels, IN_A_ROW), race.prompt, where, race.decoded[i])
