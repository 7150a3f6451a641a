"""Stand-ins for what a torch.save file names besides tensors: they keep what the file says and run nothing of it.

torch's safe reader takes a callable for each name in a file. Here no name leads to the class or function that it is
of: common values (paths, defaultdicts, numpy arrays, dates) become plain ones, objects of other classes become
`Unread`. What would call a function is refused.
"""

import _compat_pickle
import argparse
import datetime
import re
import sys
import types
from collections import OrderedDict
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

PLAIN_TYPE = re.compile(r"^[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|\?)$")
"""NumPy's codes of the types that torch has."""


ZONE_MAKER = ("zoneinfo", "ZoneInfo", "_unpickle")
CALLED_IN_VAIN = (
    "copyreg._reconstructor",
    "functools.partial",
    "operator.getitem",
    "re._compile",
    "logging.getLogger",
    "itertools.count",
    "builtins.type",
    "os.stat_result",
    "numpy.ma.core._mareconstruct",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
    "uuid.UUID",
)
"""Functions and classes that do no harm when called; here the call leaves an `Unread`."""


class CodeInFile(Exception):
    """The file calls a function that is not known to be harmless; the message is its name."""


class Unread:
    """An object of a class that is not known here: what the file keeps of it, without its behaviour."""

    def __new__(cls, *args: Any) -> Any:
        """Keeps what the object is made of."""
        made = object.__new__(cls)
        made.args, made.state = args, None
        return made

    args: tuple[Any, ...]
    state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __str__(self) -> str:
        kind = type(self)
        values = ", ".join(repr(value)[:40] for value in self.args[:2] if isinstance(value, (str, int, float)))
        return f"{kind.__module__}.{kind.__name__}({values}), not read"


class ArrayInFile:
    """A NumPy array of a file, made of bytes without NumPy's own unpickling."""

    shape: tuple[int, ...] = ()
    type: Any = None
    rows_last = False
    raw: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.type, self.rows_last, self.raw = state

    def tensor(self) -> Tensor | None:
        """The array as a tensor; None for types that torch does not have. Raises ValueError if its bytes do not fit."""
        code = getattr(self.type, "code", None)
        if code is None or not isinstance(self.raw, bytes):
            return None
        flat = np.frombuffer(self.raw, np.dtype(code))
        array = flat.reshape(self.shape, order="F" if self.rows_last else "C")
        return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))).reshape(self.shape)


class TypeInFile:
    """A NumPy type of a file."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.given, self._order = str(code), ""

    def __setstate__(self, state: Any) -> None:
        self._order = str(state[1]) if state[1] in ("<", ">") else ""

    @property
    def code(self) -> str | None:
        """NumPy's code with the order of the bytes, `<f8`; None for types that torch does not have."""
        code = self._order + self.given.lstrip("<>=|")
        return code if PLAIN_TYPE.match(code) else None


def inert_globals() -> list[tuple[Any, str]]:
    """What stands for names that files of weights often have, with the names; for `torch.serialization.safe_globals`.

    Classes of Python's own are here only if making one from any values does nothing else.
    """
    pairs: dict[str, Any] = {
        "argparse.Namespace": argparse.Namespace,
        "types.SimpleNamespace": types.SimpleNamespace,
        "collections.defaultdict": _empty_dict,
        "collections.deque": _items,
        "builtins.dict": _empty_dict,
        "builtins.list": _items,
        "builtins.tuple": _items,
        "builtins.frozenset": _items,
        "builtins.bytes": _no_bytes,
        "builtins.range": _words,
        "builtins.slice": _words,
        "fractions.Fraction": _words,
        "decimal.Decimal": _words,
        "builtins.getattr": _looked_up,
        "datetime.datetime": _moment,
        "datetime.time": _moment,
        "numpy.dtype": TypeInFile,
        "numpy.ndarray": ArrayInFile,
        "zoneinfo.ZoneInfo._unpickle": _zone,
    }
    for kind in (datetime.date, datetime.timedelta, datetime.timezone):
        pairs[f"datetime.{kind.__name__}"] = kind
    for module in ("pathlib", "pathlib._local"):
        pairs |= {f"{module}.{name}": _path for name in ("PosixPath", "PurePosixPath", "Path", "PurePath")}
        pairs |= {f"{module}.{name}": _windows_path for name in ("WindowsPath", "PureWindowsPath")}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        pairs |= {f"{module}.scalar": _scalar, f"{module}._reconstruct": _array}
    for name in CALLED_IN_VAIN:
        pairs[name] = stand_in(name)
    return [(value, name) for name, value in pairs.items()]


def stand_in(name: str, fills: Literal["", "dict", "list"] = "") -> Any:
    """What stands for the global `module.name`: an `Unread`, or a dict or list where the file fills it like one."""
    module, _, last = name.rpartition(".")
    kind = _StandInType(last, (Unread,), {"__module__": module})
    if fills:
        made = OrderedDict if fills == "dict" else list  # an OrderedDict takes attributes too
        kind.__new__ = lambda cls, *args: made()  # type: ignore[method-assign, assignment]
    return kind


class _StandInType(type):
    """Class of stand-ins. A file may call a class, to make an object; a function it must not call."""

    def __call__(cls, *args: Any) -> Any:
        """Makes the stand-in of an object; raises CodeInFile for what looks like a function."""
        name = f"{cls.__module__}.{cls.__name__}"
        if name not in CALLED_IN_VAIN and _looks_like_a_function(name):
            raise CodeInFile(name)
        return cls.__new__(cls, *args)  # type: ignore[arg-type]


def _looks_like_a_function(name: str) -> bool:
    """Whether calling this global would run code: anything in Python's own library, and names in lower case."""
    last = name.rpartition(".")[2].lstrip("_")
    package = name.partition(".")[0]  # the older names are those that protocol 2 writes
    return package in sys.stdlib_module_names or package in _compat_pickle.IMPORT_MAPPING or not last[:1].isupper()


def _empty_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _items(*args: Any) -> list[Any]:
    return list(args[0]) if args and isinstance(args[0], (list, tuple, set)) else []


def _looked_up(owner: Any = None, name: Any = "", *_: Any) -> Any:
    """An attribute that a file names and does not call; the maker of a time zone is known, since files do call it."""
    if isinstance(owner, _StandInType) and (owner.__module__, owner.__name__, name) == ZONE_MAKER:
        return _zone
    return Unread(str(name))


def _zone(key: Any = "", *_: Any) -> str:
    return str(key)


def _moment(*args: Any) -> Any:
    """A date with a time, or a time; in a zone that Python does not build in, its text with the zone's name."""
    kind: Any = datetime.datetime if args and isinstance(args[0], bytes) and len(args[0]) == 10 else datetime.time
    if len(args) == 2 and not isinstance(args[1], datetime.tzinfo):
        return f"{kind(args[0])} {args[1]}"
    return kind(*args)


def _no_bytes(*_: Any) -> bytes:
    return b""


def _words(*args: Any) -> str:
    return " ".join(str(value) for value in args)


def _path(*parts: Any) -> str:
    return str(PurePosixPath(*map(str, parts)))


def _windows_path(*parts: Any) -> str:
    return str(PureWindowsPath(*map(str, parts)))


def _array(*_: Any) -> ArrayInFile:
    return ArrayInFile()


def _scalar(kind: Any, raw: Any = b"") -> Any:
    """A NumPy scalar as Python's own number or text."""
    if isinstance(kind, TypeInFile) and isinstance(raw, bytes):
        if kind.code is not None:
            return np.frombuffer(raw, np.dtype(kind.code))[0].item()
        if kind.given.lstrip("<>=|").startswith("U"):
            return raw.decode("utf-32-le").rstrip("\0")
    return raw if isinstance(raw, (str, int, float)) else "a NumPy value, not read"
