"""Opens a trained model from a run, a checkpoint or the package."""

from pathlib import Path

import torch

from dream.data.reading import PromptReader
from dream.data.text import load_tokenizer
from dream.errors import InputError
from dream.importing.opening import imported_folder, is_foreign_file
from dream.model.conditioning import build_conditioning
from dream.model.dream import Dream
from dream.model.latents import build_image_tokenizer
from dream.model.pretrained import Pretrained, prompt_reader
from dream.plain_text import whole_number
from dream.training import checkpoint, run_log
from dream.training.live_tensors import copy_averaged_weights, copy_tensors
from dream.weights.hub_models import fetch, is_on_hub

_SHELF = Path(__file__).parent / "shipped"
SHIPPED = {name: _SHELF / name for name in ("demo", "emoji") if (_SHELF / name / "state.json").is_file()}
"""Models that come with the package, by name: `demo` paints drawn shapes, `emoji` emoji in six styles."""


def load_pretrained(path: str | Path, *, ema: bool = True) -> Pretrained:
    """Loads a run's newest checkpoint, a checkpoint folder, or a shipped model, on the CPU.

    `ema` takes the averaged weights (with the current BatchNorm statistics), else the raw ones. Only safetensors
    and JSON are read. Raises InputError for a missing or damaged model, for one with NaN or infinite weights, and for
    the raw weights of an exported one.
    """
    folder = checkpoint_of(Path(path))
    state = checkpoint.read_state(folder)
    config, weights = state.config, weights_file(folder, ema=ema)
    checkpoint.check_room(folder, config)
    tokenizer = load_tokenizer(folder / "tokenizer", config.text.context_length)
    with torch.random.fork_rng(devices=[]):
        model = Dream(config)
    if ema:
        copy_averaged_weights(folder, model)
    else:
        copy_tensors(folder, "model", model.state_dict())
    name = checkpoint.weights_id(folder, weights)
    conditioning, image_tokenizer = build_conditioning(config.text, tokenizer), build_image_tokenizer(config.image)
    return Pretrained(config, model.eval(), tokenizer, conditioning, image_tokenizer, name, folder, state.step)


def open_prompt_reader(path: str | Path) -> PromptReader:
    """What a model reads of a prompt, without opening its weights. Raises InputError as `load_pretrained`."""
    folder = checkpoint_of(Path(path))
    config = checkpoint.read_state(folder).config
    return prompt_reader(config, load_tokenizer(folder / "tokenizer", config.text.context_length))


def weights_file(folder: Path, *, ema: bool = True) -> str:
    """The name of the checkpoint's file with the averaged (`ema`) or the raw parameters.

    An exported model has averaged parameters only, as its `model`; raises InputError for its raw ones.
    """
    exported = not checkpoint.holds(folder, "ema")
    if exported and not ema:
        raise InputError(f"{folder} is an exported model: it has averaged weights only, no raw ones")
    return "ema" if ema and not exported else "model"


def checkpoint_of(path: Path) -> Path:
    """The checkpoint folder of `path`: a run, a checkpoint, a shipped model's name, or `hf:owner/name`.

    A checkpoint file of the authors is imported once, into the user's cache. Raises InputError for any other path.
    """
    if str(path) in SHIPPED and not path.exists():
        path = SHIPPED[str(path)]
    if (path / "state.json").is_file():
        return path
    if is_on_hub(path):
        return fetch(str(path))
    if is_foreign_file(path):
        return imported_folder(path)
    if run_log.holds_run(path):
        return checkpoint.latest_checkpoint(path)
    if not path.exists():
        runs = sorted(str(config.parent) for config in path.parent.glob("*/config.json"))
        existing = f"there are {', '.join(runs)}" if runs else f"there is no run in {path.parent}"
        raise InputError(
            f"no such model: {path}; {existing}; expected a run (runs/NAME), one of its checkpoints, "
            f"or a shipped model ({', '.join(SHIPPED)})"
        )
    raise InputError(f"{path} is neither a run (no config.json) nor a checkpoint (no state.json)")


def pick_checkpoint(path: Path, which: str) -> Path:
    """The checkpoint of a run that `which` names: `best`, `latest` or a step; of any other path, `checkpoint_of` it.

    `best` has the lowest validation loss; if none was measured, it is the latest. Raises InputError for a step
    without checkpoint, for a step of something that is not a run, and as `checkpoint_of`.
    """
    step = whole_number(which)
    if which not in ("best", "latest") and step is None:
        raise InputError(f"--checkpoint must be best, latest or a step, got '{which}'")
    latest = checkpoint_of(path)
    of_run = latest.parent == checkpoint.checkpoints_folder(path)
    if step is not None:
        wanted, folders = checkpoint.checkpoint_folder(path, step), checkpoint.list_checkpoints(path)
        if wanted not in folders:
            steps = ", ".join(folder.name.removeprefix("step-").lstrip("0") or "0" for folder in folders)
            there = f"it has {steps}" if folders else "it is not a run"
            raise InputError(f"{path} has no checkpoint of step {which}; {there}")
        return wanted
    return (checkpoint.best_checkpoint(path) or latest) if of_run and which == "best" else latest
