"""Files that stand for the real ones: the pointers that git-lfs and git-annex leave where nothing was fetched yet."""

from pathlib import Path

from dream.errors import InputError

_POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("git-lfs", "git lfs pull"),
    b"version https://hawser.github.com/spec/": ("git-lfs", "git lfs pull"),
    b"/annex/objects/": ("git-annex", "git annex get ."),
}


def pointer_fault(start: bytes) -> str:
    """Why a file that begins with `start` (100 bytes or more) is only a pointer, and the remedy; empty if it is not."""
    for beginning, (tool, command) in _POINTERS.items():
        if start.removeprefix(b"\xef\xbb\xbf").startswith(beginning):
            return f"a {tool} pointer, not the file itself: run '{command}' in its folder to fetch it"
    return ""


def refuse_pointer(path: Path) -> None:
    """Raises InputError if the file at `path` is only a pointer."""
    if fault := _fault_of_file(path):
        raise InputError(f"{path} is {fault}")


def is_pointer_file(path: Path) -> bool:
    """Whether the file at `path` is only a pointer; no other place is."""
    return bool(_fault_of_file(path))


def _fault_of_file(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return pointer_fault(file.read(100))
