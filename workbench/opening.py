"""Models opened for pages and notebooks: by name or path, with as many threads as their size deserves.

What can be said of a model without its weights (`config_of`, `model_id_of`) is read from the checkpoint's
JSON alone. It paints nothing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from dream.config import DreamConfig
from dream.pretrained import SHIPPED, checkpoint_of, load_pretrained, weights_file
from dream.training import checkpoint
from workbench.jobs.side_by_side import cores
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

SMALL = 30_000_000
"""Parameters below which one thread computes: a second one gains nothing on such small products, and waits
twenty times as long as it works wherever another process (a training) is busy."""


def open_model(path: str | Path, *, ema: bool = True) -> "Pretrained":
    """What `load_pretrained` gives and raises, and torch's threads set for it."""
    found = load_pretrained(path, ema=ema)
    set_threads(found)
    return found


def set_threads(pretrained: "Pretrained") -> None:
    """Sets torch's threads to one for a small model, to all cores for a large one."""
    size = sum(parameter.numel() for parameter in pretrained.model.parameters())
    torch.set_num_threads(1 if size < SMALL else cores())


def place_of(model: str | Path, workspace: Workspace) -> str:
    """What opens a model that is named as it is or from the workspace on; a shipped one's name stays."""
    inside = workspace.root / model
    return str(inside) if not Path(model).exists() and inside.exists() else str(model)


def name_of(pretrained: "Pretrained", workspace: Workspace) -> str:
    """The name under which the workbench opens this model again."""
    shipped = {path: name for name, path in SHIPPED.items()}
    return shipped.get(pretrained.path) or workspace.shown(pretrained.path)


def config_of(path: str | Path) -> DreamConfig:
    """The configuration of a model that is not opened. Raises InputError where there is none."""
    return checkpoint.read_state(checkpoint_of(Path(path))).config


def model_id_of(path: str | Path, *, ema: bool = True) -> str:
    """The short name of its weights, which is not computed anew. Raises InputError where there are none."""
    folder = checkpoint_of(Path(path))
    return checkpoint.weights_id(folder, weights_file(folder, ema=ema))
