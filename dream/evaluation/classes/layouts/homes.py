"""Finds the folders that hold classes: through wrappers, in splits, and whichever way a class holds its pictures.

Decided by where pictures are. Whatever can be read in two ways is refused in a sentence.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dream.console import few_of
from dream.data.corpora.folders import split_of
from dream.errors import InputError
from dream.evaluation.classes.layouts.tree import (
    MAP_FOLDERS,
    PICTURE_FOLDERS,
    PLAIN_PICTURE_FOLDERS,
    SIDE_FOLDERS,
    Tree,
)
from dream.plain_text import printable

EXPECTED = "expected ROOT/CLASS/*.jpg, or ROOT/train/CLASS/*.jpg and ROOT/test/CLASS/*.jpg"

_PART = re.compile(
    r"(?:.*[-_. ])?(?:fold|part|pt|batch|chunk|shard|split|subset|vol|volume|images?|imgs?|data|dataset|folder|dir|"
    r"dis[ck]|archive|zip)[-_. ]?\(?\d+\)?"
)


@dataclass(frozen=True)
class ClassHome:
    """A folder that holds classes."""

    tree: Tree
    classes: dict[str, Tree]
    """The folder of each class, by its name; empty if all pictures lie directly in `tree`."""
    form: str = "class folders"
    """How a class holds its pictures, in words."""


def entered(tree: Tree, known: Collection[str] = (), in_split: bool = False) -> Tree:
    """The first folder that is no wrapper: it holds pictures, splits, or several folders with pictures.

    A folder whose name is among the `known` classes is never taken for a wrapper, and a split has no splits.
    """
    while not tree.pictures and (in_split or not split_trees(tree)):
        holders = _without_maps(tree.holders)
        if len(holders) != 1 or class_name(holders[0].name) in known:
            break
        may_be_class = not holders[0].holders and holders[0].name.lower() not in {*PICTURE_FOLDERS, tree.name.lower()}
        if may_be_class and (in_split or len(tree.holders) > 1):
            break
        tree = holders[0]
    return tree


def split_trees(tree: Tree) -> dict[str, Tree]:
    """The folders of `train`, `val` and `test`, as far as they are there; empty if the folder has no splits of its own.

    A lone split counts as a wrapper. Raises InputError for two folders of one split, for splits next to other
    folders with pictures, and for an empty split that no other can stand in for.
    """
    named = [(role, folder) for folder in tree.folders if (role := split_of(folder.name))]
    named = named or _decorated(tree)
    inside = {role: folder for role, folder in named if folder.count}
    if not inside:
        return {}
    for role, count in Counter(role for role, folder in named if folder.count).items():
        if count > 1:
            both = _listed(folder.name for other, folder in named if other == role and folder.count)
            raise InputError(
                f"{quoted(tree)} has {both}, which both mean '{role}': keep one, or put them into one folder"
            )
    names = {folder.name for _, folder in named}
    others = [h for h in tree.holders if h.name not in names and h.name.lower() not in SIDE_FOLDERS]
    if others:
        raise InputError(
            f"{quoted(tree)} has the split {_listed(f.name for f in inside.values())} next to other folders with "
            f"pictures ({_listed(h.name for h in others)}): {EXPECTED}; move the classes into the splits, or rename "
            f"the folder if it is a class"
        )
    if len(named) == 1:
        return {}
    empty = [folder.name for role, folder in named if not folder.count]
    if ("train" not in inside and "train" in dict(named)) or not inside.keys() & {"val", "test"}:
        raise InputError(
            f"{quoted(tree)} has the split {_listed(empty)} without any picture: fill it, or remove it; without splits "
            f"a fifth of the pictures are the test pictures"
        )
    return inside


def class_home(tree: Tree) -> ClassHome:
    """The classes that a folder holds (`entered` already). Raises InputError if that is ambiguous."""
    holders = tree.holders
    if not holders:
        return ClassHome(tree, {})
    if tree.pictures:
        raise _mixed(tree)
    for holder in holders:
        if holder.pictures and holder.holders:
            raise _mixed(holder)
    if sides := [h.name for h in holders if h.name.lower() in SIDE_FOLDERS]:
        raise InputError(
            f"{quoted(tree)} has pictures in {_listed(sides)} next to the folders "
            f"{_listed(h.name for h in holders if h.name not in sides)}: annotations are no class; move that folder "
            f"away, or rename it if it is a class"
        )
    _refuse_parts(tree)
    if all(_plain(holder) for holder in holders):
        inner = {h.holders[0].name.lower() for h in holders if h.holders} & PICTURE_FOLDERS
        form = f"class folders with {min(inner)}/" if inner else "class folders"
        return ClassHome(tree, {h.name: h for h in holders}, form)
    if all(_bucket(holder) for holder in holders):
        leaves = {name: leaf for holder in holders for name, leaf in _leaves(holder, "").items()}
        return ClassHome(tree, leaves, "class folders by first letter")
    raise _too_deep(tree)


def class_name(folder: str) -> str:
    """Name of a class from its folder's: one form of composed letters, and nothing that cannot be printed."""
    return printable(unicodedata.normalize("NFC", folder))


def quoted(tree: Tree) -> str:
    """The path of a folder for a sentence."""
    return f"'{printable(str(tree.path))}'"


def _decorated(tree: Tree) -> list[tuple[str, Tree]]:
    """Splits with more in their names (`cars_train`, `ILSVRC2012_img_val`), if all folders are such."""
    found = []
    for folder in tree.holders:
        words = {role for word in re.split(r"[^a-z]+", folder.name.lower()) if (role := split_of(word))}
        if folder.name.lower() in SIDE_FOLDERS:
            continue
        if len(words) != 1:
            return []
        found.append((words.pop(), folder))
    roles = dict(found)
    return found if len(roles) == len(found) > 1 and "train" in roles else []


def _without_maps(holders: Sequence[Tree]) -> list[Tree]:
    """The folders without those of maps and annotations; next to `images` more names than otherwise mean such."""
    rest = [holder for holder in holders if holder.name.lower() not in SIDE_FOLDERS]
    pictures = [holder for holder in rest if holder.name.lower() in PICTURE_FOLDERS]
    if len(pictures) == 1 and all(h in pictures or h.name.lower() in MAP_FOLDERS for h in rest):
        return pictures
    return rest or list(holders)


def _plain(holder: Tree) -> bool:
    """Whether a folder is a class: it holds pictures, or only a folder that does, of its own name or like `images`."""
    if holder.pictures:
        return not holder.holders
    inner = holder.holders
    named = len(inner) == 1 and inner[0].name.lower() in {*PICTURE_FOLDERS, holder.name.lower()}
    return named and _plain(inner[0])


def _bucket(holder: Tree) -> bool:
    """Whether a folder only sorts classes by their first letter, as in SUN397 and Places."""
    letter = holder.name.casefold()
    return (
        len(letter) == 1 and not holder.pictures and all(h.name.casefold().startswith(letter) for h in holder.holders)
    )


def _leaves(tree: Tree, prefix: str) -> dict[str, Tree]:
    leaves: dict[str, Tree] = {}
    for holder in tree.holders:
        if holder.pictures and holder.holders:
            raise _mixed(holder)
        name = prefix + holder.name
        leaves |= {name: holder} if _plain(holder) else _leaves(holder, f"{name}/")
    return leaves


def _refuse_parts(tree: Tree) -> None:
    """Raises InputError if the folders are parts of a set rather than classes, by their names."""
    names = [holder.name for holder in tree.holders]
    starts = {match[1] for name in names if (match := re.match(r"(train|test|val)", name.lower()))}
    if "train" in starts and len(starts) > 1 and all(re.match(r"train|test|val", name.lower()) for name in names):
        why = "are splits by their names, and unclear ones"
    elif len(names) > 1 and all(_PART.fullmatch(name.lower()) for name in names):
        why = "are numbered parts by their names"
    elif len(names) > 1 and any(name.lower() in PLAIN_PICTURE_FOLDERS for name in names):
        why = "are no classes by their names"
    else:
        return
    raise InputError(
        f"the folders of {quoted(tree)} ({_listed(names)}) {why}: {EXPECTED}; move the pictures into one folder per "
        f"class, or rename folders that are classes"
    )


def _mixed(tree: Tree) -> InputError:
    deeper = _listed(h.name for h in tree.holders)
    many = "1 picture" if len(tree.pictures) == 1 else f"{len(tree.pictures):,} pictures"
    return InputError(
        f"{quoted(tree)} holds {many} and also folders with pictures ({deeper}), so its classes are unclear: "
        f"{EXPECTED}; move its pictures, or these folders, elsewhere"
    )


def _too_deep(tree: Tree) -> InputError:
    deep = [h for h in tree.holders if not _plain(h)]
    inner = [frozenset(h.name for h in holder.holders) for holder in deep]
    flat = [h.name for h in tree.holders if _plain(h)]
    examples = _listed(f"{deep[0].name}/{h.name}" for h in deep[0].holders)
    next_to = f" while {_listed(flat)} hold{'s' if len(flat) == 1 else ''} pictures" if flat else ""
    if len(deep) > 1 and frozenset.intersection(*inner):
        why = f"the same folders lie below {_listed(h.name for h in deep)}"
        todo = "give one of these folders, or name them train and test if they are splits"
    else:
        why = f"{_listed(h.name for h in deep)} {'has' if len(deep) == 1 else 'have'} only subfolders{next_to}"
        todo = "give the folder whose subfolders are the classes, or move the pictures up into the class folders"
    return InputError(f"the classes of {quoted(tree)} are unclear: {why} (e.g. {examples}); {EXPECTED}; {todo}")


def _listed(names: Iterable[str], most: int = 3) -> str:
    return few_of([f"'{printable(name)}'" for name in names], most)
