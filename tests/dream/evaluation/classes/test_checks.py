"""Sets on which an accuracy means nothing: refused by every task on classes, and never taken from older results."""

import json
from dataclasses import replace

import datasets
import numpy as np
import pytest

from dream.commands.evaluate import event_line
from dream.errors import InputError
from dream.evaluation.classes.class_names import class_names
from dream.evaluation.classes.few_shot import FewShotSettings
from dream.evaluation.classes.fine_tune import FineTuneSettings
from dream.evaluation.classes.knn import KnnSettings
from dream.evaluation.classes.layouts.checks import check_classes
from dream.evaluation.classes.probe import ProbeSettings
from dream.evaluation.classes.robustness import RobustnessSettings
from dream.evaluation.classes.shifted_sets import open_shifted
from dream.evaluation.classes.sources import labelled_chunks, readings_of
from dream.evaluation.classes.zero_shot import ZeroShotSettings
from dream.evaluation.events import ClassesRead, TaskAnswered, TaskCached, TaskSkipped
from dream.evaluation.results import read_results, write_results
from dream.evaluation.session import EvaluationRequest, evaluate
from dream.evaluation.tasks import TASKS
from dream.training import checkpoint
from dream.training.live_tensors import model_tensors
from tests.dream.evaluation.classes.labelled_small import write_class, write_set
from tests.dream.evaluation.evaluation_small import small_pretrained

SETTINGS = {
    "knn": KnnSettings(),
    "probe": ProbeSettings(form="logistic"),
    "zero_shot": ZeroShotSettings(mask_ratios=(0.0,)),
    "few_shot": FewShotSettings(episodes=4, ways=2, shots=1, queries=1),
    "fine_tune": FineTuneSettings(epochs=1),
    "robustness": RobustnessSettings(shifted=(".",)),
}
TWO = {"cat": "a", "dog": "b"}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def one_class(root):
    return write_set(root / "train", {"cat": "a"}, 3).parent


def one_class_in_both(root):
    write_set(root / "test", {"cat": "a", "dog": "b"}, 1)
    write_set(root / "train", {"cat": "a"}, 3)
    return root


def unknown_test_class(root):
    write_set(root / "train", TWO, 3)
    write_set(root / "test", {"cat": "a", "owl": "c"}, 1)
    return root


def no_test_pictures(root):
    write_set(root / "train", TWO, 3)
    (root / "test" / "cat").mkdir(parents=True)
    return root


def letters_of_classes(root):
    write_set(root / "birds", TWO, 3)
    return write_set(root / "fish", {"eel": "a", "ray": "b"}, 3).parent


def saved_set(names=None, **splits):
    """Makes a set that `datasets` wrote; `names` are those of its classes, or of each split's classes."""

    def made(root):
        tables = {}
        for split, labels in splits.items():
            of_split = names[split] if isinstance(names, dict) else names
            label = datasets.ClassLabel(names=of_split) if of_split else datasets.Value("string")
            pictures = [np.full((32, 32, 3), 9 * i % 256, np.uint8) for i in range(len(labels))]
            features = datasets.Features({"image": datasets.Image(), "label": label})
            tables[split] = datasets.Dataset.from_dict({"image": pictures, "label": labels}, features=features)
        datasets.DatasetDict(tables).save_to_disk(root / "saved")
        return root / "saved"

    return made


REFUSED = {
    "one class": (one_class, "nothing says of which class"),
    "one class to train on": (one_class_in_both, "training pictures of one class only"),
    "an unknown test class": (unknown_test_class, "test pictures of 1 class without any training picture"),
    "no test pictures": (no_test_pictures, "the split 'test' without any picture"),
    "classes of classes": (letters_of_classes, "only subfolders"),
    "a column of one class": (saved_set(train=["x"] * 9, test=["x"] * 3), "training pictures of one class only"),
    "hidden test labels": (saved_set(["no", "yes"], train=[0, 1, 1], test=[-1, -1]), "has no label in the column"),
    "other test labels": (saved_set(train=["x", "y"], test=["x", "z"]), "without any training picture"),
    "named in another order": (
        saved_set({"train": ["no", "yes"], "test": ["yes", "no"]}, train=[0, 1], test=[0, 1]),
        "name the classes of column 'label' differently",
    ),
    "other names": (
        saved_set({"train": ["no", "yes"], "test": ["a", "b", "c"]}, train=[0, 1], test=[0, 1]),
        "name the classes of column 'label' differently",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_task_on_classes_refuses_a_set_without_meaning(pretrained, tmp_path, name):
    make, message = REFUSED[name]
    data = str(make(tmp_path))
    for settings in SETTINGS.values():
        with pytest.raises(InputError, match=message):
            settings.measure(pretrained, data=data)


def test_all_tasks_on_classes_are_tried():
    assert SETTINGS.keys() == {name for name, task in TASKS.items() if "labels" in task.takes}


@pytest.mark.parametrize("seed", range(5))
def test_a_small_set_of_one_split_tests_all_its_classes(tmp_path, seed):
    source = str(saved_set(["no", "yes", "maybe"], train=[0, 1, 2, 1, 0, 2, 0, 1, 2, 0, 1, 2][seed:])(tmp_path))
    parts = [next(iter(labelled_chunks(source, 30, split=split))) for split in ("train", "test")]
    assert [sorted(set(part.labels.tolist())) for part in parts] == [[0, 1, 2], [0, 1, 2]]
    assert not set(parts[0].keys) & set(parts[1].keys)


def test_classes_that_are_only_trained_on_are_no_harm():
    check_classes("x", {"a": 2, "b": 2, "c": 9}, {"a": 1, "b": 1, "d": 0})


def test_fewer_training_pictures_than_classes_are_refused(tmp_path):
    source = str(write_set(tmp_path, {**TWO, "owl": "c"}, 5))
    with pytest.raises(InputError, match="2 training pictures are fewer than the 3 classes"):
        labelled_chunks(source, 30, split="train", limit=2)


# names


def test_classes_without_words_take_their_names_from_a_file_of_the_data(tmp_path):
    wnids = ("n01440764", "n01443537")
    with pytest.raises(InputError, match=r"2 of the 2 classes have no name in words.*zero_shot.names=FILE"):
        class_names(wnids, beside=tmp_path)
    (tmp_path / "words.txt").write_text("n01440764\ttench, Tinca tinca\n")
    with pytest.raises(InputError, match="no name in words"):
        class_names(wnids, beside=tmp_path)
    with open(tmp_path / "words.txt", "a") as file:
        file.write("n01443537\tgoldfish, Carassius auratus\nn00001740\tentity\n")
    assert class_names(wnids, beside=tmp_path) == ("tench", "goldfish")
    index = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}
    (tmp_path / "words.txt").write_text(json.dumps(index))
    assert (
        class_names(wnids, beside=tmp_path) == class_names(wnids, str(tmp_path / "words.txt")) == ("tench", "goldfish")
    )


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("n02085620-Chihuahua", "Chihuahua"),
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("cathedral/indoor", "cathedral indoor"),
        ("747-400", "747-400"),
        ("7", "7"),
    ],
)
def test_a_class_is_called_by_the_words_in_its_folders_name(folder, words):
    assert class_names([folder]) == (words,)


def test_long_numbers_are_no_words():
    with pytest.raises(InputError, match="43 of the 43 classes have no name in words"):
        class_names([f"{number:05d}" for number in range(43)])


def test_zero_shot_refuses_wnids(pretrained, tmp_path):
    source = write_set(tmp_path, {"n01440764": "a", "n01443537": "b"}, 4)
    with pytest.raises(InputError, match="no name in words"):
        SETTINGS["zero_shot"].measure(pretrained, data=str(source))


# results


@pytest.fixture
def request_for(tmp_path):
    """Makes a request for nearest neighbours on a folder."""
    pretrained = small_pretrained(None)
    tensors = model_tensors(pretrained.model)
    averages = {name: tensors[name] for name, _ in pretrained.model.named_parameters()}
    state = checkpoint.TrainingState(3, pretrained.config, "shapes", None)
    checkpoint.write_checkpoint(tmp_path / "m", state, {"model": tensors, "ema": averages}, pretrained.tokenizer)
    return lambda data: EvaluationRequest({"m": tmp_path / "m"}, [TASKS["knn"]], [str(data)], tmp_path / "out")


def test_results_of_another_reading_are_measured_again(request_for, tmp_path):
    request = request_for(write_set(tmp_path / "set", TWO, 5))
    assert any(isinstance(event, TaskAnswered) for event in evaluate(request))
    assert any(isinstance(event, TaskCached) for event in evaluate(request))
    path = request.out / "m.json"
    results = read_results(path)
    (entry,) = results.entries
    for reading in (None, {**entry.fingerprint["reading"][request.sources[0]], "classes": 3}):
        older = {key: value for key, value in entry.fingerprint.items() if key != "reading"}
        older |= {"reading": {request.sources[0]: reading}} if reading else {}
        write_results(request.out, replace(results, entries=(replace(entry, fingerprint=older),)))
        assert any(isinstance(event, TaskAnswered) for event in evaluate(request))


def test_an_older_result_on_a_refused_folder_is_not_taken(request_for, tmp_path):
    request = request_for(write_set(tmp_path / "set", TWO, 5))
    list(evaluate(request))
    results = read_results(request.out / "m.json")
    write_class(tmp_path / "set" / "cat" / "small", (0, 0, 0), 1)
    (refused,) = (event for event in evaluate(request) if isinstance(event, TaskSkipped))
    older = {key: value for key, value in refused.entry.fingerprint.items() if key != "reading"}
    wrong = replace(results.entries[0], fingerprint=older)
    write_results(request.out, replace(results, entries=(wrong,)))
    assert any(isinstance(event, TaskSkipped) for event in evaluate(request))


def test_the_command_says_how_a_folder_was_read(request_for, tmp_path):
    request = request_for(write_set(tmp_path / "set", TWO, 5))
    (read,) = (event for event in evaluate(request) if isinstance(event, ClassesRead))
    line = event_line(read)
    assert line.startswith(f"{tmp_path / 'set'}: class folders") and "2 classes, " in line and "test pictures" in line


def test_readings_of_collections_shapes_and_hub_sets(tmp_path):
    write_set(tmp_path / "pets", TWO, 5)
    (tmp_path / "dtd").mkdir()
    found = readings_of(f"few-shot-14:{tmp_path}")
    assert found["pets"]["classes"] == 2 and "no class folders" in found["dtd"]["refused"]
    assert readings_of("shapes") == {} and readings_of("hf:owner/name") == {"hf:owner/name": {"version": 1}}


# what is left after reading


def test_one_readable_class_is_refused(pretrained, tmp_path):
    write_set(tmp_path / "train", TWO, 3)
    write_set(tmp_path / "test", TWO, 2)
    for path in (tmp_path / "test" / "dog").iterdir():
        path.write_bytes(b"no picture")
    for task in ("knn", "probe", "zero_shot", "fine_tune"):
        with pytest.raises(InputError, match="all labelled pictures that can be read are of the class 'cat'"):
            SETTINGS[task].measure(pretrained, data=str(tmp_path))


def test_a_shifted_set_with_one_shared_class_is_refused(tmp_path):
    write_set(tmp_path, {"cat": "a", "fish": "c"}, 2)
    with pytest.raises(InputError, match="shares only the class 'cat' with the training set"):
        open_shifted(str(tmp_path), tuple(TWO), 30)
