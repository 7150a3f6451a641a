"""Files that stand for the real ones: the pointers that git-lfs and git-annex leave where nothing was fetched yet."""

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
