"""Near-miss families: pictures that differ in one thing, side by side in the order of the training."""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from dream.data.samples import Row

FAMILY_SIZE = 8
"""Largest number of pictures in a family."""


@runtime_checkable
class Kin(Protocol):
    """A row that can be in families."""

    @property
    def kin(self) -> tuple[Hashable, Hashable]:
        """Keys that it shares with the rows of each of its two families."""


def in_families(rows: Sequence[Row], share: float, generator: np.random.Generator) -> list[int]:
    """All numbers of `rows` once, in random order, about `share` of them next to their families.

    Half of the families share their first key and half their second. Rows that know no kin stay alone.
    """
    order = generator.permutation(len(rows)).tolist()
    kin = {i: row.kin for i in order if isinstance(row := rows[i], Kin)}
    units: list[list[int]] = []
    together: set[int] = set()
    for which in range(2):
        groups = _groups({i: keys[which] for i, keys in kin.items() if i not in together})
        wanted = len(together) + share / 2 * len(rows)
        for place in generator.permutation(len(groups)).tolist():
            if len(together) >= wanted:
                break
            units.append(groups[place])
            together.update(groups[place])
    units += [[i] for i in order if i not in together]
    return [i for place in generator.permutation(len(units)).tolist() for i in units[place]]


def _groups(keys: dict[int, Hashable]) -> list[list[int]]:
    """Numbers with equal keys in groups of at most FAMILY_SIZE; those that would be alone are in none."""
    by_key: dict[Hashable, list[int]] = {}
    for number, key in keys.items():
        by_key.setdefault(key, []).append(number)
    cut = [numbers[i : i + FAMILY_SIZE] for numbers in by_key.values() for i in range(0, len(numbers), FAMILY_SIZE)]
    return [group for group in cut if len(group) > 1]
