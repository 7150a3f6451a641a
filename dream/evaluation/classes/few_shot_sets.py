"""Names of the 14 few-shot data sets of LGSSL (arXiv 2302.12066), which DREAM's table averages over.

Each is a copy on the hub with the official classes and the copy's splits. The support comes from all of `train`, while
LGSSL uses four fifths of it and its own subsets of EuroSAT (5,000 each) and RESISC45 (a tenth for the support).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from dream.errors import InputError, did_you_mean

ALL = "few-shot-14"
"""All sets from the hub; with `:DIR` behind, the folders DIR/NAME of class folders."""


@dataclass(frozen=True)
class FewShotSet:
    """A set on the hub. The support comes from its `train` split, the queries from `test` (or validation)."""

    title: str
    hub: str
    """Source string; the label column is recognised by name (`label`, `fine_label`, `cls`)."""
    classes: int


SETS = {
    "food101": FewShotSet("Food-101", "hf:ethz/food101", 101),
    "cifar10": FewShotSet("CIFAR-10", "hf:uoft-cs/cifar10", 10),
    "cifar100": FewShotSet("CIFAR-100", "hf:uoft-cs/cifar100", 100),
    "cub200": FewShotSet("CUB-200-2011", "hf:bentrevett/caltech-ucsd-birds-200-2011", 200),
    "sun397": FewShotSet("SUN397", "hf:tanganke/sun397", 397),
    "cars": FewShotSet("Stanford Cars", "hf:tanganke/stanford_cars", 196),
    "aircraft": FewShotSet("FGVC Aircraft", "hf:clip-benchmark/wds_fgvc_aircraft", 100),
    "dtd": FewShotSet("DTD", "hf:tanganke/dtd", 47),
    "pets": FewShotSet("Oxford-IIIT Pets", "hf:timm/oxford-iiit-pet", 37),
    "caltech101": FewShotSet("Caltech-101", "hf:dpdl-benchmark/caltech101", 102),
    "flowers": FewShotSet("Oxford Flowers-102", "hf:dpdl-benchmark/oxford_flowers102", 102),
    "stl10": FewShotSet("STL-10", "hf:tanganke/stl10", 10),
    "eurosat": FewShotSet("EuroSAT", "hf:timm/eurosat-rgb", 10),
    "resisc45": FewShotSet("RESISC45", "hf:timm/resisc45", 45),
}
"""In the paper's order."""


def resolve(data: str) -> list[tuple[str, str]]:
    """(name, source) pairs that `data` refers to: one set of the table, all of them, or any other source as given.

    For `few-shot-14:DIR` only the existing folders are included (see `missing`). Raises InputError if none exists.
    """
    if data in SETS:
        return [(data, SETS[data].hub)]
    if data == ALL:
        return [(name, entry.hub) for name, entry in SETS.items()]
    if (root := _root(data)) is None:
        _check_spelling(data)
        return [(data, data)]
    folders = [(name, str(root / name)) for name in SETS if (root / name).is_dir()]
    if not folders:
        reason = "no such folder" if not root.is_dir() else "none of them exists"
        raise InputError(f"'{data}' expects folders of class folders in {root}, named {', '.join(SETS)}: {reason}")
    return folders


def missing(data: str) -> tuple[str, ...]:
    """Names of the sets that `few-shot-14:DIR` has no folder for; empty for other data."""
    root = _root(data)
    return () if root is None else tuple(name for name in SETS if not (root / name).is_dir())


def is_collection(data: str) -> bool:
    """Whether `data` refers to the 14 sets, some of which may be missing."""
    return data == ALL or _root(data) is not None


def _root(data: str) -> Path | None:
    folder = data.removeprefix(f"{ALL}:")
    if folder == data:
        return None
    if not folder.strip():
        raise InputError(f"'{data}' needs a folder: {ALL}:DIR, or {ALL} for the hub's copies")
    return Path(os.path.expanduser(folder))


def _check_spelling(data: str) -> None:
    """Raises InputError for a word that is not a source but close to one of the names."""
    if data == "shapes" or ":" in data or os.path.exists(os.path.expanduser(data)):
        return
    if hint := did_you_mean(data, (*SETS, ALL, "shapes"), cutoff=0.7):
        raise InputError(f"there is no folder or data set '{data}'{hint}")
