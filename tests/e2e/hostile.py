"""A workspace in which every text of users and files is Markdown, HTML and TeX that asks another host, and a browser's
record of what a page made of them."""

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dream.data.report import DataReport
from dream.decoding import pictures
from dream.decoding.settings import DecodeSettings
from dream.evaluation.event_log import EventLog
from dream.evaluation.events import Question, TaskAsked, TaskAtWork
from dream.evaluation.results import Results, write_results
from dream.evaluation.statistics import Measure
from dream.model.pretrained import Pretrained
from dream.pretrained import load_pretrained
from dream.training import checkpoint
from dream.training.live_tensors import model_tensors
from dream.training.processes import own_table, process_start
from dream.training.run_log import RunLog
from tests.workbench.checkpoints.checkpoint_files import weights, write_header, write_safetensors
from tests.workbench.evaluate.sample_results import all_results, entry, estimate, retrieval
from workbench.decode.paint import paint_and_store
from workbench.decode.request import DecodeRequest
from workbench.jobs.job import Job, jobs_folder, write_job
from workbench.runs.notes import Note, write_note
from workbench.trajectories.kept import study, what_if
from workbench.trajectories.race import paint_race, race_settings_of
from workbench.work import Work
from workbench.workspace import Workspace


class Canary:
    """A server on another port of this machine that only notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                canary.asked.append(self.path)
                self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def host(self) -> str:
        """Its address without the scheme."""
        return f"127.0.0.1:{self.server.server_port}"

    def text(self, mark: str = "") -> str:
        """The hostile text; `mark` tells copies apart."""
        url = f"http://{self.host}"
        return f"{mark}![x]({url}/p{mark}.png) **b** $x^2$ :red[r] [l]({url}) <b>h</b> <img src={url}/i{mark}.png>"

    def name(self, mark: str = "") -> str:
        """The same as a name of a file or folder: slashes are entities, which Markdown and HTML read as slashes."""
        return self.text(mark).replace("/", "&#47;")


@contextmanager
def listening() -> Iterator[Canary]:
    """Serves a canary within the block."""
    canary = Canary()
    threading.Thread(target=canary.server.serve_forever, daemon=True).start()
    try:
        yield canary
    finally:
        canary.server.shutdown()
        canary.server.server_close()


def furnish(workspace: Workspace, canary: Canary, busy: int) -> None:
    """Fills the workspace by the project's own writers; the process `busy` counts as a running job's."""
    torch.manual_seed(0)
    demo = load_pretrained("demo")
    model = _trained(workspace, canary, demo)
    _broken_runs(workspace, canary)
    _pictures(workspace, canary)
    _files(workspace, canary)
    _results(workspace, canary, model)
    _jobs(workspace, canary, busy)
    _decodes(workspace, canary, demo, model)


def _run(workspace: Workspace, canary: Canary, name: str, status: str, record: dict[str, object]) -> Path:
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    log = RunLog(folder)
    log.record({"config": {}, "source": canary.text("source"), "legs": [20], "history": [], **record})
    log.row("validation", 0, loss=2.0, **{"text_to_image_r1_at_0.00": 0.25, "retrieval_among": 64})
    for step in (10, 20):
        log.row("train", step, contrastive_loss=1.0, generative_loss=0.5, samples_per_second=64.0, lr=1e-3)
    log.heartbeat(status, 20, 40, message=canary.text("message"))  # type: ignore[arg-type]
    report = DataReport()
    report.add(canary.text("kind"), canary.text("shard"), canary.text("key"), canary.text("detail"))
    log.report(report.to_dict())
    prompts = [canary.text(f"sheet{number}") for number in range(4)]
    panels = [pictures.SheetPanel(np.full((3, 30, 30), 60, np.uint8), prompt) for prompt in prompts]
    sheet = pictures.draw_sheet(pictures.panel_rows(panels, 4), heading="step 20")
    about = {"prompts": prompts, "settings": {"seed": 0}}
    for step in (10, 20):
        pictures.save_png(sheet, folder / "samples" / f"step-{step:08d}.png", about)
    return folder


def _trained(workspace: Workspace, canary: Canary, demo: Pretrained) -> str:
    """A run of a hostile name with two checkpoints of the demo model; returns it as the pages show it."""
    name = canary.name("run")
    record = {"config": demo.config.to_dict(), "preset": canary.text("preset")}
    folder = _run(workspace, canary, name, "failed", record)
    tensors = model_tensors(demo.model)
    averaged = {key: tensors[key] for key, _ in demo.model.named_parameters()}
    for step in (10, 20):
        state = checkpoint.TrainingState(step, demo.config, canary.text("trained on"), None)
        checkpoint.save_checkpoint(folder, state, {"model": tensors, "ema": averaged}, demo.tokenizer)
    write_note(workspace, name, Note((canary.text("tag"),), canary.text("note")))
    _run(workspace, canary, canary.name("second"), "stopped", record | {"preset": "tiny"})
    return workspace.shown(folder)


def _broken_runs(workspace: Workspace, canary: Canary) -> None:
    broken = workspace.runs / canary.name("broken")
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{" + canary.text("not JSON"))
    damaged = workspace.decodes / "damaged"
    damaged.mkdir(parents=True)
    (damaged / "about.json").write_text(json.dumps({"format": canary.text("format"), "kind": canary.text("kind")}))


def _pictures(workspace: Workspace, canary: Canary) -> None:
    folder = workspace.root / "pictures"
    folder.mkdir()
    for number in range(6):
        name = canary.name(str(number))
        Image.new("RGB", (40, 24), ("red", "green", "blue")[number % 3]).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(canary.text(f"caption{number % 4}"))
    (folder / f"{canary.name('no picture')}.png").write_text("this is no picture")
    (folder / f"{canary.name('no picture')}.txt").write_text(canary.text("of no picture"))


def _files(workspace: Workspace, canary: Canary) -> None:
    files = workspace.root / "files"
    files.mkdir()
    for mark in ("one", "two"):
        tensors = {name: tensor * (mark == "two") for name, tensor in weights().items()}
        tensors |= {canary.text("same"): torch.ones(3, 4), canary.text(f"only {mark}"): torch.ones(4)}
        tensors |= {"sick." + canary.text("sick"): torch.full((3,), float("nan"))}
        write_safetensors(files / f"{canary.name(mark)}.safetensors", tensors)
    about = {"dtype": canary.text("dtype"), "shape": [2], "data_offsets": [0, 8]}
    metadata = {canary.text("fact"): canary.text("value")}
    write_header(files / "dtype.safetensors", {"__metadata__": metadata, canary.text("odd"): about}, bytes(8))
    (files / f"{canary.name('damaged')}.safetensors").write_text(canary.text("not a checkpoint"))


def _results(workspace: Workspace, canary: Canary, model: str) -> None:
    for found in all_results():
        entries = tuple(dataclasses.replace(one, data=canary.text("data")) for one in found.entries)
        own = entry("edits", [], found.name, skipped=canary.text("skipped"), data=canary.text("data"))
        entries = (*entries, dataclasses.replace(own, changed={"why": canary.text("setting")}))
        write_results(workspace.results, Results(found.name, model, entries))
    where = {canary.text("condition"): canary.text("value"), "mask_ratio": 0.5}
    odd = [Measure("retrieval", canary.text("measure"), where, estimate(0.5)), *retrieval(0.4)]
    odd_task = Measure(canary.text("odd"), "x", {}, estimate(0.5))
    entries = (entry("retrieval", odd, "dream"), entry(canary.text("odd"), [odd_task], "dream"))
    result = Results(canary.text("column"), canary.text("model"), entries)
    path = workspace.results / f"{canary.name('column')}.json"
    tree = {"format": 2, "name": result.name, "model": result.model, "entries": [one.to_dict() for one in entries]}
    path.write_text(json.dumps(tree))
    (workspace.results / f"{canary.name('damaged')}.json").write_text(json.dumps({"format": 2, "entries": "x"}))
    deeper = workspace.results / canary.name("deeper")
    write_results(deeper, Results("other", "demo", (entry("edits", [], "dream", skipped="x"),)))


def _jobs(workspace: Workspace, canary: Canary, busy: int) -> None:
    folder = jobs_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    for number, (kind, state) in enumerate(
        [("evaluate", s) for s in ("failed", "killed", "stopped", "finished", "running")] + [("train", "failed")]
    ):
        name, out = canary.name(f"{state} job"), workspace.results
        if kind == "train":
            name = canary.name("never began")
            out = workspace.runs / name
        log = folder / f"job{number}.log"
        log.write_text(f"dream: {canary.text('log')}\n")
        times = (now - 60, now - 50, None if state == "running" else now - 40)
        command = (kind, "--model", canary.text("model"), "--out", str(out))
        job = Job(f"job{number}", kind, name, command, out, log, state, *times)  # type: ignore[arg-type]
        if state == "running":
            table = own_table()._asdict()
            job = dataclasses.replace(job, pid=busy, process_start=process_start(busy), **table)
            _events(job, canary)
        write_job(workspace, job)


def _events(job: Job, canary: Canary) -> None:
    log = EventLog(job.progress)
    asked = [Question(canary.text("asked"), task, canary.text("on")) for task in ("knn", canary.text("task"))]
    for question in asked:
        log.write(TaskAsked(question))
    log.write(TaskAtWork(asked[1], 0.5, canary.text("doing"), 5.0))


def _decodes(workspace: Workspace, canary: Canary, demo: Pretrained, model: str) -> None:
    settings = DecodeSettings(steps=3, sampling_steps=2, seed=3, selection="none")
    request = DecodeRequest(model, "averaged", canary.text("prompt"), settings)
    _done(Work(lambda work: paint_and_store(work, workspace, demo, request)))
    few = {"candidates": 2, "steps": 3, "sampling_steps": 2}
    fewer, _ = race_settings_of(demo.config, "30%tokens", selection="once", **few)
    race = _done(Work(lambda work: paint_race(work, demo, workspace, model, canary.text("race"), fewer)))
    _done(Work(lambda work: what_if(work, demo, workspace, race)))
    prompts = [canary.text("many1"), canary.text("many2")]
    _done(Work(lambda work: study(work, demo, workspace, model, prompts, fewer)))


def _done(work: "Work[object]") -> object:
    work.wait(120)
    if work.error is not None:
        raise work.error
    return work.result
