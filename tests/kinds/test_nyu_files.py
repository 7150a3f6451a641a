"""Kinds of files that may stand for NYUv2's labelled .mat: one row per kind, read or refused in a sentence.

A new kind is one more row: its name, the function that writes it into an empty folder and returns what `--data` gets,
and for a refusal a pattern of the sentence.
"""

import numpy as np
import pytest

from dream import presets
from dream.commands.data import add_arguments, run
from dream.errors import InputError
from dream.evaluation.dense.depth_protocol import every_depth
from dream.evaluation.dense.nyu_mat import find_mat, open_mat
from dream.evaluation.fingerprint import fingerprint
from dream.evaluation.tasks import TASKS, may_take

h5py = pytest.importorskip("h5py")
savemat = pytest.importorskip("scipy.io").savemat
COUNT, WIDTH, HEIGHT = 12, 32, 24
METRES = np.where(np.arange(WIDTH) < 16, 2.0, 5.0).astype(np.float32)[:, None].repeat(HEIGHT, 1)
IMAGES = np.zeros((COUNT, 3, WIDTH, HEIGHT), np.uint8)
DEPTHS = np.stack([METRES] * COUNT)


def labelled(path, *, user_block=0, images=IMAGES, depths=DEPTHS, compressed=False, **more):
    options = {"compression": "gzip", "chunks": True} if compressed else {}
    with h5py.File(path, "w", userblock_size=user_block) as file:
        for name, values in {"images": images, "depths": depths, **more}.items():
            if values is not None:
                file.create_dataset(name, data=values, **options)
        file.create_group("#refs#")
    if user_block:
        with open(path, "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    return path


def in_folder(*writers):
    """The folder itself, after each writer has put its file into it."""

    def write(folder):
        for writer in writers:
            writer(folder)
        return folder

    return write


def splits(name="splits.mat", test=(9, 12)):
    numbers = {"trainNdxs": np.arange(1, 9)[:, None], "testNdxs": np.array(test)[:, None]}
    return lambda folder: savemat(folder / name, numbers, appendmat=False)


def bytes_of(name, content):
    def write(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return write


def cut_short(folder):
    content = labelled(folder / "nyu.mat").read_bytes()
    (folder / "nyu.mat").write_bytes(content[: len(content) // 2])
    return folder / "nyu.mat"


def older(folder):
    savemat(folder / "nyu.mat", {"images": np.zeros((2, 2)), "accelData": np.zeros((3, 4))})
    return folder / "nyu.mat"


def nyu(name="nyu_depth_v2_labeled.mat", **options):
    return lambda folder: labelled(folder / name, **options)


READ = {
    "its usual name": nyu(),
    "another name": nyu("my depths.mat"),
    "capital letters": nyu("NYU.MAT"),
    "no ending": nyu("nyu"),
    "another ending": nyu("nyu.h5"),
    "MATLAB's header before the HDF5": nyu(user_block=512),
    "compressed": nyu(compressed=True),
    "depths in double precision": nyu(depths=DEPTHS.astype(np.float64)),
    "its folder": in_folder(nyu("renamed.mat")),
    "its folder, with splits": in_folder(nyu("renamed.mat"), splits()),
    "its folder, with splits in capitals": in_folder(nyu("renamed.mat"), splits("Splits.MAT")),
    "its folder, with other .mat files": in_folder(nyu(), lambda f: older(f), splits()),
    "its folder, with a hidden copy": in_folder(nyu(), nyu("._nyu.mat")),
    "its folder, with train and test": in_folder(nyu(), lambda f: (f / "train").mkdir()),
}
REFUSED = {
    "two of them": (in_folder(nyu("a.mat"), nyu("b.mat")), r"holds 2 MATLAB files \('a.mat', 'b.mat'\)"),
    "two others": (in_folder(bytes_of("a.mat", b""), bytes_of("b.mat", b"x")), r"'a.mat', 'b.mat'"),
    "an older format": (older, r"older version \(5 to 7\) with images \(2, 2\), accelData \(3, 4\)"),
    "an older format in a folder": (in_folder(older), r"nyu.mat' cannot be read .* older version"),
    "other fields": (nyu(images=None, depths=None, names=np.zeros(3)), r"expected images .*; it has names \(3,\)"),
    "no depths": (nyu(depths=None), r"expected images .*; it has images \(12, 3, 32, 24\)"),
    "depths of another size": (nyu(depths=DEPTHS[:, :5]), r"it has depths \(12, 5, 24\), images"),
    "pictures of another order": (
        nyu(images=IMAGES.transpose(0, 3, 2, 1)),
        r"it has depths .*images \(12, 24, 32, 3\)",
    ),
    "pictures of floats": (nyu(images=IMAGES.astype(np.float32)), "of 8 bits"),
    "no fields": (nyu(images=None, depths=None), "it has no fields"),
    "cut short": (cut_short, "damaged HDF5 file: .*truncated"),
    "empty": (bytes_of("nyu.mat", b""), "it is empty"),
    "no .mat at all": (bytes_of("nyu.mat", b"nothing of the kind" * 20), "neither HDF5 nor an older .mat"),
    "a pointer of git-lfs": (
        bytes_of("nyu.mat", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "git lfs pull",
    ),
    "splits that are none": (in_folder(nyu(), bytes_of("splits.mat", b"nothing")), "splits.mat' cannot be read"),
    "splits of other pictures": (in_folder(nyu(), splits(test=(900, 901))), "testNdxs .* names none of the 12"),
    "raw depths of another size": (nyu(rawDepths=DEPTHS[:3]), "no rawDepths of the size .*depth.values=raw"),
    "no raw depths": (nyu(), "no rawDepths"),
}


def opened(data, values="auto"):
    mat = open_mat(find_mat(data), values)
    return mat, [mat.pictures(split, 16, 0, 0, every_depth) for split in ("train", "test")]


@pytest.mark.parametrize("write", READ.values(), ids=READ.keys())
def test_nyus_file_is_read(write, tmp_path):
    data = write(tmp_path)
    mat, (train, test) = opened(data)
    images, depths = test.load(range(len(test)))
    assert len(train) + len(test) in (10, COUNT) and images.shape[1:] == (3, 16, 16)
    assert depths[:, :, 0].unique().tolist() == [2] and depths[:, :, -1].unique().tolist() == [5]
    assert (mat.conditions["split"] == "official") == (len(train) == 8)
    assert fingerprint(str(data), presets.tiny())["files"] >= 1


@pytest.mark.parametrize(("write", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_other_files_are_refused_in_a_sentence(write, sentence, tmp_path):
    data = write(tmp_path)
    with pytest.raises(InputError, match=sentence) as refused:
        opened(data, "raw" if "rawDepths" in sentence else "auto")
    assert "\n" not in str(refused.value)


def test_a_folder_of_pairs_is_no_mat(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "other.mat").write_bytes(b"")
    assert find_mat(tmp_path) is None and find_mat(tmp_path / "nothing") is None


def test_the_identity_changes_with_the_file_and_its_splits(tmp_path):
    data, config = nyu("x.mat")(tmp_path), presets.tiny()
    seen = [fingerprint(str(data), config)["hash"]]
    splits()(tmp_path)
    seen.append(fingerprint(str(data), config)["hash"])
    labelled(data, rawDepths=DEPTHS)
    seen.append(fingerprint(str(data), config)["hash"])
    assert len(set(seen)) == 3


def test_raw_depths_are_read_if_the_file_has_them(tmp_path):
    data = labelled(tmp_path / "x.mat", rawDepths=DEPTHS + 1)
    for values, named, left in (("auto", "raw", 3), ("raw", "raw", 3), ("inpainted", "inpainted", 2)):
        mat, (train, _) = opened(data, values)
        assert mat.conditions["depths"] == named and train.load([0])[1][0, 0, 0] == left


@pytest.mark.parametrize("name", ["x.mat", "X.MAT", "x"])
def test_as_captioned_pictures_it_is_refused_with_its_use(name, tmp_path):
    import argparse

    data = labelled(tmp_path / name)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(InputError, match="MATLAB file and has no captions; only the task depth .*--tasks depth"):
        run(parser.parse_args([str(data)]))


def test_all_tasks_of_a_mat_are_depth():
    for source in ("x.mat", "dir/X.MAT"):
        assert [name for name, task in TASKS.items() if may_take(task, source)] == ["depth"]
