"""Reads pieces of a checkpoint's tensors on demand, from safetensors and torch.save files."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from dream.errors import InputError
from dream.weights.torch_files import read_tree
from workbench.checkpoints import pickles
from workbench.checkpoints import safetensors_files as safe
from workbench.checkpoints.files import TensorEntry

CHUNK = 2**20
"""Most values processed at once: 8 MB as float64, for any size of tensor."""


class Reader:
    """Context manager that reads pieces of tensors, opening each file once and holding none in memory."""

    def __enter__(self) -> "Reader":
        self._stack = ExitStack()
        self._files: dict[Path, BinaryIO] = {}
        self._trees: dict[Path, dict[tuple[str, ...], Tensor]] = {}
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()
        self._trees.clear()

    def piece(self, entry: TensorEntry, start: int, stop: int) -> Tensor:
        """Values `start` to `stop` in row-major order, flat, in the stored data type."""
        if entry.pieces:
            return self._joined(entry, start, stop)
        if entry.offset < 0:
            return pickles.piece(self._tensor(entry), start, stop, CHUNK)
        stored = safe.StoredTensor(entry.name, entry.shape, entry.dtype, entry.bytes, entry.offset)
        return safe.read_piece(self._file(entry.file), stored, start, stop)

    def _joined(self, entry: TensorEntry, start: int, stop: int) -> Tensor:
        """Values of a tensor whose rows are in several files."""
        values = [
            safe.read_piece(
                self._file(piece.file), piece.stored, max(start - piece.start, 0), min(stop - piece.start, piece.length)
            )
            for piece in entry.pieces
            if piece.start < stop and start < piece.start + piece.length
        ]
        return torch.cat(values) if values else torch.empty(0, dtype=safe.TYPES_BY_NAME[entry.dtype])

    def whole(self, entry: TensorEntry, most: int = 8 * CHUNK) -> Tensor:
        """The whole tensor as float32; raises InputError if it has more than `most` values."""
        if entry.count > most:
            raise InputError(f"{entry.name} has {entry.count:,} values, too many to show at once")
        return self.piece(entry, 0, entry.count).to(torch.float32).reshape(entry.shape)

    def _file(self, path: Path) -> BinaryIO:
        if path not in self._files:
            self._files[path] = self._stack.enter_context(path.open("rb", buffering=0))  # type: ignore[arg-type]
        return self._files[path]

    def _tensor(self, entry: TensorEntry) -> Tensor:
        if entry.file not in self._trees:
            self._trees[entry.file] = pickles.tensors_by_path(read_tree(entry.file))[0]
        return self._trees[entry.file][entry.place].detach()
