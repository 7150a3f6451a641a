"""`dream train` as a user meets it: what it says, its exit codes, and that nothing is lost."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dream.__main__ import main
from dream.training import checkpoint, loop, run_log
from tests.dream.training.training_small import settings, small_config, write_pictures


def arguments(out: Path, *more: str, **changes: object) -> list[str]:
    """A small training on drawn shapes."""
    return [
        "train",
        "--out",
        str(out),
        "--accelerator",
        "cpu",
        "--devices",
        "1",
        *more,
        *settings(small_config(**changes)),
    ]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run of two steps."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(arguments(out, "--data", "shapes", steps=2)) == 0
    return out


def test_a_training_ends_with_what_to_do_next(tmp_path, capsys):
    assert main(arguments(tmp_path / "run", "--data", "shapes", steps=2)) == 0
    said = capsys.readouterr()
    assert f"dream decode --model {tmp_path / 'run'}" in said.out
    assert "step 2/2" in said.err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--data", "shapes", "--preset", "tinny"], "did you mean 'tiny'"),
        (["--data", "shapes", "--objective", "flud"], "did you mean 'fluid'"),
        (["--data", "shapes", "--set", "maskin.std=0.3"], "did you mean 'masking.std'"),
        (["--data", "shapes", "--set", "masking.std"], "section.key=value"),
        (["--data", "shapes", "--set", "train.lr=fast"], "train.lr must be a number"),
        (["--data", "shapes", "--set", "masking.groups=7"], "train.batch_size must be a multiple"),
        (["--data", "/no/such/pictures"], "/no/such/pictures"),
        (["--data", "nowhere-{000000..000003}.tar"], "nowhere-"),
        ([], "--data"),
        (["--data", "shapes", "--minutes", "0"], "--minutes must be a finite number above 0"),
        (["--data", "shapes", "--minutes", "inf"], "--minutes must be a finite number above 0"),
        (["--data", "shapes", "--minutes", "3", "--steps", "4"], "not allowed with"),
        (["--data", "shapes", "--seed", "-1"], "--seed must be at least 0"),
        (["--data", "shapes", "--resume"], "no run to resume"),
        (["--data", "shapes", "--precision", "16-mixed"], "precision"),
        (["--data", "shapes", "--strategy", "deepspeed"], "--strategy must be one of"),
        (["--data", "shapes", "--devices", "0"], "--devices 0"),
        (["--data", "shapes", "--stpes", "4"], "did you mean '--steps'"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, more, sentence):
    assert main(["train", "--out", str(tmp_path / "run"), "--accelerator", "cpu", *more]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("dream: ") and sentence in said[0]
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_said_to_be_empty(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    assert main(["train", "--out", str(tmp_path / "run"), "--data", str(tmp_path / "pictures")]) == 2
    assert str(tmp_path / "pictures") in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_place_without_permission_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("dream.files.os.access", lambda path, mode: False)  # root may write everywhere
    assert main(["train", "--out", str(tmp_path / "run"), "--data", "shapes"]) == 2
    assert "no permission" in capsys.readouterr().err


def test_a_finished_run_is_safe_from_a_second_start(finished, capsys):
    before = files(finished)
    for more, sentence in (([], "--resume"), (["--resume"], "finished at step 2")):
        assert main(arguments(finished, "--data", "shapes", *more, steps=2)) == 2
        assert sentence in capsys.readouterr().err
    assert files(finished) == before


def test_another_configuration_is_refused_by_key(finished, capsys):
    before = files(finished)
    for more, key in (
        (["--preset", "demo"], "encoder.depth"),
        (["--set", "encoder.width=64"], "encoder.width (32 there, 64 here)"),
        (["--seed", "4"], "train.seed"),
    ):
        assert main(["train", "--out", str(finished), "--resume", "--steps", "1", *more]) == 2
        assert key in capsys.readouterr().err
    assert files(finished) == before


def test_the_same_command_with_resume_goes_on(tmp_path, capsys):
    first = arguments(tmp_path / "run", "--data", "shapes", "--preset", "tiny", "--steps", "2")
    assert main(first) == 0
    assert main(["train", "--resume", *first[1:]]) == 0
    assert "trained to step 4" in capsys.readouterr().out
    assert run_log.read_record(tmp_path / "run")["legs"] == [2, 4]


def test_a_corrupt_checkpoint_is_named_and_the_one_before_serves(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(arguments(out, "--data", "shapes", steps=2)) == 0
    (checkpoint.checkpoint_folder(out, 2) / "model.safetensors").write_bytes(b"nonsense")
    before = files(out)
    assert main(["train", "--out", str(out), "--resume", "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert "model.safetensors is damaged" in said and "--resume step-00000000" in said
    assert files(out) == before
    assert main(["train", "--out", str(out), "--resume", "step-00000000", "--accelerator", "cpu"]) == 0


def test_a_full_disk_is_a_failure_while_running(tmp_path, capsys, monkeypatch):
    out, save, calls = tmp_path / "run", checkpoint.save_file, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    assert main(arguments(out, "--data", "shapes", steps=4)) == 1
    assert "disk is full" in capsys.readouterr().err
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-00000000"]
    monkeypatch.undo()
    assert main(["train", "--out", str(out), "--resume", "--accelerator", "cpu"]) == 0
    assert checkpoint.latest_checkpoint(out).name == "step-00000004"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stop_is_told_and_has_its_exit_code(tmp_path, capsys, monkeypatch, number, code):
    whole_step = loop.apply_step

    def interrupted(run, step, factor):
        whole_step(run, step, factor)
        if step == 1:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(loop, "apply_step", interrupted)
    assert main(arguments(tmp_path / "run", "--data", "shapes", steps=50)) == code
    assert "stopped at step 3 of 50 and saved" in capsys.readouterr().out


def test_broken_pictures_are_counted_in_the_report(tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 40)
    for broken in sorted(pictures.glob("*.png"))[:3]:
        broken.write_bytes(b"no picture")
    assert main(arguments(tmp_path / "run", "--data", str(pictures), steps=6, evaluations=1)) == 0
    beat = run_log.read_heartbeat(tmp_path / "run")
    assert beat is not None and beat.status == "finished"
    assert '"problems": 3' in (tmp_path / "run/report.json").read_text()


def test_help_names_every_option_without_importing_torch():
    code = "import sys; from dream.__main__ import main\ntry: main(['train', '--help'])\nexcept SystemExit: "
    code += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in ("--preset", "--minutes", "--resume", "--strategy", "--set"):
        assert option in done.stdout
