"""Data for the player's other modes: a picture whose cells are selected, and two pictures under a slider."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.decode.player_data import player_data
from workbench.decode.recall import Change, changes
from workbench.decode.request import stretches
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


class SideNames(NamedTuple):
    """What the two decodes of a comparison are called."""

    a: str
    b: str


def side_names(a: StoredDecode, b: StoredDecode) -> SideNames:
    """Names both: what each is to the other, and its seed."""
    return SideNames(f"A · {_kin(a, b)}", f"B · {_kin(b, a)}")


def compare_data(first: dict[str, Any], second: dict[str, Any], a: StoredDecode, b: StoredDecode) -> dict[str, Any]:
    """Data of two finished pictures under one slider; `first` and `second` are the player's data of the decodes."""
    names = side_names(a, b)
    return {
        "mode": "compare",
        "title": "A and B under one slider",
        "size": second["size"],
        "a": first["frames"][-1],
        "b": second["frames"][-1],
        "label_a": names.a,
        "label_b": names.b,
    }


def compared_decodes(a: StoredDecode, b: StoredDecode) -> dict[str, Any]:
    """`compare_data` of two stored decodes; raises InputError if one is damaged."""
    return compare_data(player_data(a), player_data(b), a, b)


def painted_differently(a: StoredDecode, b: StoredDecode) -> list[Change]:
    """How two decodes were painted, where they differ: `now` is that of `a`, `then` that of `b`.

    Raises InputError if one does not say how it was painted.
    """
    return changes(_painted_how(a, b, "B"), _painted_how(b, a, "A"))


def compared_pictures(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Sentence on which pictures of two decodes are equal; the arguments are the player's data of both."""
    one, two = (dict(zip(_numbers(data), data["frames"], strict=True)) for data in (first, second))
    if first["frames"][-1] == second["frames"][-1]:
        return "The finished pictures are equal, pixel by pixel."
    equal = [step for step in sorted(one.keys() & two.keys()) if one[step] == two[step]]
    until = next((i for i, step in enumerate(_numbers(first)) if step not in equal), len(equal))
    if until:
        return f"The pictures are equal up to step {_numbers(first)[until - 1]}; the finished ones differ."
    return "The finished pictures differ."


def differences_html(changed: Sequence[Change]) -> str:
    """Table of the differences, as wide as its place, in which long texts wrap."""
    cell = 'style="padding: 0.25rem 0.6rem 0.25rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; '
    cell += 'border-bottom: 1px solid rgba(128, 128, 128, 0.35)"'
    rows = [
        f'<tr><th scope="row" {cell}>{html.escape(name)}</th><td {cell}>{html.escape(a)}</td>'
        f"<td {cell}>{html.escape(b)}</td></tr>"
        for name, a, b in changed
    ]
    head = "".join(f'<th scope="col" {cell}>{name}</th>' for name in ("", "A", "B"))
    return (
        '<table style="width: 100%; table-layout: fixed; border-collapse: collapse; font-size: 0.9rem">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _kin(one: StoredDecode, other: StoredDecode) -> str:
    """What `one` is, seen from `other`."""
    seed = f"seed {one.about.get('seed')}"
    if other.about.get("parent") == one.id:
        return f"parent, {seed}"
    if one.about.get("parent"):
        whose = "" if one.about["parent"] == other.id else " of another decode"
        return f"fork{whose} after step {one.about.get('fork_step')}, {seed}"
    return seed


def _painted_how(one: StoredDecode, other: StoredDecode, name: str) -> dict[str, Any]:
    """Prompt, beginning and settings of `one`; `name` is the letter of the other."""
    last = stretches(one)[-1]
    settings = last.settings.to_dict()
    if settings["sampling_steps"] is None:
        settings["sampling_steps"] = "the model's own number"
    named = {name.replace("_", " "): value for name, value in settings.items()}
    return {
        "prompt": last.prompt,
        "begins with": _beginning(one, other, name),
        **named,
        "model": one.about.get("model", "unknown"),
        "weights": one.about.get("weights", "averaged"),
    }


def _beginning(one: StoredDecode, other: StoredDecode, name: str) -> str:
    about = one.about
    if about.get("parent"):
        whose = name if about["parent"] == other.id else str(about["parent"])
        return f"the first {about.get('fork_step')} steps of {whose}"
    if about.get("kept"):
        return f"{len(about['kept'])} kept cells of a picture"
    return "every token hidden"


def _numbers(data: dict[str, Any]) -> list[int]:
    return [step["step"] for step in data["steps"]]
