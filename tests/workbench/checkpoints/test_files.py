"""Checkpoints of every kind open from their headers alone; each damaged one is refused in one sentence."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dream.errors import InputError
from tests.workbench.checkpoints.checkpoint_files import (
    packed_again,
    weights,
    write_header,
    write_pth,
    write_safetensors,
)
from workbench.checkpoints.files import open_checkpoint, path_stamp
from workbench.checkpoints.finder import find_checkpoints
from workbench.checkpoints.reader import Reader
from workbench.checkpoints.words import layer_of, shape_words, size_words

TYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def read(path: Path, part: str | None = None) -> dict[str, torch.Tensor]:
    """Every tensor of a part, through the reader."""
    found = open_checkpoint(path)
    entries = (found.part(part) if part else found.weights).entries
    with Reader() as reader:
        return {e.name: reader.piece(e, 0, e.count).clone().reshape(e.shape) for e in entries}


def test_the_header_tells_names_shapes_types_and_sizes_in_natural_order(tmp_path):
    found = open_checkpoint(write_safetensors(tmp_path / "a.safetensors"))
    assert [entry.name for entry in found.weights.entries] == [
        "encoder.blocks.0.attn.qkv.bias",
        "encoder.blocks.0.attn.qkv.weight",
        "encoder.blocks.2.mlp.weight",
        "encoder.blocks.10.mlp.weight",
        "encoder.positions",
        "logit_scale",
    ]
    entry = found.weights.entry("encoder.blocks.0.attn.qkv.weight")
    assert (entry.shape, entry.dtype, entry.bytes, entry.count) == ((12, 4), "float32", 192, 48)
    assert found.facts == {"format": "pt"} and found.optimizer is None and not found.paintable


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_values_of_every_type_are_read_as_they_were_written(tmp_path, kind, dtype):
    given = {"x": (torch.arange(24).reshape(4, 6) % 5).to(dtype), "empty": torch.zeros(0, 3).to(dtype)}
    path = tmp_path / f"a.{kind}"
    save_file(given, path) if kind == "safetensors" else torch.save(given, path)
    for name, tensor in read(path).items():
        assert tensor.dtype == dtype and torch.equal(tensor.double(), given[name].double())


def test_the_authors_file_has_parts_and_facts_and_no_code_is_run(tmp_path):
    found = open_checkpoint(write_pth(tmp_path / "a.pth"))
    assert [part.name for part in found.parts] == ["model", "model_ema", "optimizer"]
    assert found.weights.name == "model" and found.averaged.name == "model_ema"
    assert found.optimizer.name == "optimizer"
    assert found.facts["epoch"] == "7" and found.facts["args.name"] == "dream"
    averaged = read(tmp_path / "a.pth", "model_ema")
    for name, value in weights().items():
        assert torch.equal(averaged[f"module.{name}"], value * 2)


def test_transposed_and_sliced_tensors_of_a_torch_file_are_read_in_row_major_order(tmp_path):
    base = torch.arange(60.0).reshape(3, 4, 5)
    given = {"t.x": base.permute(2, 0, 1), "s.x": base[:, ::2], "c.x": base[:, :, 1]}
    torch.save(given, tmp_path / "a.pt")
    for name, tensor in read(tmp_path / "a.pt").items():
        assert torch.equal(tensor, given[name])
    found = open_checkpoint(tmp_path / "a.pt").weights.entry("t.x")
    with Reader() as reader:
        assert reader.piece(found, 7, 31).tolist() == given["t.x"].reshape(-1)[7:31].tolist()


def test_the_contents_decide_not_the_ending(tmp_path):
    write_safetensors(tmp_path / "a.safetensors").rename(tmp_path / "a.pth")
    write_pth(tmp_path / "b.pth").rename(tmp_path / "b.safetensors")
    assert open_checkpoint(tmp_path / "a.pth").kind == "safetensors file"
    (tmp_path / "b.safetensors").rename(tmp_path / "b.bin")
    assert open_checkpoint(tmp_path / "b.bin").kind == "torch file"


def test_a_folder_of_shards_is_one_part(tmp_path):
    for number, name in enumerate(("a.weight", "b.weight"), 1):
        save_file({name: torch.ones(2)}, tmp_path / f"model-{number:05d}-of-00002.safetensors")
    found = open_checkpoint(tmp_path)
    assert [part.name for part in found.parts] == ["model"] and len(found.weights.entries) == 2


class Harmful:
    """What a hostile pickle holds."""

    def __reduce__(self):
        return exec, ("open('harmed', 'w')",)


def damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that cannot be opened, with a word of the sentence."""
    good, pth = write_safetensors(folder / "good.safetensors"), write_pth(folder / "good.pth")
    files = {
        "missing": (folder / "nothing.pth", "there is no"),
        "empty": (folder / "empty.safetensors", "is empty"),
        "cut header": (folder / "cut.safetensors", "claims|not readable"),
        "cut data": (folder / "cut2.safetensors", "the file has"),
        "cut torch file": (folder / "cut.pth", "damaged"),
        "text": (folder / "text.txt", "not a checkpoint"),
        "text named so": (folder / "text.safetensors", "not readable"),
        "code": (folder / "code.pth", "would run code"),
        "plain pickle": (folder / "plain.pth", "before 1.6"),
        "another archive": (folder / "a.zip", "no data.pkl"),
        "no tensors": (folder / "none.pth", "holds no tensors"),
        "folder": (folder / "folder", "holds no checkpoint"),
        "wrong name": (folder / "wrong.safetensors", "rename it"),
        "gguf": (folder / "m.gguf", "GGUF"),
    }
    files["empty"][0].write_bytes(b"")
    files["cut header"][0].write_bytes(good.read_bytes()[:20])
    files["cut data"][0].write_bytes(good.read_bytes()[:-8])
    files["cut torch file"][0].write_bytes(pth.read_bytes()[:-500])
    files["text"][0].write_text("this is not a checkpoint")
    files["text named so"][0].write_text("this is not a checkpoint")
    torch.save({"model": {"x": torch.ones(2)}, "harm": Harmful()}, files["code"][0])
    files["plain pickle"][0].write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile(files["another archive"][0], "w") as archive:
        archive.writestr("a.txt", "b")
    torch.save({"epoch": 1}, files["no tensors"][0])
    files["folder"][0].mkdir()
    files["wrong name"][0].write_bytes(pth.read_bytes())
    files["gguf"][0].write_bytes(b"GGUF" + bytes(60))
    files["packed"] = (packed_again(pth, folder / "packed.pth"), "compressed archive")
    return files


BROKEN = (
    "missing",
    "empty",
    "cut header",
    "cut data",
    "cut torch file",
    "text",
    "text named so",
    "code",
    "plain pickle",
    "another archive",
    "no tensors",
    "folder",
    "wrong name",
    "gguf",
    "packed",
)


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_opened_is_refused_in_one_sentence(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    path, word = damaged(tmp_path)[what]
    with pytest.raises(InputError, match=word) as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not (tmp_path / "harmed").exists()


LIES = {
    "past the end": {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}},
    "shape and bytes differ": {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}},
    "negative": {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
    "backwards": {"a": {"dtype": "F32", "shape": [0], "data_offsets": [8, 4]}},
    "fractions": {"a": {"dtype": "F32", "shape": [0.5], "data_offsets": [0, 2]}},
    "overlap": {
        "a": {"dtype": "U8", "shape": [6], "data_offsets": [0, 6]},
        "b": {"dtype": "U8", "shape": [6], "data_offsets": [2, 8]},
    },
    "lacks the place": {"a": {"dtype": "F32", "shape": [1]}},
    "a list": [1, 2],
    "no tensors": {},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(tmp_path, lie):
    path = write_header(tmp_path / "a.safetensors", LIES[lie], bytes(8))
    with pytest.raises(InputError):
        open_checkpoint(path)


def test_a_torch_file_that_claims_more_values_than_it_holds_is_refused(tmp_path):
    torch.save({"a.b": torch.zeros(1).expand(10**6)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match="claims"):
        open_checkpoint(tmp_path / "a.pth")


def test_a_tree_that_multiplies_itself_is_refused(tmp_path):
    tree: list = [1.0]
    for _ in range(20):
        tree = [tree] * 10
    torch.save({"a": torch.ones(1), "b": tree}, tmp_path / "a.pth")
    with pytest.raises(InputError, match="more than"):
        open_checkpoint(tmp_path / "a.pth")


def test_values_of_an_unknown_type_are_listed_but_not_read(tmp_path):
    tree = {"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}
    entry = open_checkpoint(write_header(tmp_path / "a.safetensors", tree, bytes(2))).weights.entries[0]
    assert (entry.dtype, entry.readable, entry.shape) == ("F4", False, (4,))


def test_the_finder_lists_folders_and_files_newest_first_and_passes_others_over(tmp_path):
    write_safetensors(tmp_path / "a.safetensors")
    inner = tmp_path / "runs" / "one" / "checkpoints" / "step-00000001"
    inner.mkdir(parents=True)
    write_safetensors(inner / "model.safetensors")
    (inner / "state.json").write_text("{}")
    write_pth(tmp_path / "real.bin")
    (tmp_path / "other.bin").write_bytes(b"nothing")
    (tmp_path / ".venv").mkdir()
    write_safetensors(tmp_path / ".venv" / "hidden.safetensors")
    found = {one.path.relative_to(tmp_path).as_posix() for one in find_checkpoints(tmp_path)}
    assert found == {"a.safetensors", "runs/one/checkpoints/step-00000001", "real.bin"}
    changed = [one.changed for one in find_checkpoints(tmp_path)]
    assert changed == sorted(changed, reverse=True)


def test_the_stamp_changes_with_the_file(tmp_path):
    path = write_safetensors(tmp_path / "a.safetensors")
    before = path_stamp(path), path_stamp(tmp_path)
    write_safetensors(path, {"x": torch.ones(3)})
    assert path_stamp(path) != before[0] and path_stamp(tmp_path) != before[1]
    assert open_checkpoint(path).weights.stamp == open_checkpoint(path).weights.stamp


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("encoder.blocks.3.attn.qkv.weight", "encoder.blocks.3"),
        ("joint.bn1.bias", "joint.bn1"),
        ("logit_scale", "logit_scale"),
        ("encoder.embed.weight/exp_avg", "encoder.embed"),
    ],
)
def test_a_layer_is_the_name_up_to_its_first_number(name, layer):
    assert layer_of(name) == layer


def test_sizes_and_shapes_read_well():
    assert size_words(11_621_556) == "11.6 MB" and size_words(12) == "12 B"
    assert shape_words((480, 160)) == "480 × 160" and shape_words(()) == "scalar"
