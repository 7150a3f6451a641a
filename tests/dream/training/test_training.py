"""The loop: it learns, it logs, it validates and paints, and it stops and fails as it should."""

import json
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dream.decoding.pictures import read_about
from dream.errors import InputError, RunError
from dream.presets import clip, fluid, mar
from dream.pretrained import load_pretrained
from dream.training import budget, loop, monitor, planning, run_log
from dream.training.checkpoint import checkpoint_folder, latest_checkpoint, list_checkpoints, read_tensors
from dream.training.request import TrainRequest
from tests.dream.training.training_small import run_training, small_config, weights


def test_both_losses_fall(tmp_path):
    run_training(tmp_path / "run", small_config(steps=40, log_every=10, warmup=0.05))
    rows = run_log.read_metrics(tmp_path / "run", "train")
    assert [row["step"] for row in rows] == [10, 20, 30, 40]
    for name in ("generative_loss", "contrastive_loss"):
        assert rows[-1][name] < 0.97 * rows[0][name], name


def test_a_row_tells_everything(tmp_path):
    run_training(tmp_path / "run", small_config(steps=4, accumulate=2, log_every=2))
    row = run_log.read_metrics(tmp_path / "run", "train")[-1]
    assert row["step"] == 4 and row["progress"] == 1.0
    assert 0 < row["generative_share"] <= 1 and 0 < row["contrastive_share"] <= 1
    assert len(row["mask_ratios"]) == 4  # of the global batch
    assert row["grad_norm"] > 0 and row["samples_per_second"] > 0 and 0 <= row["data_wait"] <= 1
    assert row["lr"] == pytest.approx(small_config().train.lr * row["lr_factor"])
    assert set(row["generative_by_ratio"]) <= {f"{i / 10:.1f}-{(i + 1) / 10:.1f}" for i in range(10)}
    weights = small_config().objective
    weighted = weights.generative_weight * row["generative_loss"] * row["generative_share"]
    weighted += weights.contrastive_weight * row["contrastive_loss"]
    assert row["loss"] == pytest.approx(weighted, rel=1e-4)


def test_a_run_leaves_a_complete_folder(tmp_path):
    config = small_config(steps=6, evaluations=2, samples=1, keep_last=1)
    result = run_training(tmp_path / "run", config)
    assert result == loop.TrainResult(tmp_path / "run", 6, 6, None, 0)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("config.json", "metrics.jsonl", "heartbeat.json", "report.json"),
        *("tokenizer", "checkpoints", "samples"),
    }
    record = run_log.read_record(tmp_path / "run")
    assert record["legs"] == [6] and record["source"] == "shapes" and record["parameters"] > 0
    assert [event["event"] for event in record["history"]] == ["started", "planned"]
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and (beat.status, beat.step, beat.end) == ("finished", 6, 6)
    assert json.loads((tmp_path / "run/report.json").read_text())["problems"] == 0
    assert [path.name for path in sorted((tmp_path / "run/samples").iterdir())] == [
        "step-00000000.png",
        "step-00000006.png",
    ]


def test_validation_tells_losses_by_ratio_and_retrieval(tmp_path):
    run_training(tmp_path / "run", small_config(steps=4, evaluations=2))
    rows = run_log.read_metrics(tmp_path / "run", "validation")
    assert [row["step"] for row in rows] == [0, 2, 4]
    for row in rows:
        assert set(row["generative_by_ratio"]) == {"0.50", "0.75", "0.90"}
        assert set(row["contrastive_by_ratio"]) == {"0.00", "0.25", "0.50", "0.75"}
        assert row["retrieval_among"] == 64
        assert 0 <= row["text_to_image_r1_at_0.75"] <= 1
    assert rows[0]["loss"] != rows[2]["loss"]


@pytest.mark.parametrize(("num_tokens", "hidden"), [(16, 12), (25, 18), (36, 27), (256, 192)])
def test_three_quarters_hidden_still_count_in_contrast(num_tokens, hidden):
    assert monitor.hidden_at(0.75, num_tokens, 0.25) == hidden
    assert monitor.hidden_at(0.9, 25, 0.25) == 23
    assert monitor.hidden_at(0.5, 25, 0.25) == 13


def test_validating_and_painting_change_no_weight(tmp_path):
    run_training(tmp_path / "plain", small_config(steps=6))
    run_training(tmp_path / "watched", small_config(steps=6, evaluations=3, samples=2))
    plain, watched = weights(tmp_path / "plain"), weights(tmp_path / "watched")
    assert all(torch.equal(plain[key], watched[key]) for key in plain)


def test_sample_sheets_are_those_of_the_checkpoint_that_was_saved(tmp_path):
    run_training(tmp_path / "run", small_config(steps=6, samples=1))
    for step in (0, 6):
        pretrained = load_pretrained(checkpoint_folder(tmp_path / "run", step))
        sheet = tmp_path / "run/samples" / f"step-{step:08d}.png"
        prompts = read_about(sheet)["prompts"]
        assert len(prompts) == monitor.SHEET_PROMPTS
        raw = load_pretrained(pretrained.path, ema=False) if step else None  # the average is still young
        monitor.draw_samples(pretrained, prompts, tmp_path / "again.png", raw)
        assert sheet.read_bytes() == (tmp_path / "again.png").read_bytes()


@pytest.mark.parametrize("steps", [1, 2, 10, 11])
def test_first_and_last_step_are_painted_however_short_the_training(tmp_path, steps):
    run_training(tmp_path / "run", small_config(steps=steps, samples=1))
    names = sorted(sheet.name for sheet in (tmp_path / "run/samples").iterdir())
    assert names == ["step-00000000.png", f"step-{steps:08d}.png"]
    first, last = (read_about(tmp_path / "run/samples" / name)["weights"] for name in names)
    assert first == [] and last == [monitor.AVERAGED, monitor.RAW]


@pytest.mark.parametrize("objective", [fluid, clip, mar])
def test_baselines_train_their_own_loss_only(tmp_path, objective):
    run_training(tmp_path / "run", objective(small_config(steps=2, evaluations=1, samples=1)))
    row = run_log.read_metrics(tmp_path / "run", "train")[-1]
    assert (row["contrastive_loss"] is None) == (objective is not clip)
    assert (row["generative_loss"] is None) == (objective is clip)
    folders = (checkpoint_folder(tmp_path / "run", step) for step in (0, 2))
    before, after = (read_tensors(folder, "model") for folder in folders)
    untouched = "head." if objective is clip else "text_tower."
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith(untouched))


def test_equal_seeds_are_equal_to_the_bit_and_others_differ(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_training(tmp_path / name, small_config(steps=3, seed=seed))
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["encoder.embed.weight"], c["encoder.embed.weight"])


def test_minutes_become_steps_that_fill_them(tmp_path, monkeypatch):
    """At the cost that was measured, what is planned fills the minutes to within a step: no clock of the machine."""
    step, spent, minutes = 0.2, 2.0, 0.2
    overhead = {"validate": 0.4, "save": 0.1, "paint": 0.3}
    cost = budget.StepCost(budget.PROGRESS_POINTS, (step,) * len(budget.PROGRESS_POINTS))
    monkeypatch.setattr(budget, "measure_steps", lambda *_: cost)
    monkeypatch.setattr(planning, "_overhead", lambda *_: overhead)
    monkeypatch.setattr(planning, "time", SimpleNamespace(monotonic=lambda: spent))
    config = small_config(steps=None, minutes=minutes, evaluations=1, samples=1)
    result = run_training(tmp_path / "run", config, started=0.0)
    record = run_log.read_record(tmp_path / "run")
    assert record["legs"] == [result.step] == [record["config"]["train"]["steps"]]
    validations, sheets, saves = 2, 2, 2  # each is also done before the first step
    reserved = validations * overhead["validate"] + sheets * overhead["paint"] + saves * overhead["save"]
    planned = spent + reserved + step * result.step
    assert planned == pytest.approx(60 * minutes, abs=step)


@pytest.mark.slow
def test_what_is_calibrated_is_what_the_steps_give(tmp_path):
    result = run_training(tmp_path / "minutes", small_config(steps=None, minutes=0.1))
    run_training(tmp_path / "steps", small_config(steps=result.step))
    a, b = weights(tmp_path / "minutes"), weights(tmp_path / "steps")
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_saves_and_ends_in_the_middle(tmp_path, monkeypatch, number):
    whole_step = loop.apply_step

    def interrupted(run, step, factor):
        whole_step(run, step, factor)
        if step == 4:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(loop, "apply_step", interrupted)
    handler = signal.getsignal(number)
    result = run_training(tmp_path / "run", small_config(steps=50))
    assert result.stopped_by == number and result.step == 6 and result.end == 50
    assert latest_checkpoint(tmp_path / "run").name == "step-00000006"
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and beat.status == "stopped"
    assert signal.getsignal(number) == handler


def break_at(monkeypatch, step, **broken):
    """Makes the losses of one step not finite."""
    total_loss, seen = loop.total_loss, []

    def breaking(*args):
        losses = total_loss(*args)
        seen.append(1)
        if len(seen) != step:
            return losses
        parts = {name: getattr(losses, name) * value for name, value in broken.items()}
        return replace(losses, **parts, total=losses.total * next(iter(broken.values())))

    monkeypatch.setattr(loop, "total_loss", breaking)


@pytest.mark.parametrize(("term", "value"), [("generative", float("nan")), ("contrastive", float("inf"))])
def test_a_loss_that_is_not_finite_is_named_and_the_state_before_it_saved(tmp_path, monkeypatch, term, value):
    run_training(tmp_path / "reference", small_config(steps=5))
    break_at(monkeypatch, 3, **{term: value})
    with pytest.raises(RunError, match=rf"step 3: the {term} loss is {value}.*step-00000002"):
        run_training(tmp_path / "run", small_config(steps=5))
    assert latest_checkpoint(tmp_path / "run").name == "step-00000002"
    assert all(bool(tensor.isfinite().all()) for tensor in weights(tmp_path / "run").values())
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and beat.status == "failed" and term in beat.message
    monkeypatch.undo()
    run_training(tmp_path / "run", resume=True)
    resumed, reference = weights(tmp_path / "run"), weights(tmp_path / "reference")
    assert all(torch.equal(resumed[key], reference[key]) for key in reference)


def test_a_folder_that_holds_a_run_is_refused_until_told(tmp_path):
    run_training(tmp_path / "run", small_config(steps=2))
    before = weights(tmp_path / "run")
    with pytest.raises(InputError, match="--resume.*--overwrite"):
        run_training(tmp_path / "run", small_config(steps=2, seed=3))
    assert torch.equal(weights(tmp_path / "run")["encoder.embed.weight"], before["encoder.embed.weight"])
    run_training(tmp_path / "run", small_config(steps=1, seed=3), overwrite=True)
    assert [path.name for path in list_checkpoints(tmp_path / "run")] == ["step-00000000", "step-00000001"]


def test_a_folder_with_other_files_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="other files"):
        run_training(tmp_path, small_config(), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_is_being_trained_is_left_alone(tmp_path):
    run_training(tmp_path / "run", small_config(steps=2))
    run_log.RunLog(tmp_path / "run").heartbeat("running", 1, 2)
    for request in ({"resume": True, "steps": 2}, {"overwrite": True, "config": small_config()}):
        with pytest.raises(InputError, match=f"process {os.getpid()}"):
            run_training(tmp_path / "run", **request)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 1.0, "steps": 3}, "not both"),
        ({"minutes": -1.0}, "above 0"),
        ({"minutes": float("nan")}, "above 0"),
        ({"steps": 0}, "at least 1"),
        ({"resume": True, "overwrite": True}, "not both"),
        ({"resume": True}, "no run to resume"),
        ({"strategy": "dpp"}, "--strategy must be one of"),
        ({"accelerator": "tpu"}, "--accelerator must be one of"),
        ({"devices": "many"}, "--devices many"),
        ({"source": None}, "--data"),
        ({"source": "/no/such/place"}, "/no/such/place"),
        ({"config": small_config(precision="16-mixed")}, "precision"),
        ({"config": small_config(optimizer="muon"), "strategy": "fsdp"}, "Muon"),
        ({"config": replace(small_config(), image=replace(small_config().image, size=4))}, "size"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(tmp_path, changes, message):
    request = {
        "out": tmp_path / "run",
        "source": "shapes",
        "config": small_config(),
        "accelerator": "cpu",
        "devices": "1",
    }
    with pytest.raises(InputError, match=message) as error:
        loop.train(TrainRequest(**{**request, **changes}))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        run_training(tmp_path / "file" / "run", small_config())


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"precision": "bf16-mixed"}, {"checkpoint_gradients": True}, {"compile": True}])
def test_options_of_speed_and_memory_train(tmp_path, monkeypatch, changes):
    compile_block = nn.Module.compile  # graphs are captured as always, but no C++ is compiled, which takes minutes
    monkeypatch.setattr(nn.Module, "compile", lambda *args, **kwargs: compile_block(*args, **kwargs, backend="eager"))
    run_training(tmp_path / "run", small_config(steps=3, log_every=1, evaluations=1, samples=1, **changes))
    run_training(tmp_path / "plain", small_config(steps=3, log_every=1))
    option, plain = (
        [row["loss"] for row in run_log.read_metrics(tmp_path / name, "train")] for name in ("run", "plain")
    )
    assert option == pytest.approx(plain, rel=0.05)
    assert not load_pretrained(tmp_path / "run").model.training
