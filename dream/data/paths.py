"""Finds the files that a source string names, and explains what is there instead if there are none."""

import difflib
import glob
import re
from pathlib import Path

from dream.data.matlab import is_matlab, use_of_matlab
from dream.errors import InputError

KNOWN = "a folder, tar shards ('name-{000000..000003}.tar' or 'name-*.tar'), 'shapes' or 'hf:owner/name'"
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expand_braces(pattern: str) -> list[str]:
    """Expands `a-{00..02}.tar` to three names and `{x,y}` to two; several braces multiply.

    Raises InputError for other braces.
    """
    match = _BRACES.search(pattern)
    if match is None:
        return [pattern]
    inner = match.group(1)
    if numbers := _RANGE.fullmatch(inner):
        first, last = numbers.groups()
        if int(first) > int(last):
            raise InputError(f"the range {{{inner}}} in '{pattern}' is empty: write the smaller number first")
        width = len(first) if first.startswith("0") else 0
        choices = [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
    elif "," in inner:
        choices = inner.split(",")
    else:
        raise InputError(f"cannot read {{{inner}}} in '{pattern}': write a range {{000000..000003}} or a list {{a,b}}")
    head, tail = pattern[: match.start()], pattern[match.end() :]
    return [head + choice + rest for choice in choices for rest in expand_braces(tail)]


def shard_paths(source: str) -> list[Path]:
    """Paths of the tars that a path, glob or brace range names. Raises InputError, which says what is there instead."""
    paths: list[Path] = []
    patterns = [source] if Path(source).exists() else expand_braces(source)
    for pattern in patterns:
        if Path(pattern).exists():
            paths.append(Path(pattern))
        elif glob.has_magic(pattern):
            matched = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
            if not matched:
                raise InputError(f"no file matches '{pattern}'{_alternatives(Path(pattern))}")
            paths += [path for path in matched if path.suffix == ".tar"] or matched
        else:
            missing = sum(not glob.has_magic(p) and not Path(p).exists() for p in patterns)
            among = f" (and {missing - 1:,} more of {len(patterns):,} files)" if missing > 1 else ""
            raise InputError(f"there is no '{pattern}'{among}{_alternatives(Path(pattern))}")
    for path in paths:
        if path.is_dir():
            raise InputError(f"'{path}' is a folder: give one folder by its plain path, or tar shards")
        if path.suffix != ".tar":
            if is_matlab(path):
                raise InputError(use_of_matlab(path))
            raise InputError(f"'{path}' is not a .tar shard; expected {KNOWN}")
    return list(dict.fromkeys(paths))


def _alternatives(path: Path) -> str:
    """End of a sentence: the name most similar to the missing one, or the first names in its folder."""
    parent, wanted = path.parent, path.name
    while not parent.is_dir() and parent != parent.parent:
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
