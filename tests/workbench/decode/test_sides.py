"""Two decodes side by side: each is named, and only what is equal is called so."""

from pathlib import Path
from typing import Any

import pytest

from workbench.decode.sides import compared_pictures, differences_html, painted_differently, side_names
from workbench.store import StoredDecode

SETTINGS = {"steps": 4, "selection": "none"}


def decode(id: str, **about: Any) -> StoredDecode:
    """A stored decode with nothing but its origin."""
    whole = {"seed": 0, "settings": {**SETTINGS, "seed": about.get("seed", 0)}, "model": "demo", **about}
    return StoredDecode(id, Path(id), "decode", about.get("prompt", "a red circle"), 0.0, whole, None)


PARENT = decode("p")
FORK = decode("f", parent="p", fork_step=2, seed=1)
SIBLING = decode("s", parent="p", fork_step=3, seed=1)


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        (PARENT, FORK, ("A · parent, seed 0", "B · fork after step 2, seed 1")),
        (FORK, PARENT, ("A · fork after step 2, seed 1", "B · parent, seed 0")),
        (decode("x", seed=7), PARENT, ("A · seed 7", "B · seed 0")),
        (SIBLING, decode("y"), ("A · fork of another decode after step 3, seed 1", "B · seed 0")),
    ],
)
def test_both_sides_are_named(a, b, names):
    assert side_names(a, b) == names


@pytest.mark.parametrize(
    ("a", "b", "rows"),
    [
        (PARENT, decode("q"), []),
        (PARENT, FORK, [("begins with", "every token hidden", "the first 2 steps of A"), ("seed", "0", "1")]),
        (FORK, SIBLING, [("begins with", "the first 2 steps of p", "the first 3 steps of p")]),
        (PARENT, decode("k", kept=[1, 2]), [("begins with", "every token hidden", "2 kept cells of a picture")]),
        (PARENT, decode("w", weights="raw"), [("weights", "averaged", "raw")]),
        (PARENT, decode("m", model="runs/a"), [("model", "demo", "runs/a")]),
        (PARENT, decode("t", prompt="<b>"), [("prompt", "a red circle", "<b>")]),
    ],
)
def test_what_was_painted_differently_is_listed(a, b, rows):
    found = [tuple(change) for change in painted_differently(a, b)]
    assert found == rows
    assert "<b>" not in differences_html(painted_differently(a, b))


def frames(*names: str, first: int = 1) -> dict[str, Any]:
    return {"frames": list(names), "steps": [{"step": first + i} for i in range(len(names))]}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (frames("a", "b", "c"), frames("a", "b", "c"), "The finished pictures are equal, pixel by pixel."),
        (
            frames("a", "b", "c"),
            frames("a", "b", "d"),
            "The pictures are equal up to step 2; the finished ones differ.",
        ),
        (frames("a", "c"), frames("b", "d"), "The finished pictures differ."),
        (frames("a", "b"), frames("a", "c", first=2), "The finished pictures differ."),
    ],
)
def test_only_equal_pictures_are_called_equal(first, second, said):
    assert compared_pictures(first, second) == said
