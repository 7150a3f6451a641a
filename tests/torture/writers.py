"""Everything that writes whole files or folders: what it writes, and how a reader sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from dream.data.text import train_tokenizer
from dream.decoding.critic import FILE, Critic, about_critic, load_critic, save_critic
from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.pictures import read_about, save_png
from dream.decoding.previews import previews
from dream.decoding.record import About, load_record
from dream.decoding.record_writer import RecordWriter
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.evaluation.results import add_entry, read_results
from dream.files import replace_text
from dream.publishing.export import LOG, RECORD, export
from dream.training import checkpoint
from dream.training.run_log import RunLog, delete_run, holds_run, read_heartbeat, read_metrics
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from tests.dream.training.training_small import small_config
from tests.workbench.evaluate.sample_results import results
from workbench.jobs.job import Job, read_job, write_job
from workbench.runs.notes import Note, read_note, write_note
from workbench.workspace import Workspace

ABSENT = "absent"
ENTRIES = results("dream").entries


@dataclass(frozen=True)
class Writer:
    """A writer: `before` lays out the folder, `write` changes it, `read` returns what is there."""

    name: str
    before: Callable[[Path], object]
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    may_be_absent: bool = False
    """Whether the old one may be gone before the new one is there, because folders cannot be exchanged at once."""


def _nothing(folder: Path) -> None:
    pass


def _checkpoint(folder: Path, step: int, value: float) -> None:
    tokenizer = train_tokenizer(["a red circle"], 300, 16)
    tensors = {name: {"a": torch.full((300,), value)} for name in ("model", "ema", "optimizer")}
    state = checkpoint.TrainingState(step, small_config(), "shapes", None, None)
    checkpoint.save_checkpoint(folder, state, tensors, tokenizer)


def _checkpoints(folder: Path) -> object:
    return [
        (path.name, float(checkpoint.read_tensors(path, name)["a"][0]))
        for path in checkpoint.list_checkpoints(folder)
        for name in ("model", "ema", "optimizer")
    ]


def _exported(folder: Path) -> object:
    if not (folder / "out").exists():
        return ABSENT
    come_along = [(folder / "out" / name).is_file() for name in (RECORD, LOG)]
    return float(checkpoint.averaged_weights(folder / "out")["a"].float().mean()), come_along


def _export(folder: Path, step: int) -> None:
    export(checkpoint.checkpoint_folder(folder / "run", step), folder / "out", torch.float32)


def _two_models(folder: Path) -> None:
    for step in (1, 2):
        _checkpoint(folder / "run", step, float(step))
    RunLog(folder / "run").record({"source": "shapes", "config": {}, "history": []})
    RunLog(folder / "run").row("train", 1, loss=1.0)
    _export(folder, 1)


def _critic(folder: Path, value: float) -> None:
    critic = Critic(4, 4)
    for parameter in critic.parameters():
        parameter.data.fill_(value)
    save_critic(critic, {"model_id": str(value)}, folder)


def _critic_seen(folder: Path) -> object:
    try:
        values = [set(tensor.flatten().tolist()) for tensor in load_critic(folder / FILE).parameters()]
        return values, about_critic(folder / FILE)["model_id"]
    except InputError:  # which says that it is neither the old nor the new
        return ABSENT


def _sheet(folder: Path, grey: int) -> None:
    save_png(Image.new("L", (20, 20), grey), folder / "a.png", {"prompt": str(grey)})


def _record(folder: Path, seed: int) -> None:
    model, plan = small_pretrained(), PaintPlan(PROMPTS[:1], DecodeSettings(steps=2, selection="none"), (seed,), 1)
    with RecordWriter(folder / "a.zarr", About.of(model, plan), overwrite=True) as writer:
        for first, record in paint_batches(model, plan, given=None, scored="all"):
            writer.add(record, previews(model.image_tokenizer, model.config.image, record), first)


def _recorded(folder: Path) -> object:
    return load_record(folder / "a.zarr").about.picture_ids if (folder / "a.zarr").exists() else ABSENT


def _note(folder: Path, text: str) -> None:
    write_note(Workspace(folder), "run", Note(("a",), text))


def _job(folder: Path, state: str) -> None:
    workspace = Workspace(folder)
    (workspace.own / "jobs").mkdir(parents=True, exist_ok=True)
    write_job(workspace, Job("a", "train", "a", ("train",), folder, folder / "log", state, 1.0))  # type: ignore[arg-type]


def _run(folder: Path) -> None:
    (folder / "run").mkdir()
    log = RunLog(folder / "run")
    log.record({"source": "shapes", "config": {}, "history": []})
    log.row("train", 1, loss=1.0)
    _checkpoint(folder / "run", 1, 1.0)


def _run_seen(folder: Path) -> object:
    run = folder / "run"
    return (holds_run(run) and len(read_metrics(run)) == 1 and len(checkpoint.list_checkpoints(run)) == 1) or ABSENT


def _beat(folder: Path, status: str) -> None:
    (folder / "run").mkdir(exist_ok=True)
    RunLog(folder / "run").heartbeat(status, 1, 2)  # type: ignore[arg-type]


def _status(folder: Path) -> object:
    beat = read_heartbeat(folder / "run")
    return ABSENT if beat is None else beat.status


WRITERS = (
    Writer(
        "a text",
        lambda folder: (folder / "a").write_text("old"),
        lambda folder: replace_text(folder / "a", "new" * 9000),
        lambda folder: (folder / "a").read_text(),
    ),
    Writer("a heartbeat", lambda f: _beat(f, "running"), lambda f: _beat(f, "finished"), _status),
    Writer(
        "results",
        lambda folder: add_entry(folder, "a", "runs/a", ENTRIES[0]),
        lambda folder: add_entry(folder, "a", "runs/a", ENTRIES[1]),
        lambda folder: [entry.task for entry in read_results(folder / "a.json").entries],
    ),
    Writer(
        "a note", lambda f: _note(f, "old"), lambda f: _note(f, "new"), lambda f: read_note(Workspace(f), "run").text
    ),
    Writer(
        "a job",
        lambda folder: _job(folder, "queued"),
        lambda folder: _job(folder, "running"),
        lambda folder: read_job(folder / ".workbench/jobs/a.json").state,
    ),
    Writer("a record", lambda f: _record(f, 1), lambda f: _record(f, 2), _recorded, may_be_absent=True),
    Writer("a new record", _nothing, lambda f: _record(f, 2), _recorded),
    Writer("a checkpoint", lambda f: _checkpoint(f, 1, 1.0), lambda f: _checkpoint(f, 2, 2.0), _checkpoints),
    Writer("an export", _two_models, lambda folder: _export(folder, 2), _exported, may_be_absent=True),
    Writer("a critic", lambda f: _critic(f, 1.0), lambda f: _critic(f, 2.0), _critic_seen, may_be_absent=True),
    Writer("a sheet", lambda f: _sheet(f, 1), lambda f: _sheet(f, 2), lambda f: read_about(f / "a.png")["prompt"]),
    Writer("an overwritten run", _run, lambda folder: delete_run(folder / "run"), _run_seen),
)
