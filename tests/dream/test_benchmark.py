import json
import re
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from dream.__main__ import main
from dream.benchmark import growth
from dream.benchmark.choices import choice_prices
from dream.benchmark.decoding import decode_split, random_model, selection_times, small_copy
from dream.benchmark.memory import decode_memory, peak_bytes
from dream.benchmark.timing import matmul_rate, rounds, step_by_step
from dream.benchmark.training import (
    RATIO_BINS,
    OurStep,
    PublishedStep,
    StepInputs,
    ratio_weights,
    training_times,
    with_dropout,
)
from dream.config import MaskingConfig
from dream.decoding import state
from dream.decoding.settings import DecodeSettings
from dream.evaluation.painted import front
from dream.masking import ratio_distribution
from dream.model.blocks import torch_dropout
from dream.model.dream import Dream
from dream.presets import base
from tests.dream.decoding.decode_fakes import small_config, small_model


def published_config():
    """The published kind of model, small enough to train in milliseconds."""
    config = small_config("noise")
    text = replace(config.text, conditioning="t5", conditioning_length=6, conditioning_width=10)
    towers = {"encoder": replace(config.encoder, dropout=0.0), "decoder": replace(config.decoder, dropout=0.0)}
    return replace(config, text=text, **towers)


def quiet(_):
    pass


def test_the_small_copy_keeps_tokens_and_text_and_scales_the_rest():
    config = small_copy(base(), 384, 6)
    assert config.image == base().image and config.masking == base().masking
    assert config.encoder.width == config.decoder.width == 384 and config.encoder.buffer_tokens == 64
    assert (config.encoder.depth, config.decoder.aligner_depth, config.text.depth) == (6, 3, 6)
    assert (config.head.width, config.text.width, config.joint.hidden) == (512, 256, 512)
    assert (config.text.context_length, config.text.conditioning_length, config.head.draws) == (77, 128, 4)
    with torch.device("meta"):
        small = sum(p.numel() for p in Dream(config).parameters())
    assert small < 329e6 / 4


def test_the_weights_of_the_ratios_are_the_schedules():
    weights = ratio_weights(base())
    assert sum(weights) == pytest.approx(1.0)
    # docs/method.md, Masking Warmup: 0.25 -> 0.75 of the draws generate, over three quarters of the training
    assert sum(weights[RATIO_BINS // 2 :]) == pytest.approx(0.5625, abs=0.01)
    constant = replace(base(), masking=MaskingConfig(schedule="constant", std=0.25, low=0.7))
    expected = ratio_distribution(0.0, constant.masking).cdf(0.75)
    assert ratio_weights(constant)[5] == pytest.approx(expected)


def test_the_published_training_step_has_our_losses_and_gradients():
    times = training_times(published_config(), batch=3, repeats=1, say=quiet)
    assert times.loss_difference < 1e-4
    assert times.gradient_difference < 1e-3
    assert min(times.ours, times.published, times.flop, times.matmul) > 0
    assert (times.batch, times.dropout, len(times.savings)) == (3, 0.1, 1)
    assert times.savings == (times.published / times.ours,)


def test_torch_has_its_own_dropout_for_the_published_step(monkeypatch):
    """The kernels that the published step runs, and ours does not."""
    calls = []
    plain = F.dropout
    monkeypatch.setattr(F, "dropout", lambda *args, **more: calls.append("torch") or plain(*args, **more))
    config = with_dropout(published_config(), 0.1)
    inputs = StepInputs.drawn(config, 2, 0.3)
    OurStep(random_model(config))(inputs)
    assert not calls
    PublishedStep(random_model(config))(inputs)
    assert calls and not torch_dropout.get()


def test_the_published_decode_has_our_result():
    model = small_model(small_config("noise"))
    times = selection_times(model, DecodeSettings(steps=8, sampling_steps=3), 1, quiet)
    assert times.largest_difference < 1e-4
    assert min(times.plain, times.ours, times.published) > 0


def test_every_byte_that_is_held_at_once_is_counted():
    def held():
        first = torch.ones(1000, 100)
        second = first + 1
        del first
        return second.double() * 2

    assert peak_bytes(held) == pytest.approx(1000 * 100 * (4 + 8 + 8), rel=0.01)


def test_eight_candidates_need_the_memory_of_the_published_decode(monkeypatch):
    monkeypatch.setattr(state, "SLICE_TOKENS", 1)
    model = random_model(small_copy(base(), 64, 2))
    memory = decode_memory(model, DecodeSettings(steps=16, sampling_steps=2))
    assert memory.ratio < 1.02 and memory.ratio_with_weights < 1.02
    assert memory.plain <= memory.ours and memory.weights == sum(4 * p.numel() for p in model.parameters())


def test_every_kind_of_choice_has_a_price():
    model = small_model(small_config("noise"))
    plain, prices = choice_prices(model, DecodeSettings(steps=8, sampling_steps=2), 4, 2, quiet)
    assert plain > 0 and [each.selection for each in prices] == ["once", "every", "halving"]
    assert [each.select_steps for each in prices] == [(1,), (1,), (1, 2)]
    assert all(each.price > 0 and len(each.ratios) == 2 for each in prices)


def test_the_parts_of_a_step_add_up_and_the_head_is_counted_whole():
    model = small_model(small_config("noise"))
    split = decode_split(model, DecodeSettings(steps=4, sampling_steps=8))
    assert set(split.seconds) == {"encoder", "decoder", "head", "rest"}
    assert all(seconds > 0 for seconds in split.seconds.values()) and split.steps == 4
    half = decode_split(model, DecodeSettings(steps=4, sampling_steps=4))
    assert split.flop["head"] == pytest.approx(2 * half.flop["head"])
    assert split.flop["decoder"] == half.flop["decoder"] > 0


def test_runs_take_turns_and_the_first_turn_is_not_counted():
    seen = []
    runs = {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}
    seconds = rounds(runs, 3)
    assert {name: len(each) for name, each in seconds.items()} == {"a": 3, "b": 3}
    assert seen == ["a", "b"] * 4


def test_iterators_take_turns_until_the_longest_ends():
    seen = []

    def run(name, length):
        for i in range(length):
            seen.append((name, i))
            yield i

    runs = {"a": run("a", 1), "b": run("b", 3)}
    seconds, last = step_by_step(runs)
    assert seen == [("a", 0), ("b", 0), ("b", 1), ("b", 2)]
    assert last == {"a": 0, "b": 2} and min(seconds.values()) > 0


def test_a_matrix_product_has_a_rate():
    assert matmul_rate(64, repeats=2) > 1e8


def test_bench_prints_targets_and_writes_figures(tmp_path, capsys):
    options = ("--width", "64", "--depth", "1", "--steps", "4", "--sampling-steps", "3", "--batch", "2")
    threads = torch.get_num_threads()
    try:
        command = ["bench", *options, "--repeats", "1", "--threads", "1", "--json", str(tmp_path / "a.json")]
        assert main(command) == 0
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr().out
    assert "target at least 1.6" in said and "target at least 2.3" in said and "target at most 1.4" in said
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["training"]["loss_difference"] < 1e-3
    assert {"matmul", "decode_step", "selection", "threads", "torch"} <= set(figures)


def test_bench_measures_choices_and_memory(tmp_path, capsys):
    options = ("--width", "64", "--depth", "1", "--steps", "8", "--sampling-steps", "2", "--repeats", "1")
    assert main(["bench", "--choices", *options, "--json", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().out
    assert "once" in said and "halving" in said and "target at most 1.3" in said and "target at most 1.0" in said
    figures = json.loads((tmp_path / "a.json").read_text())
    assert [each["selection"] for each in figures["choices"]] == ["once", "every", "halving"]
    assert figures["memory"]["published"] > 0


def test_bench_measures_a_small_preset_as_it_is(capsys):
    assert main(["bench", "--preset", "tiny", "--steps", "4", "--sampling-steps", "2", "--repeats", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("tiny:") and "published" in said and "training step" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--width", "100"], "64"),
        (["--repeats", "0"], "--repeats"),
        (["--preset", "bse"], "base"),
        (["--model", "runs/none"], "runs/none"),
        (["--steps", "1"], "--steps"),
        (["--json", "no/such/folder/a.json"], "no/such/folder"),
    ],
)
def test_bad_input_is_one_sentence(capsys, arguments, words):
    assert main(["bench", "--width", "64", "--depth", "1", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_front_of_a_model_says_which_settings_to_paint_with(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        front, "FrontSettings", partial(front.FrontSettings, count=12, steps=(3,), sampling_steps=(1, 2))
    )
    target = tmp_path / "front.json"
    assert main(["bench", "--front", "--model", "demo", "--json", str(target)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "denoising" in line]
    assert [line.split(":")[0].split() for line in lines] == [["3", "steps,", each, "denoising"] for each in "21"]
    assert sum("paint with these" in line for line in lines) == 1
    assert all(re.search(r"right [01]\.\d+ \[[01]\.", line) for line in lines), "shares have intervals"
    stored = json.loads(target.read_text(), parse_constant=pytest.fail)
    assert {row["where"]["sampling_steps"] for row in stored} == {1, 2}


def test_rows_of_a_front_that_choose_say_among_how_many(monkeypatch, capsys):
    small = partial(front.FrontSettings, count=12, steps=(3,), sampling_steps=(1,), candidates=2, published=True)
    monkeypatch.setattr(front, "FrontSettings", small)
    assert main(["bench", "--front", "--model", "demo"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "denoising" in line]
    assert "as published best of 2" in lines[0] and "denoising best of 2" in lines[1]


@pytest.mark.parametrize("words", [["--set", "front.count=12"], ["--also", "demo"], ["--data", "shapes"]])
def test_what_belongs_to_the_front_is_refused_without_it(words, capsys):
    assert main(["bench", "--model", "demo", *words]) == 2
    assert "are of --front" in capsys.readouterr().err


def test_growth_is_measured_on_every_axis(tmp_path, monkeypatch, capsys):
    small = {"GRIDS": (2, 4), "CANDIDATES": (2, 3), "PICTURES": (1, 2), "SAMPLES": (128, 256), "BATCH": 16}
    for name, value in (small | {"WIDTH": 64, "DEPTH": 1, "STEPS": 8, "DENOISING": 1}).items():
        monkeypatch.setattr(growth, name, value)
    assert main(["bench", "--growth", "--repeats", "1", "--json", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().out
    rows = json.loads((tmp_path / "a.json").read_text())
    assert [row["sizes"] for row in rows] == [[4, 16], [2, 3], [1, 2], [128, 256], [128, 256]]
    assert all(f"{row['axis']}: " in said and min(row["seconds"] + row["bytes"]) > 0 for row in rows)
    assert said.count("exponent") == 2 * len(rows)


def test_the_exponent_of_a_power_law_is_its_power():
    sizes = (64, 144, 256, 1024)
    assert growth.exponent(sizes, tuple(3.0 * size**1.5 for size in sizes)) == pytest.approx(1.5)
    assert growth.exponent(sizes, (2.0,) * 4) == pytest.approx(0)


def test_a_front_needs_a_model(capsys):
    assert main(["bench", "--front"]) == 2
    assert "give --model" in capsys.readouterr().err
