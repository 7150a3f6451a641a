"""Everything that reads a file which somebody else may have damaged: what it reads, and how a user comes to it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dream.data.sources import open_source
from dream.decoding.pictures import read_about
from dream.decoding.record import load_record
from dream.errors import InputError, RunError
from dream.evaluation.results import read_folder, read_results
from dream.evaluation.table import markdown_table, text_table
from dream.pretrained import load_pretrained
from dream.training import run_log
from dream.training.checkpoint import best_checkpoint, latest_checkpoint, list_checkpoints, read_state
from dream.training.request import TrainRequest, check_train_request
from tests.dream.training.training_small import small_config
from workbench.checkpoints.files import open_checkpoint
from workbench.checkpoints.history import history
from workbench.decode.export import about_file, decode_html, decode_json, decode_png
from workbench.decode.player_data import player_data
from workbench.decode.recall import read_settings
from workbench.evaluate.results import read_shelf, standing
from workbench.evaluate.table import sections, table_csv, table_json
from workbench.jobs.queue import list_jobs, wake
from workbench.runs.compare import differences, glance
from workbench.runs.feed import RunFeed, broken_data
from workbench.runs.folders import list_runs
from workbench.runs.notes import all_tags, read_note
from workbench.runs.trainings import list_trainings
from workbench.runs.words import run_readings, state_words
from workbench.store import count_damaged, list_stored, read_thumbnail
from workbench.trajectories.kept import has_finished, open_finished
from workbench.workspace import Workspace, open_workspace

OURS = (InputError, RunError)
"""What a reader may raise: sentences for a user."""


@dataclass(frozen=True)
class Reader:
    """One way in which a file of the workspace is read."""

    name: str
    files: str
    """Pattern, from the workspace, of the files that it reads."""
    read: Callable[[Workspace], object]


def _each_run(read: Callable[[Path], object]) -> Callable[[Workspace], object]:
    return lambda workspace: read(workspace.runs / "small")


def _resume(run: Path) -> None:
    check_train_request(TrainRequest(out=run, resume=True, steps=1, accelerator="cpu", devices="1"))


def _metrics(run: Path) -> None:
    feed = RunFeed(run)
    feed.curves()
    glance(run / "metrics.jsonl")
    run_log.read_metrics(run, "train")


def _runs_page(workspace: Workspace) -> None:
    for training in list_trainings(workspace):
        state_words(training)
        run_readings(training, RunFeed(training.path).curves()[1])
    list_runs(workspace.runs)
    differences({"a": workspace.runs / "small", "b": workspace.runs / "small"})


def _weights(run: Path) -> None:
    best_checkpoint(run)
    for folder in list_checkpoints(run):
        read_state(folder)
    load_pretrained(run)


def _checkpoints_page(run: Path) -> None:
    found = open_checkpoint(latest_checkpoint(run))
    history(found)


def _thumbnails(workspace: Workspace) -> None:
    for stored in list_stored(workspace):
        if stored.thumbnail is not None:
            read_thumbnail(stored.thumbnail)


def _decodes_page(workspace: Workspace) -> None:
    count_damaged(workspace)
    for stored in list_stored(workspace):
        if has_finished(stored):
            open_finished(stored)
            continue
        about_file(stored)
        player_data(stored)
        decode_html(stored)
        decode_json(stored)
        decode_png(stored)


def _records(workspace: Workspace) -> None:
    for path in sorted(workspace.decodes.glob("*/record.zarr")):
        record = load_record(path)
        record.midway(2)
        record.finished(0)


def _results_page(workspace: Workspace) -> None:
    shelf = read_shelf(workspace.results)
    for result in shelf.results:
        standing(workspace, result)
    sections(shelf.results)
    table_csv(shelf.results)
    table_json(shelf.results)
    text_table(shelf.results)
    markdown_table(shelf.results)


def _results_command(workspace: Workspace) -> None:
    for path in sorted(workspace.results.glob("*.json")):
        read_results(path)
    text_table(read_folder(workspace.results))


def _jobs(workspace: Workspace) -> None:
    for job in list_jobs(workspace):
        assert job.command
        assert isinstance(job.is_here, bool)


def _notes(workspace: Workspace) -> None:
    read_note(workspace, "small")
    all_tags(workspace)


def _folder(workspace: Workspace) -> None:
    source = open_source(str(workspace.root / "pictures"), small_config(batch_size=2))
    next(iter(source.batches(2, None, 10)))


def _kept_picture(workspace: Workspace) -> None:
    read_about(workspace.root / "shown.png")
    for name in ("shown.png", "shown.json"):
        read_settings(name, (workspace.root / name).read_bytes())


def _foreign(workspace: Workspace) -> None:
    open_checkpoint(workspace.root / "other.pth")


READERS = (
    Reader("record of a run: resume", "runs/small/config.json", _each_run(_resume)),
    Reader("record of a run: Runs", "runs/small/config.json", _runs_page),
    Reader("heartbeat", "runs/small/heartbeat.json", _runs_page),
    Reader("heartbeat: resume", "runs/small/heartbeat.json", _each_run(_resume)),
    Reader("metrics: Runs", "runs/small/metrics.jsonl", _each_run(_metrics)),
    Reader("metrics: Checkpoints", "runs/small/metrics.jsonl", _each_run(_checkpoints_page)),
    Reader("report of broken data", "runs/small/report.json", _each_run(broken_data)),
    Reader("state of a checkpoint", "runs/small/checkpoints/*/state.json", _each_run(_weights)),
    Reader("state of a checkpoint: resume", "runs/small/checkpoints/*/state.json", _each_run(_resume)),
    Reader("weights", "runs/small/checkpoints/*/*.safetensors", _each_run(_weights)),
    Reader("weights: Checkpoints", "runs/small/checkpoints/*/*.safetensors", _each_run(_checkpoints_page)),
    Reader("tokenizer", "runs/small/checkpoints/*/tokenizer/*", _each_run(_weights)),
    Reader("decodes", "decodes/*/about.json", _decodes_page),
    Reader("thumbnails", "decodes/*/thumbnail.png", _thumbnails),
    Reader("finished candidates", "decodes/*/*.npz", _decodes_page),
    Reader("player's data", "decodes/*/*.json", _decodes_page),
    Reader("record of a decode", "decodes/*/record.zarr/**/*", _records),
    Reader("record of a decode: page", "decodes/*/record.zarr/**/*", _decodes_page),
    Reader("results: Evaluate", "results/*.json", _results_page),
    Reader("results: command", "results/*.json", _results_command),
    Reader("jobs", ".workbench/jobs/*.json", _jobs),
    Reader("jobs: Runs", ".workbench/jobs/*.json", _runs_page),
    Reader("supervisor", ".workbench/jobs/supervisor", wake),
    Reader("notes", ".workbench/notes/*.json", _notes),
    Reader("settings", ".workbench/settings.json", lambda workspace: open_workspace(workspace.root)),
    Reader("captions", "pictures/metadata.jsonl", _folder),
    Reader("pictures", "pictures/*.png", _folder),
    Reader("painted picture's note", "shown.*", _kept_picture),
    Reader("foreign weights", "other.pth", _foreign),
)
