"""Checkpoints with a file per rank read as whole ones do, everywhere, and every way to be damaged is one sentence."""

import json
from pathlib import Path

import pytest
import torch

from dream.__main__ import main
from dream.data.text import train_tokenizer
from dream.decoding.pictures import read_about
from dream.errors import InputError
from dream.pretrained import load_pretrained, pick_checkpoint
from dream.publishing.export import export
from dream.training import checkpoint as ckpt
from tests.dream.training.parts_small import joined, split_checkpoint
from tests.dream.training.test_checkpoint import config, tokenizer, write  # noqa: F401
from tests.dream.training.training_small import spoil
from workbench.checkpoints.files import open_checkpoint
from workbench.checkpoints.finder import find_checkpoints
from workbench.checkpoints.reader import Reader

GROUPS = ("model", "ema", "optimizer")


@pytest.fixture
def both(tmp_path, config, tokenizer):  # noqa: F811
    """The same checkpoint as one file per group, and as three."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        write(run, config, tokenizer, 1)
        write(run, config, tokenizer, 2)
        (run / "config.json").write_text(json.dumps({"config": config.to_dict()}))
    return ckpt.latest_checkpoint(whole), split_checkpoint(ckpt.latest_checkpoint(parts))


def test_tensors_come_back_to_the_bit_whatever_the_number_of_files(both):
    whole, parts = both
    for name in GROUPS:
        there, here = ckpt.read_tensors(whole, name), ckpt.read_tensors(parts, name)
        assert there.keys() == here.keys() == joined(parts, name).keys()
        assert all(torch.equal(here[key], there[key]) and here[key].dtype == there[key].dtype for key in there)
    assert ckpt.read_state(parts) == ckpt.read_state(whole)
    assert ckpt.holds(parts, "ema") and not ckpt.holds(parts, "untrained")


def test_it_opens_as_a_model_and_exports_to_one_file(both, tmp_path):
    parts = both[1]
    for ema in (True, False):
        one, other = (load_pretrained(folder, ema=ema).model.state_dict() for folder in both)
        assert all(torch.equal(one[key], other[key]) for key in one)
    run = parts.parents[1]
    assert load_pretrained(run).path == pick_checkpoint(run, "latest") == parts
    outs = [tmp_path / "a", tmp_path / "b"]
    for folder, out in zip(both, outs, strict=True):
        (folder.parents[1] / "metrics.jsonl").write_text("")
        export(folder, out, torch.float16)
    one, other = ((out / "model.safetensors").read_bytes() for out in outs)
    assert one == other


def test_decode_paints_from_it(both, tmp_path):
    out = tmp_path / "sheet.png"
    assert main(["decode", "--model", str(both[1].parents[1]), "--prompt", "a red circle", "--out", str(out)]) == 0
    assert read_about(out)["model_id"] == ckpt.weights_id(both[1], "ema") != ckpt.weights_id(both[1], "model")


def test_the_checkpoints_page_shows_its_parts_and_reads_any_piece(both):
    whole, parts = (open_checkpoint(folder) for folder in both)
    assert parts.paintable and parts.raw and parts.facts["written by"] == "3 ranks, a file each"
    assert [part.name for part in parts.parts] == [part.name for part in whole.parts]
    with Reader() as reader:
        for ours, theirs in zip(parts.parts, whole.parts, strict=True):
            assert (ours.count, ours.bytes) == (theirs.count, theirs.bytes)
            for entry in ours.entries:
                other = theirs.entry(entry.name)
                assert other is not None and entry.shape == other.shape
                third = entry.count // 3
                for start, stop in ((0, entry.count), (third, 2 * third + 1), (entry.count - 1, entry.count)):
                    assert torch.equal(reader.piece(entry, start, stop), reader.piece(other, start, stop))
    assert {found.path for found in find_checkpoints(both[1].parents[1])} >= {both[1]}


DAMAGES = {
    "flipped": "bytes are not those",
    "short": "bytes are not those",
    "gone": "is missing",
    "added": "no rank has written",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", GROUPS)
def test_a_damaged_file_is_named_with_the_checkpoint_before(both, name, damage):
    _, folder = both
    path = folder / name / "shard-00002-model-00001-of-00001.safetensors"
    spoil(path, damage)
    if damage == "added":
        path.with_name("shard-00009-model-00001-of-00001.safetensors").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=rf"{name}.*{DAMAGES[damage]}.*step-00000001") as error:
        ckpt.read_tensors(folder, name)
    assert "\n" not in str(error.value)


def test_rows_that_do_not_fit_are_refused_by_the_page(both):
    path = both[1] / "model" / "shard-00001-model-00001-of-00001.safetensors"
    content = path.read_bytes()
    for wrong in (b"[0, 1]", b"[9, 0]", b'["", 0]'):
        path.write_bytes(content.replace(b"[0, 0]", wrong))
        with pytest.raises(InputError, match="is damaged"):
            open_checkpoint(both[1])


def test_weights_that_are_no_numbers_are_refused_by_name(both, tmp_path):
    _, folder = both
    tensors = {name: ckpt.read_tensors(folder, name) for name in GROUPS}
    first = next(key for key, tensor in tensors["ema"].items() if tensor.ndim > 1)
    tensors["ema"][first].view(-1)[0] = torch.nan
    made = ckpt.checkpoint_folder(folder.parents[1], 3)
    ckpt.write_checkpoint(made, ckpt.read_state(folder), tensors, train_tokenizer(["a red circle"], 300, 16))
    split_checkpoint(made)
    with pytest.raises(InputError, match=rf"not all numbers.*'{first}'.*step-00000002 instead"):
        ckpt.read_tensors(made, "ema")


def test_it_holds_safetensors_and_json_only(both):
    assert {Path(path).suffix for path in both[1].rglob("*") if path.is_file()} == {".safetensors", ".json"}
