"""Lets torchvision be imported beside a torch of another build, e.g. a CPU torch beside a CUDA torchvision.

Such a torchvision cannot load its compiled operators, and its import fails on registering `nms` for shape
inference; timm, torchmetrics, diffusers and transformers fail with it. A finder in front of `sys.meta_path`
declares the two missing operators just before torchvision runs, so nothing is imported until then. Real `nms`
and `torchvision.io` stay unusable in such a pair; nothing here uses them. A matching build is left alone.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_declared: list[Any] = []  # a torch.library.Library takes its operators back when it is collected


def install() -> None:
    """Put the finder in front, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def declare_missing_operators(folder: str) -> bool:
    """True if `nms` and `qnms` had to be declared: no compiled library in torchvision's `folder` loads."""
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return False
    for name in sorted(os.listdir(folder)):
        if name.startswith("_C") and name.endswith((".so", ".pyd")):
            try:
                torch.ops.load_library(os.path.join(folder, name))
            except OSError:
                continue
            return False
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    return True


class _Loader(SourceFileLoader):
    """Runs torchvision's own `__init__.py`, after the operators it takes for granted are there."""

    def exec_module(self, module: ModuleType) -> None:
        declare_missing_operators(os.path.dirname(self.path))
        super().exec_module(module)


class _Finder:
    """Hands torchvision to `_Loader`; merely asking whether torchvision exists imports nothing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchvision":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec
