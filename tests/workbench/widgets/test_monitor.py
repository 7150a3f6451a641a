"""The run monitor in plain Python: what it shows of a run in each state, as it grows, and what its buttons
do.

No training runs here: a run is written as a training writes it.
"""

import time

import numpy as np
import pytest
from PIL import Image

from dream.errors import InputError
from dream.presets import tiny
from dream.training.run_log import RunLog
from workbench.jobs import queue as launch
from workbench.jobs.queue import list_jobs
from workbench.runs.trainings import TrainForm, list_trainings, start_training
from workbench.widgets import run_monitor
from workbench.widgets.monitor import RunMonitor
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A workspace whose queue nobody works off."""
    monkeypatch.setattr(launch, "_start_supervisor", lambda workspace: None)
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    return Workspace(tmp_path)


class Run:
    """A run's files, written as a training writes them."""

    def __init__(self, workspace: Workspace, name: str = "a", end: int = 100) -> None:
        self.folder, self.end, self.step = workspace.runs / name, end, 0
        self.folder.mkdir(parents=True)
        self.log = RunLog(self.folder)
        self.log.record(
            {"config": tiny().to_dict(), "source": "shapes", "legs": [end], "history": [], "preset": "tiny"}
        )
        self.beat("running")

    def beat(self, status: str, message: str = "") -> None:
        left = 10.0 if status == "running" else None
        self.log.heartbeat(status, self.step, self.end, left, message)  # type: ignore[arg-type]

    def train(self, steps: int = 10, status: str = "running") -> None:
        self.step += steps
        self.log.row(
            "train",
            self.step,
            loss=5.0,
            generative_loss=1.0,
            contrastive_loss=400 / self.step,
            generative_share=0.4,
            contrastive_share=0.8,
            samples_per_second=128.0,
            lr=1e-3,
            grad_norm=2.0,
            progress=self.step / self.end,
            mask_ratios=[0.2, 0.6],
            generative_by_ratio={"0.5-0.6": 1.5},
        )
        self.beat(status)

    def validate(self) -> None:
        self.log.row(
            "validation",
            self.step,
            loss=6.0,
            retrieval_among=64,
            generative_by_ratio={"0.75": 1.7},
            contrastive_by_ratio={"0.00": 4.0},
            **{"text_to_image_r1_at_0.75": 0.25},
        )

    def paint(self) -> None:
        (self.folder / "samples").mkdir(exist_ok=True)
        image = Image.fromarray(np.full((8, 8, 3), self.step, dtype=np.uint8))
        image.save(self.folder / "samples" / f"step-{self.step:08d}.png")


def followed(run, **options) -> RunMonitor:
    return run_monitor(run, every=0.05, **options)


def soon(condition, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def traces(monitor: RunMonitor) -> list[str]:
    return [trace.name for trace in monitor.figure.data]


def test_a_run_that_has_not_begun_is_waited_for_and_then_followed_to_its_end(workspace):
    monitor = followed("runs/a")
    assert monitor.result.state == "absent" and "No run yet" in monitor._state.value
    assert monitor.controls["stop"].disabled and monitor.controls["resume"].disabled
    assert monitor.wait(0.2).running and len(monitor.result.train) == 0
    run = Run(workspace)
    run.train()
    soon(lambda: len(monitor.result.train) == 1)
    assert (monitor.result.state, monitor.result.step, monitor.result.end) == ("running", 10, 100)
    assert not monitor.controls["stop"].disabled
    figure = monitor.figure
    for _ in range(3):
        run.train()
    soon(lambda: len(monitor.result.train) == 4)
    assert monitor.figure is figure and len(figure.data[0].x) == 4
    assert list(figure.data[0].y) == pytest.approx(monitor.result.train["contrastive_loss"])
    run.train(status="finished")
    result = monitor.wait(30).result
    assert (result.state, result.step) == ("finished", 50) and not monitor.running
    assert list(result.train["step"]) == [10, 20, 30, 40, 50]
    assert result.train["generative at 0.5-0.6"].iloc[0] == 1.5


def test_waiting_for_a_step_ends_there(workspace):
    run = Run(workspace)
    monitor = followed(run.folder)
    assert monitor.wait(0.2, step=10).result.step == 0
    run.train(20)
    assert monitor.wait(30, step=15).result.step == 20 and monitor.running
    run.beat("stopped")
    assert monitor.wait(30, step=1000).result.state == "stopped"


def test_every_figure_over_every_axis(workspace):
    run = Run(workspace)
    monitor = followed(run.folder)
    run.train()
    run.train()
    run.validate()
    run.beat("finished")
    monitor.wait(30)
    seen = set()
    for name in [name for _, name in monitor.controls["figure"].options]:
        monitor.controls["figure"].value = name
        seen.add(tuple(traces(monitor)))
        for axis in ("minutes", "pictures", "steps"):
            monitor.controls["axis"].value = axis
            if name != "ratios":
                assert axis.split()[0][:-1] in monitor.figure.layout.xaxis.title.text
    assert len(seen) == 7 and not monitor._note.value
    assert list(monitor.result.validation["text_to_image_r1_at_0.75"]) == [0.25]
    assert {"generative at 0.75", "contrastive at 0.00"} < set(monitor.result.validation)
    monitor.controls["figure"].value, monitor.controls["smoothing"].value = "losses", 0.0
    assert [t.name.split(":")[0] for t in monitor.figure.data] == ["contrastive loss", "generative loss", "chance"]
    monitor.controls["log"].value = False
    assert monitor.figure.layout.yaxis.type != "log"


def test_sheets_are_leafed_through_and_the_newest_follows(workspace):
    run = Run(workspace)
    monitor = followed(run.folder)
    assert "No sample sheets yet" in monitor._sheet.value
    run.paint()
    run.train()
    run.paint()
    soon(lambda: len(monitor.result.sheets) == 2)
    soon(lambda: monitor.controls["sheet"].value == 10)
    assert "step 10" in monitor._sheet.value and "alt=" in monitor._sheet.value
    monitor.controls["sheet"].value = 0
    assert "step 0" in monitor._sheet.value
    run.train()
    run.paint()
    soon(lambda: len(monitor.controls["sheet"].options) == 3)
    assert monitor.controls["sheet"].value == 0
    (run.folder / "samples" / "step-00000000.png").write_text("no")
    soon(lambda: "is damaged" in monitor._sheet.value)
    monitor.cancel()


def test_a_training_of_the_queue_waits_is_taken_out_and_goes_on(workspace):
    job = start_training(workspace, TrainForm("a", budget="steps", amount=10))
    monitor = followed(job.out)
    assert monitor.result.state == "queued" and "it is next" in monitor._state.value
    assert monitor.result.command.startswith("dream train --preset tiny")
    monitor.controls["stop"].click()
    assert monitor.wait(30).result.state == "stopped" and "nothing was written" in monitor._state.value
    assert monitor.controls["resume"].disabled


def test_resume_and_going_on_are_the_commands_of_the_train_page(workspace):
    run = Run(workspace)
    run.beat("stopped")
    monitor = followed(run.folder).wait(30)
    assert not monitor.controls["resume"].disabled and not monitor.running
    monitor.controls["resume"].click()
    assert monitor.running and list_jobs(workspace)[0].arguments == ("train", "--out", "runs/a", "--resume")
    monitor.controls["stop"].click()
    monitor.wait(30)
    monitor.controls["kind"].value, monitor.controls["amount"].value = "steps", 40
    assert "--resume --steps 40" in monitor._more.value
    monitor.controls["extend"].click()
    assert list_jobs(workspace)[0].arguments[-2:] == ("--steps", "40")
    monitor.controls["resume"].click()
    assert "in the queue already" in monitor._note.value or monitor.controls["resume"].disabled
    monitor.cancel()


def test_failed_killed_and_damaged_runs_are_said(workspace):
    failed, killed, damaged = (Run(workspace, name) for name in ("failed", "killed", "damaged"))
    failed.beat("failed", "the loss is not finite at step 3")
    beat = (killed.folder / "heartbeat.json").read_text()
    (killed.folder / "heartbeat.json").write_text(beat.replace('"process_start": "', '"process_start": "1'))
    (damaged.folder / "heartbeat.json").write_text("no")
    found = {name: followed(name).wait(30) for name in ("failed", "killed", "damaged")}
    assert {name: monitor.result.state for name, monitor in found.items()} == {n: n for n in found}
    assert "not finite at step 3" in found["failed"]._state.value
    assert "resume it to continue" in found["killed"]._state.value
    assert not found["killed"].controls["resume"].disabled
    assert found["damaged"].controls["resume"].disabled and found["damaged"].controls["stop"].disabled


def test_cancel_stops_following_and_never_the_training(workspace):
    run = Run(workspace)
    monitor = followed(run.folder)
    monitor.cancel()
    monitor.wait(30)
    assert not monitor.running and monitor.controls["follow"].layout.display is None
    run.train()
    time.sleep(0.2)
    assert monitor.result.step == 0 and list_trainings(workspace)[0].state == "running"
    monitor.controls["follow"].click()
    assert monitor.wait(30, step=10).result.step == 10
    assert monitor.controls["follow"].layout.display == "none"
    monitor.close()


def test_a_run_elsewhere_is_followed_too(workspace, tmp_path):
    other = Workspace(tmp_path / "elsewhere")
    run = Run(other)
    run.train(status="finished")
    assert followed(run.folder).wait(30).result.step == 10


def test_what_cannot_be_followed_is_a_sentence(workspace):
    with pytest.raises(InputError, match="above 0"):
        run_monitor("a", every=0)
    with pytest.raises(InputError, match="outside"):
        run_monitor("/somewhere/else")
