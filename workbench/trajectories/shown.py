"""Views of a race besides its figures: data for the player, tiles of its candidates, and the result in words.

The app and notebooks show the same.
"""

import html
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.decoding.settings import DecodeSettings
from workbench.palette import BORDER, candidate_colour
from workbench.pictures import png_url
from workbench.trajectories.finished import Finished, Opinion, opinions
from workbench.trajectories.race import Race, race_data
from workbench.trajectories.worth import Worth, scored_index, what_is_seen


def verdict(race: Race) -> Opinion | None:
    """The judge's opinion on the chosen picture; None if there is no choice, or the judge does not know the prompt."""
    return None if race.chosen < 0 else opinions(race.frames[-1, race.chosen][None], [race.prompt])[0]


def as_it_went(race: Race, final: Opinion | None = None) -> dict[str, Any]:
    """The player's data of a race in which dropped candidates end where they were dropped."""
    right: list[bool | None] = [None] * race.candidates
    if final is not None:
        right[race.chosen] = final.well_formed
    return race_data(race, candidates_title(race), right)


def settings_words(settings: DecodeSettings) -> list[str]:
    """What a race was painted with; what the model decides by itself is left out."""
    s, by = settings, "" if settings.score == "cosine" else f" by {settings.score.replace('+', ' + ')}"
    denoising = " ".join(filter(None, [s.solver, f"in {s.sampling_steps} denoising steps" if s.sampling_steps else ""]))
    words = [f"{s.candidates} candidates, {s.selection}{by}", f"{s.steps} steps", denoising]
    words += [f"guidance {s.guidance_scale:g}", f"temperature {s.temperature:g}", f"seed {s.seed}"]
    return [word for word in words if word]


def candidates_title(race: Race) -> str:
    """Title of the player of a race."""
    return f"{race.candidates} candidates"


def all_finished(
    race: Race, found: Finished, full: Race, rows: Sequence[Worth], now: int | None = None
) -> dict[str, Any]:
    """The player's data of a race with all candidates finished, with a slider for the moment of the choice.

    `full` is the race without dropping, `rows` the worth of choosing at each step. `now` is the index of the slider
    (default: that of the choice that was made).
    """
    right = found.well_formed[0].tolist() if found.judged[0] else None
    chosen, choices = (-1, []) if race.redraws else (race.chosen, race.choices)
    at = made_at(found, race)
    now = at if now is None or not 0 <= now < len(rows) else now
    times = [round(row.slower, 3) if math.isfinite(row.slower) else None for row in rows]
    picks = found.scores[:, 0].argmax(1).tolist()
    choose = {"at": at, "now": now, "picks": picks, "times": times}
    return {**race_data(full, f"{candidates_title(full)}, all finished", right, chosen, choices), "choose": choose}


def made_at(found: Finished, race: Race) -> int:
    """Index into the scored steps of the race's last choice; of the first one if every step has one."""
    places = race.choices or [0]
    return scored_index(found, race.steps[places[0] if race.redraws else places[-1]])


def explained(found: Finished, race: Race, index: int, strict: bool = True) -> str:
    """Describes what the choice after the index-th step gained."""
    if race.redraws:
        return (
            "With a choice at every step, the picture is composed of draws of many candidates; the following is "
            f"about choosing once among {race.candidates} separate ones. "
            f"{what_is_seen(found, index, strict=strict)}"
        )
    return what_is_seen(found, index, race.chosen, strict)


class Tile(NamedTuple):
    """A candidate's picture with the note below it."""

    number: int
    picture: NDArray[np.uint8]
    """(3, H, W)."""
    note: str
    out: bool = False
    """It was dropped."""
    chosen: bool = False


def gallery(tiles: Sequence[Tile], side: int = 104) -> str:
    """HTML of the tiles, in rows that wrap."""
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(_tile(t, side) for t in tiles)}</div>'


def race_tiles(race: Race) -> list[Tile]:
    """Every candidate in its latest state; dropped ones as they were when dropped."""
    tiles = []
    for k in range(race.candidates):
        scores = race.alignment[:, k][~np.isnan(race.alignment[:, k])]
        note = f"{scores[-1]:.3f}" if len(scores) else ""
        out = not race.kept[-1, k] and not (race.redraws and not race.choices)
        alone = race.chosen == k and bool(race.choices)
        tiles.append(Tile(k, race.last_frame(k), note, out, alone))
    return tiles


def finished_tiles(found: Finished, prompt: int, chosen: int) -> list[Tile]:
    """The finished candidates of one prompt, with their final score and the judge's opinion."""
    pictures = found.pictures[prompt]
    said = opinions(pictures, [found.prompts[prompt]] * len(pictures))
    return [
        Tile(
            k,
            pictures[k],
            " · ".join([f"{found.scores[-1, prompt, k]:.3f}", *([str(o)] if o else [])]),
            chosen=k == chosen,
        )
        for k, o in enumerate(said)
    ]


def _tile(tile: Tile, side: int) -> str:
    colour, note, name = candidate_colour(tile.number), html.escape(tile.note), tile.number + 1
    fate = "dropped" if tile.out else "chosen" if tile.chosen else ""
    alt = ", ".join(filter(None, [f"Candidate {name}: {note}", fate]))
    frame = "box-shadow:0 0 0 3px currentColor;" if tile.chosen else ""
    weight = "700" if tile.chosen else "400"
    return (
        f'<figure style="margin:3px;width:{side}px">'
        f'<img src="{png_url(tile.picture)}" alt="{alt}" width="{side}" height="{side}" '
        f'style="display:block;image-rendering:pixelated;border:1px solid {BORDER["light"]};border-radius:4px;'
        f'{frame}">'
        f'<figcaption style="font-size:12px;line-height:1.3;margin-top:6px;font-weight:{weight};'
        f'font-variant-numeric:tabular-nums"><span style="color:{colour}">&#9632;</span> '
        f"{' &middot; '.join(filter(None, [str(name), note, fate]))}</figcaption></figure>"
    )
