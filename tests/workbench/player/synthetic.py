"""Small made-up data for the player: pictures of noise and colour, revealed in a shuffled order."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from workbench.palette import candidate_colour

GREY = 232
WORDS = ["<start>", "a", "red", "circle", "above", "a", "blue", "square", "<end>"]


def png(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URL."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def picture(size: int, seed: int = 0) -> np.ndarray:
    """(size, size, 3) uint8: a soft ground with a disc, whose colours come from the seed."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[0:size, 0:size] / size
    ground, disc = rng.integers(120, 250, 3), rng.integers(0, 200, 3)
    pixels = ground * (0.75 + 0.25 * right[..., None])
    inside = (down - 0.45) ** 2 + (right - 0.55) ** 2 < 0.09
    return np.where(inside[..., None], disc, pixels).astype(np.uint8)


def hide(pixels: np.ndarray, hidden: np.ndarray, grid: int, fill: int = GREY) -> np.ndarray:
    """The picture with its `hidden` (N,) bool tokens in one grey."""
    side = len(pixels) // grid
    cover = np.repeat(np.repeat(hidden.reshape(grid, grid), side, 0), side, 1)
    return np.where(cover[..., None], np.uint8(fill), pixels)


def rows_as_bytes(rows: np.ndarray) -> str:
    """Rows of weights, each scaled to a maximum of 255, as base64."""
    scaled = rows / rows.max(axis=1, keepdims=True) * 255
    return base64.b64encode(scaled.round().astype(np.uint8).tobytes()).decode()


def decode_data(grid: int = 5, steps: int = 8, side: int = 6, given: int = 0, seed: int = 0) -> dict[str, Any]:
    """Data of mode `player`: `given` tokens are there from the start, the others come in equal parts."""
    rng = np.random.default_rng(seed)
    tokens, size = grid * grid, grid * side
    order = rng.permutation(tokens)[given:]
    parts = np.array_split(order, min(steps, len(order)))
    whole, hidden = picture(size, seed), np.isin(np.arange(tokens), order)
    revealed_at, entries, frames, rests = [-1] * tokens, [], [], []
    for i, part in enumerate(parts):
        hidden[part] = False
        for position in part:
            revealed_at[position] = i
        entries.append(
            {
                "step": i + 1,
                "of": len(parts),
                "decoded": 1 - hidden.mean().item(),
                "guidance": 1 + 2 * i / steps,
                "alignment": None if i == 0 else 0.1 + 0.02 * i,
                "revealed": sorted(part.tolist()),
            }
        )
        frames.append(png(hide(whole, hidden, grid)))
        rests.append(png(np.where(hide(whole, hidden, grid, 0) == 0, whole // 2 + 60, whole)))
    strips = [png(rng.integers(0, 255, (side, 8 * side, 3), dtype=np.uint8)) for _ in range(tokens)]
    return {
        "mode": "player",
        "title": "a red circle above a blue square",
        "size": size,
        "grid": grid,
        "steps": entries,
        "frames": frames,
        "rests": rests,
        "order": revealed_at,
        "words": WORDS,
        "cross": rows_as_bytes(rng.random((tokens, len(WORDS))) ** 3),
        "self": rows_as_bytes(rng.random((tokens, tokens)) ** 4),
        "paths": strips,
        "path_length": 8,
        "path_values": [[1.5 * 0.6**i for i in range(8)] for _ in range(tokens)],
        "colour": candidate_colour(0),
    }


def race_data(candidates: int = 4, select: int = 3, steps: int = 8, chosen: int = 2) -> dict[str, Any]:
    """Data of mode `race`: one choice; those not chosen end there."""
    base = decode_data(steps=steps)
    racers = []
    for number in range(candidates):
        alive = steps if number == chosen else select + 1
        frames = decode_data(steps=steps, seed=number)["frames"][:alive]
        alignment = [0.1 + 0.02 * i + (0.03 if number == chosen else 0.01 * number) for i in range(alive)]
        racers.append(
            {
                "number": number,
                "colour": candidate_colour(number),
                "frames": frames,
                "alignment": alignment,
                "alive": alive,
                "right": number == chosen if alive == steps else None,
            }
        )
    entries = [{name: step[name] for name in ("step", "of", "decoded")} for step in base["steps"]]
    return {
        "mode": "race",
        "title": base["title"],
        "size": base["size"],
        "grid": base["grid"],
        "steps": entries,
        "select": [select],
        "chosen": chosen,
        "candidates": racers,
    }


def cells_data(grid: int = 5, cells: tuple[int, ...] = (0, 1, 6), verb: str = "keep") -> dict[str, Any]:
    """Data of mode `cells`."""
    shown = png(picture(grid * 6))
    return {
        "mode": "cells",
        "title": "Tokens of a picture",
        "size": grid * 6,
        "grid": grid,
        "picture": shown,
        "cells": list(cells),
        "verb": verb,
    }


def compare_data() -> dict[str, Any]:
    """Data of mode `compare`."""
    return {
        "mode": "compare",
        "title": "Two seeds",
        "a": png(picture(30, 0)),
        "b": png(picture(30, 1)),
        "label_a": "seed 0",
        "label_b": "seed 1",
        "size": 30,
    }


ALL = {"player": decode_data, "race": race_data, "cells": cells_data, "compare": compare_data}
"""What makes data of each mode."""
