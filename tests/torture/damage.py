"""Damage to files: what a cut cable, a bad disk, another program or an unfriendly hand leaves of them."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

DEEP = b"[" * 100_000
WHOLE: tuple[bytes, ...] = (
    b"",
    b"\0" * 64,
    b"null",
    b"1",
    b"[]",
    b"{}",
    b'""',
    b"[null]",
    b"1e999",
    b'{"format": 1}',
    b"\xff\xfe\x00",
    b'{"a": "\\udce9"}',
    DEEP,
    b'{"a":' * 50_000,
    b"9" * 5_000,
    b"[" * 400 + b"]" * 400,
    b"\n\n\n",
)
"""Contents that take the place of a file's."""
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    1.5,
    65_536,
    10**9,
    10**400,
    1e308,
    -1e308,
    float("inf"),
    float("nan"),
    "",
    "x",
    "\0",
    "\udce9",
    "../" * 40,
    "y" * 100_000,
    [],
    [None],
    [1.5],
    {},
    {"x": 1},
)
"""Values that take the place of one in a JSON tree."""


def damaged(content: bytes, draws: random.Random) -> bytes:
    """One damage of `content`, drawn; of JSON half of them keep it valid JSON."""
    kinds: list[Callable[[bytes, random.Random], bytes]] = [_cut, _flipped, _other, _doubled]
    tree = _tree(content)
    if tree is not None and draws.random() < 0.6:
        return _with_another_value(tree, draws)
    lines = content.splitlines(keepends=True)
    if len(lines) > 1 and draws.random() < 0.3:
        place = draws.randrange(len(lines))
        lines[place] = damaged(lines[place].rstrip(b"\n"), draws) + b"\n"
        return b"".join(lines)
    return draws.choice(kinds)(content, draws)


def _tree(content: bytes) -> Any:
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, (dict, list)) and tree else None


def _with_another_value(tree: Any, draws: random.Random) -> bytes:
    places = list(_places(tree))
    holder, key = draws.choice(places)
    if draws.random() < 0.25:
        del holder[key]
    else:
        holder[key] = draws.choice(VALUES)
    return json.dumps(tree).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield tree, key
        yield from _places(value)


def _cut(content: bytes, draws: random.Random) -> bytes:
    return content[: draws.randrange(len(content) + 1)]


def _flipped(content: bytes, draws: random.Random) -> bytes:
    spoilt = bytearray(content)
    for _ in range(draws.choice((1, 1, 4, 32))):
        if spoilt:
            spoilt[draws.randrange(len(spoilt))] ^= 1 << draws.randrange(8)
    return bytes(spoilt)


def _other(content: bytes, draws: random.Random) -> bytes:
    return draws.choice(WHOLE)


def _doubled(content: bytes, draws: random.Random) -> bytes:
    cut = draws.randrange(len(content) + 1)
    return content[:cut] + content[draws.randrange(len(content) + 1) :]
