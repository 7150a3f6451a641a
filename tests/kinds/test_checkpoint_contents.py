"""What files of weights hold besides tensors, and how they are incomplete: one row per kind."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import json
import logging
import os
import pathlib
import pickle
import re
import subprocess
import types
import zipfile
import zoneinfo

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dream.errors import InputError
from dream.weights.reading import read_weights
from workbench.checkpoints.files import open_checkpoint
from workbench.checkpoints.reader import Reader

WEIGHTS = {"encoder.weight": torch.arange(6.0).reshape(2, 3)}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"


class Colour(enum.Enum):
    RED = 1


class Settings(dict):
    """As yacs' CfgNode or Lightning's AttributeDict: a dict of its own class."""


class Names(list):
    """A list of its own class."""


@dataclasses.dataclass
class Recipe:
    rate: float = 0.1


Pair = collections.namedtuple("Pair", "x y")


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HARMLESS = {
    "numpy float": (np.float64(0.5), "0.5"),
    "numpy whole number": (np.int64(4), "4"),
    "numpy flag": (np.bool_(True), "True"),
    "numpy half": (np.float16(2), "2.0"),
    "numpy text": (np.str_("hi"), "hi"),
    "numpy array of texts": (np.array(["a"]), "a NumPy array of a type that torch does not have, not read"),
    "numpy array of objects": (np.array([None], dtype=object), "a NumPy array of a type that torch does not have"),
    "numpy generator": (np.random.default_rng(0), "numpy.random"),
    "path": (pathlib.PurePosixPath("/a/b"), "/a/b"),
    "path here": (pathlib.Path("/a/b"), str(pathlib.Path("/a/b"))),
    "Windows path": (pathlib.PureWindowsPath("C:\\x"), "C:\\x"),
    "defaultdict": (collections.defaultdict(list, {"k": [1]}), "1"),
    "defaultdict of numbers": (collections.defaultdict(float, {"k": 1.5}), "1.5"),
    "ordered dict": (collections.OrderedDict(k=1), "1"),
    "counter": (collections.Counter("a"), "1"),
    "deque": (collections.deque([7], maxlen=3), "7"),
    "namespace": (argparse.Namespace(rate=0.1), "0.1"),
    "simple namespace": (types.SimpleNamespace(rate=0.1), "0.1"),
    "date and time": (datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), "2020-01-01 00:00:00+00:00"),
    "date and time in a zone": (
        datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        "2020-01-01 00:00:00 UTC",
    ),
    "time of a day": (datetime.time(13, 5), "13:05:00"),
    "zone": (zoneinfo.ZoneInfo("UTC"), "UTC"),
    "pattern": (re.compile("a+"), "re._compile('a+', 32), not read"),
    "logger": (logging.getLogger("a"), "logging.getLogger('a'), not read"),
    "activation": (torch.relu, "Unread('relu'), not read"),
    "type of nothing": (type(None), "builtins.type"),
    "masked array": (np.ma.masked_array([1.0, 2.0], [0, 1]), "numpy.ma"),
    "duration": (datetime.timedelta(3), "3 days"),
    "torch size": (torch.Size([1, 2]), "(1, 2)"),
    "torch dtype": (torch.float16, "torch.float16"),
    "torch device": (torch.device("cpu"), "cpu"),
    "set": (frozenset({5}), "5"),
    "range": (range(3), "0 3 1"),
    "decimal": (decimal.Decimal("1.5"), "1.5"),
    "complex": (1j, "1j"),
    "enum": (Colour.RED, "Colour(1), not read"),
    "dict of its own class": (Settings(rate=0.1), "0.1"),
    "list of its own class": (Names(["n"]), "n"),
    "dataclass": (Recipe(), "Recipe(), not read"),
    "namedtuple": (Pair(1, 2), "Pair(1, 2), not read"),
    "optimizer": (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1), "SGD(), not read"),
    "empty bytes and a name": ([b"", "n"], "n"),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_values_that_run_nothing_open_and_are_shown(tmp_path, kind):
    value, shown = HARMLESS[kind]
    torch.save({"model": WEIGHTS, "extra": value}, tmp_path / "a.pth")
    found = open_checkpoint(tmp_path / "a.pth")
    assert [entry.name for entry in found.part("model").entries] == ["encoder.weight"]
    assert any(text.startswith(shown) or shown in text for name, text in found.facts.items() if "extra" in name)


ARRAYS = {
    "floats": np.arange(6.0).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "empty": np.zeros((0, 3)),
    "scalar": np.array(3.0),
    "flags": np.array([True, False]),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_numpy_arrays_are_tensors_with_their_values(tmp_path, kind):
    torch.save({"model": WEIGHTS, "mean": {"a": ARRAYS[kind]}}, tmp_path / "a.pth")
    entry = open_checkpoint(tmp_path / "a.pth").part("mean").entries[0]
    with Reader() as reader:
        values = reader.piece(entry, 0, entry.count).reshape(entry.shape).numpy()
    assert np.array_equal(values, ARRAYS[kind])


def test_a_pickled_module_shows_the_tensors_of_its_state_dict(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(module, tmp_path / "a.pth")
    names = {entry.name for entry in open_checkpoint(tmp_path / "a.pth").weights.entries}
    assert names == set(module.state_dict())


CODE = {
    "os.system": (os.system, "system"),
    "eval": (eval, "eval"),
    "open": (open, "open"),
    "a method": (pathlib.Path.touch, "a function that it looks up"),
    "Popen": (subprocess.Popen, "Popen"),
    "a function of torch": (torch.hub.load, "torch.hub.load"),
}


@pytest.mark.parametrize("kind", CODE)
def test_a_file_that_calls_a_function_is_refused_by_the_name_of_it(tmp_path, kind):
    function, name = CODE[kind]
    torch.save({"model": WEIGHTS, "extra": Calls(function, str(tmp_path / "harm"), "w")}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=f"would run code .*{name}"):
        open_checkpoint(tmp_path / "a.pth")
    assert not (tmp_path / "harm").exists()


def _changed(path, change):
    with zipfile.ZipFile(path) as old:
        records = {record.filename: old.read(record) for record in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name, content in records.items():
            new.writestr(name, change(content) if name.endswith("data.pkl") else content)


DAMAGES = {
    "cut in a number": lambda content: content[:-1] + b"J\x01",
    "cut at the end": lambda content: content[:-1],
    "empty": lambda content: b"",
    "noise": lambda content: bytes(range(256)),
    "a letter changed": lambda content: content.replace(b"FloatStorage", b"FloatStorbge"),
    "protocol 4": lambda content: pickle.dumps({"a": 1}, protocol=4),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_pickle_is_refused_in_a_sentence(tmp_path, kind):
    torch.save({"model": WEIGHTS}, tmp_path / "a.pth")
    _changed(tmp_path / "a.pth", DAMAGES[kind])
    with pytest.raises(InputError, match=r"a\.pth") as caught:
        open_checkpoint(tmp_path / "a.pth")
    assert "\n" not in str(caught.value)


def shards(folder, present, index=True, count=3):
    """Some of the files of a set of `count`, each with one tensor."""
    names = {n: f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)}
    for n in present:
        save_file({f"t{n}": torch.ones(n)}, folder / names[n])
    if index:
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {f"t{n}": name for n, name in names.items()}})
        )
    return folder


INCOMPLETE = {
    "the last": ((1, 2), True, ("model-00003-of-00003.safetensors", "t3")),
    "the first, without index": ((2, 3), False, ("model-00001-of-00003.safetensors",)),
    "two": ((2,), True, ("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors", "2 tensors")),
}


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_a_set_that_lacks_files_says_which_and_is_not_loaded(tmp_path, kind):
    present, index, words = INCOMPLETE[kind]
    shards(tmp_path, present, index)
    found = open_checkpoint(tmp_path)
    assert all(word in found.problems[0] and word in found.kind for word in words)
    with pytest.raises(InputError, match=words[0]):
        read_weights(tmp_path)


@pytest.mark.parametrize("index", [True, False])
def test_a_whole_set_opens_as_one_part(tmp_path, index):
    shards(tmp_path, (1, 2, 3), index)
    found = open_checkpoint(tmp_path)
    assert found.problems == () and [part.name for part in found.parts] == ["model"]
    assert set(read_weights(tmp_path)) == {"t1", "t2", "t3"}


def test_the_index_and_each_file_lead_to_the_set(tmp_path):
    shards(tmp_path, (1, 2, 3))
    index = tmp_path / "model.safetensors.index.json"
    assert {entry.name for entry in open_checkpoint(index).weights.entries} == {"t1", "t2", "t3"}
    one = tmp_path / "model-00002-of-00003.safetensors"
    assert "one of 3" in open_checkpoint(one).kind
    assert set(read_weights(one)) == set(read_weights(index)) == {"t1", "t2", "t3"}


def test_torch_files_in_shards_open_by_their_index(tmp_path):
    names = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    for n, name in enumerate(names):
        torch.save({f"a.t{n}": torch.ones(2)}, tmp_path / name)
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {f"a.t{n}": name for n, name in enumerate(names)}}))
    for path in (index, tmp_path):
        assert {entry.name for entry in open_checkpoint(path).weights.entries} == {"a.t0", "a.t1"}


INDEXES = {
    "no JSON": "{",
    "nested beyond reason": "[" * 100_000,
    "no map": "{}",
    "a list": "[]",
    "empty": '{"weight_map": {}}',
    "elsewhere": '{"weight_map": {"a": "../a.safetensors"}}',
    "a pointer": POINTER,
}


@pytest.mark.parametrize("kind", INDEXES)
def test_a_bad_index_is_refused_in_a_sentence(tmp_path, kind):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(INDEXES[kind])
    for reads in (open_checkpoint, read_weights):
        with pytest.raises(InputError, match="git-lfs" if kind == "a pointer" else r"index\.json"):
            reads(path)


def test_a_tensor_that_the_index_promises_and_no_file_holds_is_named(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors")
    index = tmp_path / "x.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "m.safetensors", "b": "m.safetensors"}}))
    assert "(b)" in open_checkpoint(index).problems[0]
    with pytest.raises(InputError, match=r"\(b\)"):
        read_weights(index)


@pytest.mark.parametrize("name", ["model.safetensors", "a.pth", "a.bin", "a.ckpt"])
def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InputError, match="git-lfs pointer"):
            open_checkpoint(path)
    with pytest.raises(InputError, match="git lfs pull"):
        read_weights(tmp_path / name)


def test_weights_that_are_not_numbers_are_not_read_but_can_be_inspected(tmp_path):
    save_file({"a.weight": torch.tensor([1.0, torch.nan])}, tmp_path / "a.safetensors")
    assert open_checkpoint(tmp_path / "a.safetensors").weights.count == 2
    with pytest.raises(InputError, match=r"a\.weight' 1 of 2"):
        read_weights(tmp_path / "a.safetensors")


def test_an_archive_whose_names_are_not_text_is_damaged(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(WEIGHTS, path)
    content = path.read_bytes()
    at = content.index(b"model/data.pkl") + len(b"model/")
    path.write_bytes(content[:at] + b"\xf4" + content[at + 1 :])
    with pytest.raises(InputError, match="is damaged"):
        read_weights(path)
