"""Finds the files that a source string names, and explains what is there instead if there are none."""

import difflib
import glob
import itertools
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dream.data.corpora.not_tars import why_no_shard
from dream.data.matlab import is_matlab, use_of_matlab
from dream.errors import InputError

KNOWN = "a folder, tar shards ('name-{000000..000003}.tar' or 'name-*.tar'), 'shapes', 'emoji' or 'hf:owner/name'"
MOST_SHARDS = 1_000_000
"""Names that braces may expand to."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,15})\.\.(\d{1,15})")


def expand_braces(pattern: str, source: str = "") -> Iterator[str]:
    """Expands `a-{00..02}.tar` to three names and `{x,y}` to two, one after the other; several braces multiply.

    Raises InputError at once, naming the whole `source`, for other braces, and for more than MOST_SHARDS names.
    """
    source = source or pattern
    parts = _BRACES.split(pattern)  # text, inside of a brace, text, ...
    choices = [_choices(inner, source) for inner in parts[1::2]]
    count = math.prod(map(len, choices))
    if count > MOST_SHARDS:
        raise InputError(f"'{source}' names {count:,} files, more than {MOST_SHARDS:,}: check the range")
    return (
        parts[0] + "".join(choice + text for choice, text in zip(chosen, parts[2::2], strict=True))
        for chosen in itertools.product(*choices)
    )


def _choices(inner: str, source: str) -> Sequence[str]:
    """What the inside of a brace stands for."""
    if numbers := _RANGE.fullmatch(inner):
        first, last = numbers.groups()
        if int(first) > int(last):
            raise InputError(f"the range {{{inner}}} in '{source}' is empty: write the smaller number first")
        width, count = len(first) if first.startswith("0") else 0, int(last) - int(first) + 1
        if count > MOST_SHARDS:
            raise InputError(f"'{source}' names {count:,} files, more than {MOST_SHARDS:,}: check the range")
        return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
    if "," in inner:
        return inner.split(",")
    raise InputError(f"cannot read {{{inner}}} in '{source}': write a range {{000000..000003}} or a list {{a,b}}")


def shard_paths(source: str) -> list[Path]:
    """Paths of the tars that a path, glob or brace range names; several are joined by `::`.

    Raises InputError, which says what is there instead.
    """
    if source.startswith("pipe:"):
        raise InputError(f"'{source}' is a command, which is not run: write its output to a .tar, and give that")
    if "::" in source and not is_there(source):
        parts = [part for part in source.split("::") if part.strip()]
        if not parts:
            raise InputError(f"'{source}' names nothing: expected {KNOWN}")
        return list(dict.fromkeys(path for part in parts for path in shard_paths(os.path.expanduser(part))))
    paths = _named_paths(source.removeprefix("file:"))
    for path in paths:
        if path.is_dir():
            raise InputError(f"'{path}' is a folder: give one folder by its plain path, or tar shards")
        if path.suffix.lower() != ".tar":
            if is_matlab(path):
                raise InputError(use_of_matlab(path))
            raise InputError(f"'{path}' {why_no_shard(path, KNOWN)}")
        if not path.is_file():
            raise InputError(f"'{path}' is a pipe or a device, not a file: samples are read by offset")
    return list(dict.fromkeys(paths))


def is_there(path: str | Path) -> bool:
    """Whether a file or folder has this name; False for a name that no file can have."""
    try:
        return os.path.exists(path)
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False


def _named_paths(source: str) -> list[Path]:
    if is_there(source):
        return [Path(source)]
    folder, rest = _literal_folder(source)
    try:
        patterns = expand_braces(rest, source)
    except InputError:
        if literal := _matched(folder, glob.escape(rest).replace("[*]", "*").replace("[?]", "?")):
            return literal
        raise
    paths: list[Path] = []
    for place, pattern in enumerate(patterns):
        if is_there(folder + pattern):
            paths.append(Path(folder + pattern))
        elif not glob.has_magic(pattern):
            missing = [not glob.has_magic(later) and not is_there(folder + later) for later in patterns]
            among = f" (and {sum(missing):,} more of {place + 1 + len(missing):,} files)" if any(missing) else ""
            raise InputError(f"there is no '{folder}{pattern}'{among}{_alternatives(Path(folder + pattern))}")
        else:
            # brackets may be a set of characters, or belong to the name
            matched = _matched(folder, pattern) or _matched(folder, pattern.replace("[", "[[]"))
            if not matched:
                raise InputError(f"no file matches '{folder}{pattern}'{_alternatives(Path(folder + pattern))}")
            paths += [path for path in matched if path.suffix.lower() == ".tar"] or matched
    return paths


def _literal_folder(source: str) -> tuple[str, str]:
    """The folder (with its slash) that a source begins with, brackets and braces taken as they are, and the rest."""
    cut = source.rfind("/")
    while cut >= 0 and not os.path.isdir(source[: cut + 1]):
        cut = source.rfind("/", 0, cut)
    return source[: cut + 1], source[cut + 1 :]


def _matched(folder: str, pattern: str) -> list[Path]:
    """Files that match in `folder`, sorted; each file once, though links lead to its folder by several ways."""
    found: dict[str, str] = {}
    for path in sorted(glob.glob(glob.escape(folder) + pattern, recursive=True), key=lambda p: (p.count("/"), p)):
        if os.path.isfile(path):
            found.setdefault(os.path.realpath(path) if "**" in pattern else path, path)
    return sorted(map(Path, found.values()))


def _alternatives(path: Path) -> str:
    """End of a sentence: the name most similar to the missing one, or the first names in its folder."""
    if os.path.islink(path):
        return f": it is a link to '{os.readlink(path)}', which leads to nothing"
    parent, wanted = path.parent, path.name
    while not os.path.isdir(parent) and parent != parent.parent:
        parent, wanted = parent.parent, parent.name
    try:
        names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    except OSError:
        return ""
    known = [*names, "shapes"] if parent == Path(".") else names
    if close := difflib.get_close_matches(wanted, known, n=1, cutoff=0.6):
        return f"; did you mean '{close[0] if close[0] not in names else parent / close[0]}'?"
    if not names:
        return f": '{parent}' is empty"
    more = f" and {len(names) - 6:,} more" if len(names) > 6 else ""
    return f"; '{parent}' contains: {', '.join(names[:6])}{more}"
