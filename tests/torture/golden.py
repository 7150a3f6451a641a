"""A small workspace with one of everything that we write: a run, decodes, results, jobs, notes; and data to read."""

import dataclasses
import json
import time
from pathlib import Path

import torch

from dream.decoding.settings import DecodeSettings
from dream.evaluation.results import write_results
from dream.training.checkpoint import latest_checkpoint
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from tests.dream.training.training_small import run_training, small_config, write_pictures
from tests.workbench.evaluate.sample_results import results
from workbench.decode.export import decode_json, decode_png
from workbench.decode.paint import paint_and_store
from workbench.decode.request import DecodeRequest
from workbench.jobs.job import Job, write_job
from workbench.runs.notes import Note, write_note
from workbench.trajectories.kept import study
from workbench.work import Work
from workbench.workspace import SETTINGS, Workspace

SMALL = DecodeSettings(steps=4, seed=3, guidance_scale=2.0, selection="none")


def make_workspace(root: Path) -> Workspace:
    """Writes the workspace into `root`."""
    workspace = Workspace(root)
    run = workspace.runs / "small"
    run_training(run, small_config(steps=4, samples=1, evaluations=1))
    write_results(workspace.results, results("dream"))
    write_results(workspace.results, results("clip"))
    (workspace.own / "jobs").mkdir(parents=True)
    log = workspace.own / "jobs" / "a.log"
    log.write_text("step 4/4\n")
    arguments = ("train", "--out", str(run))
    job = Job("a", "train", "small", arguments, run, log, "finished", time.time(), time.time(), time.time())
    write_job(workspace, job)
    write_job(workspace, dataclasses.replace(job, id="b", out=workspace.runs / "gone", state="failed"))
    write_note(workspace, "small", Note(("good",), "a note"))
    write_note(workspace, "other", Note(("bad",), "another note"))
    (workspace.own / SETTINGS).write_text('{"outside": false}')
    model = small_pretrained()
    wanted = DecodeRequest(model="small", weights="averaged", prompt=PROMPTS[0], settings=SMALL)
    stored = [_done(lambda work: paint_and_store(work, workspace, model, wanted)) for _ in range(2)]
    _done(lambda work: study(work, model, workspace, "small", PROMPTS[:2], dataclasses.replace(SMALL, candidates=2)))
    (root / "shown.png").write_bytes(decode_png(stored[0]))
    (root / "shown.json").write_bytes(decode_json(stored[0]))
    pictures = write_pictures(root / "pictures", 6)
    lines = [{"file_name": path.name, "text": f"a picture {path.stem}"} for path in sorted(pictures.glob("*.png"))]
    (pictures / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    weights = {"model": {"a.weight": torch.ones(3, 4), "b": torch.zeros(5)}, "epoch": 3, "args": {"lr": 0.1}}
    torch.save(weights, root / "other.pth")
    assert latest_checkpoint(run).is_dir()
    return workspace


def _done(function):
    work = Work(function).wait()
    if work.error is not None:
        raise work.error
    return work.result
