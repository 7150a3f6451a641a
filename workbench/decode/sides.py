"""Data for the player's other modes: a picture whose cells are selected, and two pictures under a slider."""

from collections.abc import Sequence
from typing import Any

from workbench.decode.player_data import player_data
from workbench.pictures import Picture, png_url
from workbench.store import StoredDecode


def cells_data(picture: Picture, grid: int, cells: Sequence[int] = (), verb: str = "keep") -> dict[str, Any]:
    """Data of a picture of `grid` x `grid` cells, of which some are selected to `keep` or to `clear`."""
    return {
        "mode": "cells",
        "title": "Cells of the picture",
        "size": picture.shape[1],
        "grid": grid,
        "picture": png_url(picture),
        "cells": list(cells),
        "verb": verb,
    }


def compare_data(first: dict[str, Any], second: dict[str, Any], a: StoredDecode, b: StoredDecode) -> dict[str, Any]:
    """Data of two finished pictures under one slider; `first` and `second` are the player's data of the decodes."""
    return {
        "mode": "compare",
        "title": "A and B under one slider",
        "size": second["size"],
        "a": first["frames"][-1],
        "b": second["frames"][-1],
        "label_a": f"A · seed {a.about.get('seed')}",
        "label_b": f"B · seed {b.about.get('seed')}",
    }


def compared_decodes(a: StoredDecode, b: StoredDecode) -> dict[str, Any]:
    """`compare_data` of two stored decodes; raises InputError if one is damaged."""
    return compare_data(player_data(a), player_data(b), a, b)
