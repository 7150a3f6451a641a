"""Which files a source string means, and what to say when there are none."""

import difflib
import glob
import re
from pathlib import Path

from dream.errors import InputError

KNOWN = "a folder, tar shards ('name-{000000..000003}.tar' or 'name-*.tar'), 'shapes' or 'hf:owner/name'"
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expand_braces(pattern: str) -> list[str]:
    """`a-{00..02}.tar` as its three names, `{x,y}` as both; several multiply. Else raises InputError."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    inner = found.group(1)
    if numbers := _RANGE.fullmatch(inner):
        first, last = numbers.groups()
        if int(first) > int(last):
            raise InputError(f"the range {{{inner}}} in '{pattern}' is empty: write the smaller number first")
        width = len(first) if first.startswith("0") else 0
        parts = [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
    elif "," in inner:
        parts = inner.split(",")
    else:
        raise InputError(f"cannot read {{{inner}}} in '{pattern}': write a range {{000000..000003}} or a list {{a,b}}")
    head, tail = pattern[: found.start()], pattern[found.end() :]
    return [head + part + rest for part in parts for rest in expand_braces(tail)]


def shard_paths(source: str) -> list[Path]:
    """The tars that a path, glob or brace range means. Raises InputError, naming what is there, for none."""
    paths: list[Path] = []
    patterns = [source] if Path(source).exists() else expand_braces(source)
    for pattern in patterns:
        if Path(pattern).exists():
            paths.append(Path(pattern))
        elif glob.has_magic(pattern):
            matched = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
            if not matched:
                raise InputError(f"no file matches '{pattern}'{_whats_there(Path(pattern))}")
            paths += [path for path in matched if path.suffix == ".tar"] or matched
        else:
            missing = sum(not glob.has_magic(p) and not Path(p).exists() for p in patterns)
            among = f" (and {missing - 1:,} more of the {len(patterns):,} that are meant)" if missing > 1 else ""
            raise InputError(f"there is no '{pattern}'{among}{_whats_there(Path(pattern))}")
    for path in paths:
        if path.is_dir():
            raise InputError(f"'{path}' is a folder: give one folder by its plain path, or tar shards")
        if path.suffix != ".tar":
            raise InputError(f"'{path}' is no .tar shard; expected {KNOWN}")
    return list(dict.fromkeys(paths))


def _whats_there(path: Path) -> str:
    """The nearest name to the missing one, or the first names where it was looked for."""
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
    return f"; '{parent}' holds {', '.join(names[:6])}{more}"
