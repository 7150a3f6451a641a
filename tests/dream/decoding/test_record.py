import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.previews import previews
from dream.decoding.record import About, load_record
from dream.decoding.record_writer import RecordWriter
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Given
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from tests.dream.decoding.replay import replay_difference

SETTINGS = {
    "plain": DecodeSettings(steps=6, seed=5),
    "once": DecodeSettings(steps=6, candidates=3, select_steps=(2,)),
    "every": DecodeSettings(steps=6, candidates=3, selection="every", select_steps=(2,)),
    "halving": DecodeSettings(steps=6, candidates=4, selection="halving", select_steps=(2, 4)),
    "none": DecodeSettings(steps=6, candidates=3, selection="none"),
    "skipping": DecodeSettings(steps=30, candidates=2, select_steps=(20,)),
}


@pytest.fixture(scope="module")
def pretrained():
    return small_pretrained()


def write(pretrained, path, settings, given=None, overwrite=False):
    """Paints into a record, two pictures a batch; returns the steps as (first, record, previews)."""
    steps, plan = [], PaintPlan(PROMPTS, settings, (4, 5, 6), 2)
    with RecordWriter(path, About.of(pretrained, plan), overwrite=overwrite) as writer:
        for first, record in paint_batches(pretrained, plan, given=given, scored="all"):
            shown = previews(pretrained.image_tokenizer, pretrained.config.image, record)
            writer.add(record, shown, first)
            steps.append((first, record, shown))
    return steps


@pytest.mark.parametrize("name", SETTINGS)
def test_every_state_of_a_decode_is_read_back(pretrained, tmp_path, name):
    steps = write(pretrained, tmp_path / "a.zarr", SETTINGS[name])
    stored = load_record(tmp_path / "a.zarr")
    assert stored.about.prompts == PROMPTS and stored.about.settings == SETTINGS[name]
    assert stored.steps == sorted({record.step for _, record, _ in steps})
    for first, record, shown in steps:
        for row, (picture, candidate) in enumerate(
            zip((record.picture + first).tolist(), record.candidate.tolist(), strict=True)
        ):
            expected = record.tokens[row].masked_fill(record.mask[row].unsqueeze(-1), torch.nan).numpy()
            np.testing.assert_array_equal(stored.tokens_at(record.step, picture, candidate), expected)
            np.testing.assert_array_equal(stored.mask[record.step, picture], record.mask[row].numpy())
            np.testing.assert_array_equal(stored.order[picture], record.order[row].numpy())
            np.testing.assert_array_equal(stored.previews[record.step, picture, candidate], shown[row].numpy())
            assert stored.kept[record.step, picture, candidate] == record.kept[row]
            if record.alignment is not None:
                assert stored.alignment[record.step, picture, candidate] == record.alignment[row]
    present = sum(len(record.picture) for _, record, _ in steps)
    assert stored.alive.sum() == present


@pytest.mark.parametrize("name", ["once", "every", "halving"])
def test_a_replay_is_the_same_to_the_bit(pretrained, tmp_path, name):
    write(pretrained, tmp_path / "a.zarr", SETTINGS[name])
    assert replay_difference(load_record(tmp_path / "a.zarr"), pretrained) == 0.0


def test_a_decode_from_a_given_picture_is_replayed_too(pretrained, tmp_path):
    picture = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    kept = torch.arange(16) % 3 == 0
    write(pretrained, tmp_path / "a.zarr", SETTINGS["once"], Given(pretrained.image_tokenizer.tokenize(picture), kept))
    stored = load_record(tmp_path / "a.zarr")
    given = stored.given()
    assert torch.equal(given.kept, kept)
    _, tokens = stored.finished(0)
    np.testing.assert_array_equal(
        tokens[0][kept.numpy()], pretrained.image_tokenizer.tokenize(picture)[0, kept].numpy()
    )
    assert replay_difference(stored, pretrained) == 0.0


def test_a_failed_decode_leaves_nothing_and_the_old_record_whole(pretrained, tmp_path):
    path, other = tmp_path / "a.zarr", replace(SETTINGS["plain"], seed=6)
    write(pretrained, path, SETTINGS["plain"])
    about = load_record(path).about
    for target in (path, tmp_path / "b.zarr"):
        writer = RecordWriter(target, replace(about, settings=other), overwrite=True)
        with pytest.raises(KeyboardInterrupt), writer:
            raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    assert load_record(path).about.settings.seed == 5


def test_an_existing_record_is_replaced_only_when_told(pretrained, tmp_path):
    path = tmp_path / "a.zarr"
    write(pretrained, path, SETTINGS["plain"])
    with pytest.raises(InputError, match="overwrite"):
        write(pretrained, path, SETTINGS["once"])
    write(pretrained, path, SETTINGS["once"], overwrite=True)
    assert load_record(path).about.settings == SETTINGS["once"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="not a record"):
        write(pretrained, tmp_path / "mine", SETTINGS["once"], overwrite=True)


def test_damage_is_found(pretrained, tmp_path):
    path = tmp_path / "a.zarr"
    write(pretrained, path, SETTINGS["plain"])
    chunk = max((path / "tokens").rglob("c/*/*/*/*"), key=lambda p: p.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0xFF
    chunk.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"):
        load_record(path)


def test_what_is_no_record_is_refused(tmp_path):
    import zarr

    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text("{")
    zarr.create_group(tmp_path / "other").attrs["format"] = "something else"
    for name in ("empty", "broken", "other", "missing"):
        with pytest.raises(InputError):
            load_record(tmp_path / name)


def test_decoding_to_pictures_needs_no_zarr():
    code = (
        "import sys; sys.modules['zarr'] = None; import dream.commands.decode, dream.decoding.decode, "
        "dream.decoding.gallery, dream.decoding.record"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("harm", ["missing", "cut", "flipped"])
def test_no_piece_of_a_record_can_be_harmed_unnoticed(pretrained, tmp_path, harm):
    path = tmp_path / "a.zarr"
    write(pretrained, path, SETTINGS["plain"])
    pieces = sorted(file for file in path.rglob("c/**/*") if file.is_file())
    assert len(pieces) > 10
    for piece in pieces:
        content = piece.read_bytes()
        if harm == "missing":
            piece.unlink()
        else:
            middle = len(content) // 2
            cut, flipped = content[:middle], content[:middle] + bytes([content[middle] ^ 8]) + content[middle + 1 :]
            piece.write_bytes(cut if harm == "cut" else flipped)
        with pytest.raises(InputError, match="damaged") as caught:
            _ = load_record(path).previews[:]
        assert str(path) in str(caught.value)
        piece.write_bytes(content)
    assert load_record(path).previews[:].any()
