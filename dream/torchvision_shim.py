"""Makes torchvision importable when torch is of another build, e.g. a CPU torch with a CUDA torchvision.

Such a torchvision cannot load its compiled operators, and its import fails while registering `nms` for shape
inference; timm, torchmetrics, diffusers and transformers fail with it. A finder in front of `sys.meta_path` declares
the two missing operators just before torchvision runs, so nothing is imported until then. `nms` itself and
`torchvision.io` stay unusable in such a pair; nothing here uses them. A matching build is left alone.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_declared: list[Any] = []  # a torch.library.Library takes its operators back when it is collected


def install() -> None:
    """Puts the finder in front of `sys.meta_path`, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def declare_missing_operators(folder: str) -> bool:
    """Declares `nms` and `qnms` if no compiled library in torchvision's `folder` loads; returns whether it did."""
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
    """Runs torchvision's own `__init__.py` after declaring the operators that it needs."""

    def exec_module(self, module: ModuleType) -> None:
        """Declares the missing operators, then runs the module."""
        declare_missing_operators(os.path.dirname(self.path))
        super().exec_module(module)


class _Finder:
    """Gives torchvision the loader above. Asking whether torchvision exists imports nothing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of torchvision with the loader above; `None` for other modules."""
        if fullname != "torchvision":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec
