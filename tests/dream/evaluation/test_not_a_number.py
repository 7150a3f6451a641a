"""A model whose weights or features are not numbers is refused by every task, by name, and measures nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.data.drawn.shapes import ShapesSource
from dream.data.text import train_tokenizer
from dream.errors import InputError
from dream.evaluation.classes.accuracy import accuracy
from dream.evaluation.judging import judge as judging
from dream.evaluation.painted.frechet import frechet_estimate, inception_scores, overlap
from dream.evaluation.results import require_measured, results_path
from dream.evaluation.session import EvaluationRequest, evaluate
from dream.evaluation.statistics import Estimate, Measure
from dream.evaluation.tasks import TASKS
from dream.pretrained import load_pretrained
from dream.publishing.export import export
from dream.training.checkpoint import TrainingState, write_checkpoint
from dream.training.live_tensors import model_tensors
from dream.weights.finite import count_nonfinite, require_finite, require_lengths, require_unit
from tests.dream.evaluation.evaluation_small import small_config, small_pretrained

SMALL = {
    "losses": {"pictures": 8, "pool": 8, "mask_ratios": (0.5,)},
    "retrieval": {"pool": 4, "pools": 2, "mask_ratios": (0.0,)},
    "edits": {"count": 8, "mask_ratios": (0.0,)},
    "zero_shot": {"contexts": 2, "test_count": 16, "mask_ratios": (0.0,)},
    "knn": {"train_count": 32, "test_count": 16},
    "probe": {"train_count": 32, "test_count": 16, "least_steps": 2, "epochs": 1, "warmup_epochs": 0},
    "few_shot": {"episodes": 4, "per_class": 6},
    "fine_tune": {"train_count": 16, "test_count": 8, "epochs": 1, "batch_size": 8},
    "robustness": {"train_count": 32, "test_count": 8},
    "segmentation": {"pictures": 4, "test_pictures": 4, "epochs": 1},
    "depth": {"pictures": 4, "test_pictures": 4, "epochs": 1},
    "prompts": {"count": 4},
    "inpainting": {"pictures": 4, "kept": ("left",), "steps": 2},
    "generation": {"count": 8},
    "selection": {"count": 2, "candidates": 2},
    "front": {"count": 12, "steps": (2,), "sampling_steps": (1,)},
    "headroom": {"count": 2, "candidates": 2, "halves": 1},
    "choosing": {"count": 4, "candidates": 2, "scores": ("cosine", "preview"), "alternatives": 2},
    "judge": {"count": 10},
}


def settings_of(task):
    return replace(task.defaults(), **SMALL[task.name])


@pytest.fixture
def model(tmp_path):
    return small_pretrained(tmp_path)


def overflowing(pretrained):
    """The same model with finite weights whose features are not: the encoder's and the text tower's last norm."""
    for module in (pretrained.model.encoder.norm_out, pretrained.model.text_tower.norm_out):
        module.weight.data.fill_(3e38)
    return pretrained


@pytest.mark.parametrize("name", TASKS)
def test_every_task_refuses_a_model_with_one_value_that_is_not_a_number(model, name):
    weight = model.model.encoder.blocks[0].attn.qkv.weight.data
    weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=rf"'encoder\.blocks\.0\.attn\.qkv\.weight' 1 of {weight.numel():,}"):
        TASKS[name].measure(model, "shapes", settings_of(TASKS[name]))


@pytest.mark.parametrize("name", [name for name in TASKS if name != "judge"])
def test_every_task_that_uses_the_model_refuses_features_that_are_not_numbers(model, name):
    with pytest.raises(InputError, match=r"not all numbers|cannot be compared"):
        settings_of(TASKS[name]).measure(overflowing(model), "shapes")


@pytest.mark.parametrize("name", ["judge", "prompts", "selection", "headroom", "generation"])
def test_a_judge_that_is_not_a_number_is_refused(model, name, monkeypatch):
    broken = judging.Judge().eval()
    broken.features[0].weight.data[0] = torch.nan
    monkeypatch.setattr("dream.evaluation.judging.shapes_judge.load_judge", lambda: broken)
    with pytest.raises(InputError, match="the judge's .*not all numbers"):
        settings_of(TASKS[name]).measure(model, "shapes")


def stored(folder, change):
    """An exported checkpoint of the small model after `change`."""
    config = small_config()
    tokenizer = train_tokenizer(ShapesSource(config).captions(500), config.text.vocab_size, config.text.context_length)
    pretrained = small_pretrained(folder)
    change(pretrained)
    state = TrainingState(1, pretrained.config, "shapes", None)
    write_checkpoint(folder, state, {"model": model_tensors(pretrained.model)}, tokenizer)
    return folder


def nan_statistics(pretrained):
    """In a buffer, which no optimiser sees."""
    next(b for n, b in pretrained.model.named_buffers() if n.endswith("running_mean"))[0] = torch.nan


def test_opening_and_exporting_name_the_tensor_and_the_file(tmp_path):
    folder = stored(tmp_path / "m", nan_statistics)
    for opens in (load_pretrained, lambda path: export(path, tmp_path / "out", torch.float32)):
        with pytest.raises(InputError, match=r"m/model\.safetensors are not all numbers.*running_mean' 1 of"):
            opens(folder)
    assert not (tmp_path / "out").exists()


def test_an_export_that_overflows_in_its_type_is_refused(tmp_path):
    def large(pretrained):
        pretrained.model.encoder.norm_out.weight.data[0] = 1e6

    folder = stored(tmp_path / "m", large)
    with pytest.raises(InputError, match=r"as float16 are not all numbers.*encoder\.norm_out\.weight"):
        export(folder, tmp_path / "out", torch.float16)
    assert export(folder, tmp_path / "out", torch.bfloat16) > 0


def test_nothing_is_kept_of_a_refused_task(tmp_path):
    folder = stored(tmp_path / "m", overflowing)
    assignments = ("retrieval.pool=4", "retrieval.pools=1", "knn.train_count=16", "knn.test_count=8")
    request = EvaluationRequest(
        {"m": folder}, [TASKS["retrieval"], TASKS["knn"]], ["shapes"], tmp_path / "results", assignments
    )
    *_, first, second, _ = [e for e in evaluate(request) if type(e).__name__ != "TaskAtWork"]
    for ended in (first, second):
        assert ended.entry.measures == () and "features" in ended.entry.skipped
    assert '"measures": []' in results_path(tmp_path / "results", "m").read_text()


def measure(value, count=5, name="accuracy"):
    return Measure("probe", name, {"data": "shapes"}, Estimate(value, value, value, count))


def test_a_measure_is_a_number_or_says_that_there_was_nothing_to_measure():
    require_measured([measure(0.5), measure(np.nan, count=0), measure(np.nan, name="AUC")])
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match=r"'accuracy' of probe \(data shapes\) is -?(nan|inf)"):
            require_measured([measure(value)])


BAD = (np.nan, np.inf, 1e300)


@pytest.mark.parametrize("bad", BAD)
def test_distances_of_bad_features_are_refused(bad):
    good = np.random.default_rng(0).normal(size=(8, 3))
    worse = good.copy()
    worse[0, 0] = bad
    for pair in ((good, worse), (worse, good)):
        with pytest.raises(InputError, match="not all numbers"):
            frechet_estimate(*pair)
    if not np.isfinite(bad):
        with pytest.raises(InputError):
            overlap(good, worse)
        with pytest.raises(InputError):
            inception_scores(worse)


def test_logits_may_rule_a_class_out_but_must_be_numbers():
    logits = torch.tensor([[0.0, -torch.inf], [1.0, -torch.inf]])
    assert accuracy("probe", logits, torch.tensor([0, 0]), {})[0].estimate.value == 1
    for bad in (torch.nan, torch.inf):
        with pytest.raises(InputError, match="logits of 'probe'"):
            accuracy("probe", torch.tensor([[0.0, bad]]), torch.tensor([0]), {})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
def test_the_count_is_exact_whatever_sums_overflow(dtype):
    largest = torch.tensor(torch.finfo(dtype).max, dtype=torch.float64).expand(100).to(dtype)
    assert count_nonfinite(largest) == 0
    bad = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0]).to(dtype)
    assert count_nonfinite(bad) == 3 and count_nonfinite(bad[3:]) == 0
    assert count_nonfinite(torch.zeros(0)) == count_nonfinite(torch.tensor([2**62])) == 0


def test_vectors_that_overflow_made_zeros_of_are_refused_too():
    with pytest.raises(InputError, match="1 of 2 have no direction"):
        require_unit(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), "features")
    with pytest.raises(InputError, match="the lengths of features"):
        require_lengths(torch.full((1, 2), 1e30), "features")
    with pytest.raises(InputError, match="features are not all numbers: 1 of 2"):
        require_finite(np.array([np.nan, 1.0]), "features")
