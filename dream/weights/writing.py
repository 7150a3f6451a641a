"""Clears up after weights that could not be written, and says so in words if the disk is full."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from dream.errors import RunError
from dream.files import DISK_FULL


@contextmanager
def cleared_on_failure(temporary: Path, *, owner: bool = True) -> Iterator[None]:
    """Removes `temporary` if the block fails, unless another process is its `owner`; a full disk raises RunError."""
    try:
        yield
    except BaseException as error:
        if owner:
            shutil.rmtree(temporary, ignore_errors=True)
        if _is_disk_full(error):
            raise RunError(
                f"the disk is full: no checkpoint could be written to {temporary.parent}; older ones are "
                "untouched; free some space and continue with --resume"
            ) from error
        raise


def _is_disk_full(error: BaseException) -> bool:
    """Whether `error` means a full disk or quota; safetensors has the error number in its text only."""
    if isinstance(error, SafetensorError):
        return any(f"os error {number})" in str(error) for number in DISK_FULL)
    return isinstance(error, OSError) and error.errno in DISK_FULL
