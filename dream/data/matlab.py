"""Recognises MATLAB files, by name or content; only the task `depth` reads them, as NYUv2's labelled set."""

from pathlib import Path

MAT = ".mat"
HDF5 = b"\x89HDF\r\n\x1a\n"
"""First bytes of HDF5; MATLAB 7.3 puts them after 512 bytes of its own."""
OLD = b"MATLAB 5.0 MAT-file"
"""First bytes of the versions 5 to 7."""
_STARTS = (0, 512, 1024, 2048)


def is_matlab(path: Path) -> bool:
    """Whether a file is named *.mat, in any case, or holds what MATLAB or HDF5 writes."""
    return path.is_file() and (path.suffix.lower() == MAT or is_hdf5(path) or _begins_with(path, OLD, 0))


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, as MATLAB 7.3 writes it."""
    return any(_begins_with(path, HDF5, start) for start in _STARTS)


def use_of_matlab(path: Path) -> str:
    """Says what a MATLAB file is for, to a user who gave it as captioned pictures."""
    return (
        f"'{path}' is a MATLAB file and has no captions; only the task depth reads one, as NYUv2's labelled set: "
        f"dream evaluate --tasks depth --data {path}"
    )


def _begins_with(path: Path, magic: bytes, start: int) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(len(magic)) == magic
    except OSError:
        return False
