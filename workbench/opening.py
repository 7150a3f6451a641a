"""Opens models for pages and notebooks by name or path, with a number of threads that suits their size.

`config_of` and `model_id_of` read the checkpoint's JSON only, without opening the weights.
"""

from pathlib import Path

import torch

from dream.config import DreamConfig
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED, checkpoint_of, load_pretrained, weights_file
from dream.training import checkpoint
from workbench.jobs.side_by_side import cores
from workbench.workspace import Workspace

SMALL = 30_000_000
"""Parameters below which a single thread is used: a second thread gains nothing on such small matrix products, and
while another process (a training) is busy it waits twenty times longer than it computes."""


def open_model(path: str | Path, *, ema: bool = True) -> Pretrained:
    """Opens a model with `load_pretrained`, whose errors it raises, and sets torch's threads for it."""
    pretrained = load_pretrained(path, ema=ema)
    set_threads(pretrained)
    return pretrained


def set_threads(pretrained: Pretrained) -> None:
    """Sets torch's threads: one for a small model, all cores for a large one."""
    size = sum(parameter.numel() for parameter in pretrained.model.parameters())
    torch.set_num_threads(1 if size < SMALL else cores())


def place_of(model: str | Path, workspace: Workspace) -> str:
    """Path of a model given as a path or relative to the workspace; a shipped model's name stays as it is."""
    inside = workspace.root / model
    return str(inside) if not Path(model).exists() and inside.exists() else str(model)


def name_of(pretrained: Pretrained, workspace: Workspace) -> str:
    """Name by which the workbench opens this model again."""
    shipped = {path: name for name, path in SHIPPED.items()}
    return shipped.get(pretrained.path) or workspace.shown(pretrained.path)


def config_of(path: str | Path) -> DreamConfig:
    """Configuration of a model, without opening its weights. Raises InputError if there is none."""
    return checkpoint.read_state(checkpoint_of(Path(path))).config


def model_id_of(path: str | Path, *, ema: bool = True) -> str:
    """Stored short id of a model's weights. Raises InputError if there are none."""
    folder = checkpoint_of(Path(path))
    return checkpoint.weights_id(folder, weights_file(folder, ema=ema))
