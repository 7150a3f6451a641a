import json
import shutil

import numpy as np
import pytest
from PIL import Image

from dream.__main__ import main
from dream.decoding.pictures import read_about
from dream.decoding.record import load_record
from dream.training.checkpoint import checkpoint_folder, list_checkpoints
from tests.dream.decoding.decode_fakes import save_run, small_pretrained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(small_pretrained(), tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture
def decode(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def command(*arguments, model=run):
        return main(["decode", "--model", str(model), "--steps", "4", *arguments])

    return command


def complaint(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("dream: ") and "Traceback" not in "".join(lines)
    return lines[-1]


def test_a_sheet_carries_prompt_seed_and_settings(decode, tmp_path):
    assert decode("--prompt", "a red  circle", "--seed", "3", "--guidance", "2", "--out", "sheet.png") == 0
    about = read_about(tmp_path / "sheet.png")
    assert about["prompt"] == "a red circle" and about["seed"] == 3
    assert about["settings"]["steps"] == 4 and about["settings"]["guidance_scale"] == 2.0
    assert about["model_id"]


def test_a_folder_holds_every_picture_in_its_own_size(decode, tmp_path):
    assert decode("--prompt", "a red circle", "--prompt", "Ünïcode!", "--count", "2", "--out", "new/pictures") == 0
    files = sorted((tmp_path / "new" / "pictures").iterdir())
    assert [f.name for f in files] == [
        "0000-a-red-circle-c0.png",
        "0001-a-red-circle-c0.png",
        "0002-n-code-c0.png",
        "0003-n-code-c0.png",
    ]
    assert all(Image.open(f).size == (16, 16) for f in files)
    assert read_about(files[1])["picture_id"] == 1


def test_a_picture_does_not_depend_on_the_other_prompts(decode, tmp_path):
    decode("--prompt", "a red circle", "--out", "alone")
    decode("--prompt", "a blue square", "--prompt", "a red circle", "--out", "both")
    alone = np.asarray(Image.open(tmp_path / "alone" / "0000-a-red-circle-c0.png")).astype(int)
    both = np.asarray(Image.open(tmp_path / "both" / "0001-a-red-circle-c0.png")).astype(int)
    assert abs(alone - both).max() <= 1


def test_a_trajectory_has_a_frame_a_step(decode, tmp_path):
    options = ("--candidates", "3", "--select-at", "2steps", "--out", "a.gif")
    assert decode("--prompt", "a red circle", *options) == 0
    assert Image.open(tmp_path / "a.gif").n_frames == 4


@pytest.mark.parametrize("selection", ["once", "every", "halving", "none"])
def test_every_selection_draws_sheet_trajectory_and_record(decode, tmp_path, selection):
    at = [] if selection == "none" else ["--select-at", "1steps"]
    options = ("--candidates", "4", "--selection", selection, *at)
    assert decode("--prompt", "x", "--prompt", "y", *options, "--record", "a.zarr", "--out", "a.png") == 0
    assert decode("--prompt", "x", *options, "--out", "a.gif") == 0
    stored = load_record(tmp_path / "a.zarr")
    assert stored.about.prompts == ("x", "y")
    assert not np.isnan(stored.alignment[stored.alive]).any()
    assert len(stored.finished(0)[0]) == (4 if selection == "none" else 1)


def test_the_default_place_of_selection_is_said(decode, capsys):
    assert decode("--prompt", "x", "--candidates", "2", "--out", "a.png") == 0
    said = capsys.readouterr().err
    assert "30%tokens, the default" in said and "of the tokens)" in said and "chose candidate" in said


def test_prompts_come_from_a_file_too(decode, tmp_path):
    (tmp_path / "prompts.txt").write_text("a red circle\n\n a blue square \n", encoding="utf-8")
    assert decode("--prompts", "prompts.txt", "--out", "a.png") == 0
    assert read_about(tmp_path / "a.png")["prompt"] == "a red circle\na blue square"


def test_a_kept_part_of_a_picture_stays(decode, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "given.png")
    for option, kept in (("--box", np.s_[:8]), ("--repaint-box", np.s_[8:])):
        out = option.strip("-")
        assert decode("--prompt", "x", "--keep", "given.png", option, "0,0,16,8", "--out", out) == 0
        painted = np.asarray(Image.open(next((tmp_path / out).iterdir())))
        assert np.array_equal(painted[kept], picture[kept])
        assert not np.array_equal(painted, picture)


def test_nothing_is_overwritten_unless_told(decode, tmp_path, capsys):
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    for out in ("a.png", "folder"):
        assert decode("--prompt", "x", "--out", out) == 2
        assert "--overwrite" in complaint(capsys)
        assert decode("--prompt", "x", "--out", out, "--overwrite") == 0
    assert read_about(tmp_path / "a.png")["prompt"] == "x"
    assert decode("--prompt", "y", "--out", "folder", "--overwrite") == 0
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["0000-y-c0.png", "mine.txt"]


WRONG = {
    "no prompt": ([], "--prompt"),
    "an empty prompt": (["--prompt", " "], "empty"),
    "a missing file of prompts": (["--prompts", "none.txt"], "none.txt"),
    "an empty file of prompts": (["--prompts", "empty.txt"], "one per line"),
    "a file of prompts that is no text": (["--prompts", "bytes.txt"], "UTF-8"),
    "a count of none": (["--prompt", "x", "--count", "0"], "--count"),
    "another kind of file": (["--prompt", "x", "--out", "a.jpg"], ".png"),
    "a folder called .png": (["--prompt", "x", "--out", "folder.png"], "folder"),
    "a place below a file": (["--prompt", "x", "--out", "empty.txt/a.png"], "file"),
    "a step out of range": (["--prompt", "x", "--candidates", "2", "--select-at", "4steps"], "[1, 3]"),
    "an unclear place": (["--prompt", "x", "--candidates", "2", "--select-at", "12.5%"], "12.5%tokens"),
    "a place without candidates": (["--prompt", "x", "--select-at", "2steps"], "--candidates"),
    "no candidates": (["--prompt", "x", "--candidates", "0"], "candidates"),
    "guidance below one": (["--prompt", "x", "--guidance", "0.5"], "guidance"),
    "a cold temperature": (["--prompt", "x", "--temperature", "-1"], "temperature"),
    "too many sampling steps": (["--prompt", "x", "--sampling-steps", "2000"], "1000"),
    "a negative seed": (["--prompt", "x", "--seed", "-1"], "seed"),
    "a record of another kind": (["--prompt", "x", "--record", "a.h5"], ".zarr"),
    "a device that is not there": (["--prompt", "x", "--device", "quantum"], "quantum"),
    "a box without a picture": (["--prompt", "x", "--box", "0,0,8,8"], "--keep"),
    "a picture without a box": (["--prompt", "x", "--keep", "empty.txt"], "--box"),
    "a picture that is none": (["--prompt", "x", "--keep", "empty.txt", "--box", "0,0,8,8"], "picture"),
    "a box outside the picture": (["--prompt", "x", "--keep", "empty.txt", "--box", "0,0,99,8"], "16 x 16"),
    "a box that keeps nothing": (["--prompt", "x", "--keep", "given.png", "--box", "0,0,3,3"], "box"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_sentence_and_writes_nothing(decode, tmp_path, capsys, name):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "folder.png").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "given.png")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    arguments, words = WRONG[name]
    assert decode(*arguments, *([] if "--out" in arguments else ["--out", "a.png"])) == 2
    assert words in complaint(capsys)
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_a_missing_model_names_the_runs_beside_it(decode, run, capsys):
    assert decode("--prompt", "x", "--out", "a.png", model=run.parent / "smal") == 2
    assert str(run) in complaint(capsys)
    assert decode("--prompt", "x", "--out", "a.png", model=run.parent / "none" / "smal") == 2
    assert "no run" in complaint(capsys)


def test_a_failure_while_painting_leaves_no_half_file(decode, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dream.decoding.gallery.Gallery.add", interrupted)
    assert decode("--prompt", "x", "--record", "a.zarr", "--out", "a.png") == 130
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run with three checkpoints, of which the second has the lowest validation loss."""
    folder = save_run(small_pretrained(), tmp_path_factory.mktemp("runs") / "measured")
    (first,) = list_checkpoints(folder)
    for step, loss in ((2, 1.25), (3, 1.5)):
        later = checkpoint_folder(folder, step)
        shutil.copytree(first, later)
        state = json.loads((later / "state.json").read_text())
        (later / "state.json").write_text(json.dumps({**state, "step": step, "validation_loss": loss}))
    return folder


@pytest.mark.parametrize(
    ("option", "step", "reported"),
    [
        ((), 2, "step 2 (validation loss 1.25), the best of 3"),
        (("--checkpoint", "latest"), 3, "step 3 (validation loss 1.5), the latest of 3"),
        (("--checkpoint", "1"), 1, "step 1 (no validation loss), one of 3"),
    ],
)
def test_the_checkpoint_of_a_run_is_chosen_and_reported(decode, measured, tmp_path, capsys, option, step, reported):
    assert decode("--prompt", "x", *option, "--out", "a.png", model=measured) == 0
    assert reported in capsys.readouterr().err
    assert read_about(tmp_path / "a.png")["model"] == str(checkpoint_folder(measured, step))


def test_a_checkpoint_that_is_not_there_is_refused(decode, measured, run, capsys):
    assert decode("--prompt", "x", "--checkpoint", "7", "--out", "a.png", model=measured) == 2
    assert "has no checkpoint of step 7; it has 1, 2, 3" in complaint(capsys)
    assert decode("--prompt", "x", "--checkpoint", "newest", "--out", "a.png") == 2
    assert "best, latest or a step" in complaint(capsys)
    assert decode("--prompt", "x", "--checkpoint", "1", "--out", "a.png", model=checkpoint_folder(run, 1)) == 2
    assert "not a run" in complaint(capsys)


def test_a_damaged_checkpoint_does_not_keep_another_from_being_opened(decode, measured, tmp_path):
    run = shutil.copytree(measured, tmp_path / "damaged")
    (checkpoint_folder(run, 3) / "state.json").write_text("{")
    assert decode("--prompt", "x", "--checkpoint", "1", "--out", "a.png", model=run) == 0
    assert read_about(tmp_path / "a.png")["model"] == str(checkpoint_folder(run, 1))


def test_without_validation_the_latest_checkpoint_is_taken(decode, run, capsys):
    assert decode("--prompt", "x", "--out", "a.png") == 0
    assert "step 1 (no validation loss), the latest of 1" in capsys.readouterr().err


def test_what_the_model_does_not_read_or_never_saw_is_said_once_per_prompt_and_kept_in_the_files(
    decode, tmp_path, capsys
):
    long = "a red circle above a large blue square above a green circle above a red square"
    given = ["--prompt", "a red circle", "--prompt", "a red cube", "--prompt", long]
    assert decode(*given, "--count", "2", "--out", "sheet.png") == 0
    said = capsys.readouterr().err
    assert said.count("'a red cube': the model never saw: 'cube'\n") == 1
    assert said.count("the model reads") == 1 and "of 16 words: 'a red circle" in said and "'a red circle':" not in said
    about = read_about(tmp_path / "sheet.png")
    assert about["prompt"].split("\n") == ["a red circle", "a red cube", long]
    assert [reading["remark"] != "" for reading in about["readings"]] == [False, True, True]
    assert about["readings"][1]["unseen"] == ["cube"] and long.startswith(about["readings"][2]["read"])
    assert decode("--prompt", "a red cube", "--out", "folder") == 0
    (file,) = (tmp_path / "folder").iterdir()
    assert read_about(file)["readings"] == about["readings"][1:2]


def test_parts_and_stops_paint_the_pictures_of_one_process(decode, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("dream.commands.decode.ROWS_AT_A_TIME", 2)
    (tmp_path / "prompts.txt").write_text("\n".join(f"a red circle {i}" for i in range(7)))
    listed = ("--prompts", "prompts.txt")
    assert decode(*listed, "--out", "one") == 0
    for part in ("3/3", "1/3"):
        assert decode(*listed, "--out", "parts", "--part", part) == 0
    assert len(list((tmp_path / "parts").iterdir())) == 5
    (tmp_path / "parts" / "0001-a-red-circle-1-c0.png").unlink()  # as if it was stopped there
    capsys.readouterr()
    assert decode(*listed, "--out", "parts", "--resume") == 0
    assert "painted 4 pictures; 3 were there already" in capsys.readouterr().err
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "parts").iterdir())
    for name in names:
        both = [np.asarray(Image.open(tmp_path / folder / name)) for folder in ("one", "parts")]
        assert np.array_equal(*both)
    assert decode(*listed, "--out", "parts", "--resume", "--seed", "1") == 2
    assert "was painted with another model, other settings" in complaint(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "x.png", "--resume"], "paint a folder"),
        (["--out", "x", "--part", "0/2"], "--part must be I/N"),
        (["--out", "x", "--resume", "--overwrite"], "--overwrite deletes what other processes have painted"),
    ],
)
def test_parts_of_anything_but_a_new_or_begun_folder_are_refused(decode, capsys, arguments, said):
    assert decode("--prompt", "a red circle", *arguments) == 2
    assert said in complaint(capsys)


def test_a_rank_of_a_launcher_paints_its_share(decode, tmp_path, monkeypatch):
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_WORLD_SIZE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("dream.commands.decode.ROWS_AT_A_TIME", 1)
    assert decode("--prompt", "a", "--prompt", "b", "--out", "ranks") == 0
    assert [file.name for file in (tmp_path / "ranks").iterdir()] == ["0001-b-c0.png"]
