"""Distillation: the student learns its teacher's trajectories, resumes to the bit, and is an ordinary model."""

import json
from dataclasses import replace

import pytest
import torch

from dream.__main__ import main
from dream.decoding.paint import paint
from dream.decoding.settings import DecodeSettings
from dream.decoding.solvers import denoise, flow_grid
from dream.distilling import run as loop
from dream.distilling.student import FewSteps, build_student, student_config
from dream.distilling.teacher import Conditions, HeadTeacher
from dream.model.pretrained import Pretrained
from dream.pretrained import load_pretrained
from dream.randomness import generator
from dream.training import checkpoint
from tests.dream.decoding.decode_fakes import save_run
from tests.dream.decoding.decode_fakes import small_pretrained as bare_model
from tests.dream.evaluation.evaluation_small import small_pretrained


def teacher_of(pretrained: Pretrained, **changes) -> HeadTeacher:
    return HeadTeacher(pretrained, DecodeSettings.of(pretrained.config.decode, **changes))


def given_for(pretrained, guided=True, rows=12):
    draws = generator("test distilling")
    halves = 2 if guided else 1
    condition = torch.randn(halves, rows, pretrained.config.decoder.width, generator=draws)
    start = torch.randn(rows, pretrained.config.image.token_dim, generator=draws)
    return Conditions(condition, torch.full((rows, 1), 2.0)), start


@pytest.mark.parametrize("guided", [True, False])
def test_a_flow_teachers_trajectory_is_its_own_decode(guided):
    pretrained = bare_model("flow")
    given, start = given_for(pretrained, guided)
    states = teacher_of(pretrained).trajectories(given, start, 2, 8)
    head = pretrained.model.head
    projected = [head.project(half) for half in given.condition]

    def predict(noised, time):
        clean = [head.predict(noised, head.embed_times(time), half) for half in projected]
        return clean[0] if not guided else clean[1] + 2.0 * (clean[0] - clean[1])

    config = replace(pretrained.config.head, sampling_steps=8)
    assert states.shape[0] == 3 and torch.equal(states[0], start)
    torch.testing.assert_close(states[-1], denoise(config, predict, start[None]), atol=1e-4, rtol=1e-4)


def test_a_noise_teachers_trajectory_is_that_of_an_exact_gaussian_head():
    pretrained = bare_model("noise")
    levels_mean, spread = 0.3, 0.5
    teacher = teacher_of(pretrained)
    width = pretrained.config.image.token_dim

    class ExactHead(torch.nn.Module):
        def project(self, condition):
            return condition

        def embed_times(self, times):
            return times

        def predict(self, noised, time, projected):
            from dream.diffusion import noise_schedule

            whole = noise_schedule(1000).alphas_cumprod
            low = whole[int(time)]
            level = low + (float(time) - int(time)) * (whole[min(999, int(time) + 1)] - low)
            marginal = level * spread**2 + 1 - level
            noise = (1 - level).sqrt() * (noised - level.sqrt() * levels_mean) / marginal
            return torch.cat([noise, torch.zeros_like(noise)], dim=-1).float()

    pretrained.model.head = ExactHead()
    given = Conditions(torch.zeros(1, 9, 1), torch.ones(9, 1))
    start = torch.linspace(-2, 2, 9).unsqueeze(1).expand(-1, width)
    end = teacher.trajectories(given, start, 4, 200)[-1]
    torch.testing.assert_close(end, levels_mean + spread * start, atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", ["flow", "noise"])
def test_a_student_has_its_teachers_weights_and_few_flow_steps(kind):
    pretrained = bare_model(kind)
    config = student_config(pretrained.config, 2, folded=True)
    assert (config.head.objective, config.head.sampling_steps, config.decode.guidance_scale) == ("flow", 2, 1.0)
    kept = student_config(pretrained.config, 2, folded=False).decode
    assert kept.guidance_scale == pretrained.config.decode.guidance_scale
    student, weights = build_student(pretrained, config), pretrained.model.state_dict()
    equal = [
        torch.equal(tensor, weights[name]) for name, tensor in student.state_dict().items() if "head.out" not in name
    ]
    assert all(equal)


def test_a_head_that_is_its_teacher_has_no_loss_and_its_ends_are_a_decode():
    """With as many steps as the teacher takes and no guidance, the student is right from the start."""
    pretrained = bare_model("flow")
    given, start = given_for(pretrained, guided=False)
    states = teacher_of(pretrained).trajectories(given, start, 4, 4)
    few = FewSteps(pretrained.model.head, 4)
    assert float(few(given, states).detach()) < 1e-8
    torch.testing.assert_close(few.ends(given, start), states[-1], atol=1e-5, rtol=1e-5)
    assert few.grid == flow_grid(4).tolist()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pretrained = small_pretrained(tmp_path_factory.mktemp("run"))
    return save_run(pretrained, tmp_path_factory.mktemp("saved") / "teacher")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(loop, "PICTURES", 16)
    monkeypatch.setattr(loop, "ROWS", 128)
    monkeypatch.setattr(loop, "BATCH", 32)
    monkeypatch.setattr(loop, "PASSES", 2)
    monkeypatch.setattr(loop, "STEPS_PER_ROUND", 8)


def distilled(model, out, *options):
    return main(["distil", "--model", str(model), "--out", str(out), "--data", "shapes", "--device", "cpu", *options])


def test_the_result_is_an_ordinary_model_that_paints_in_few_steps_and_says_what_it_is(model, small, tmp_path, capsys):
    assert distilled(model, tmp_path / "few", "--sampling-steps", "2", "--steps", "24") == 0
    assert "wrote" in capsys.readouterr().out
    result, teacher = load_pretrained(tmp_path / "few"), load_pretrained(model)
    assert result.config.head.sampling_steps == 2 and result.step == 24
    about = json.loads((tmp_path / "few" / loop.ABOUT).read_text())
    assert about["teacher_id"] == teacher.model_id and about["sampling_steps"] == 2 and about["folded"]
    assert about["error"] != about["error_at_start"] and about["round"] == about["rounds"] == 3
    for name, tensor in result.model.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(tensor, teacher.model.state_dict()[name]), name
    settings = DecodeSettings.of(result.config.decode, steps=3)
    assert not settings.guided and paint(result, ["a red circle"], settings).shape[0] == 1
    assert main(["decode", "--model", str(tmp_path / "few"), "--prompt", "x", "--out", str(tmp_path / "a.png")]) == 0


def test_it_comes_nearer_to_its_teacher(model, small, tmp_path):
    assert distilled(model, tmp_path / "few", "--steps", "160", "--lr", "0.01") == 0
    about = json.loads((tmp_path / "few" / loop.ABOUT).read_text())
    assert about["error"] < about["error_at_start"]


def test_a_resumed_distillation_equals_one_that_never_stopped(model, small, tmp_path, monkeypatch):
    assert distilled(model, tmp_path / "whole", "--steps", "32", "--seed", "3") == 0
    learn, asked = loop.Distillation.learn, []

    def stopped(run, batch):
        loss = learn(run, batch)
        asked.append(run.round)
        if len(asked) == 2:
            import signal

            signal.raise_signal(signal.SIGTERM)
        return loss

    monkeypatch.setattr(loop.Distillation, "learn", stopped)
    distilled(model, tmp_path / "parts", "--steps", "32", "--seed", "3")
    assert json.loads((tmp_path / "parts" / loop.ABOUT).read_text())["round"] == 2
    assert distilled(model, tmp_path / "parts", "--seed", "3", "--resume") == 0
    assert asked == [1, 2, 3, 4]
    whole, parts = (checkpoint.read_tensors(tmp_path / name, "model") for name in ("whole", "parts"))
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sampling-steps", "0"], "--sampling-steps must be at least 1"),
        (["--sampling-steps", "40"], "at most 16"),
        (["--sampling-steps", "4", "--teacher-steps", "2"], "--teacher-steps must be at least"),
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--minutes", "inf"], "--minutes must be above 0"),
        (["--teacher-steps", "1000000"], "at most 1000"),
        (["--minutes", "1", "--steps", "3"], "not both"),
        (["--lr", "2"], "--lr must be in (0, 1)"),
        (["--resume"], "no distillation to resume"),
    ],
)
def test_bad_input_is_one_sentence(model, tmp_path, capsys, options, words):
    assert distilled(model, tmp_path / "few", *options) == 2
    assert words in capsys.readouterr().err


def test_what_is_there_is_not_overwritten_and_another_distillation_not_resumed(model, small, tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    assert distilled(model, tmp_path / "notes") == 2
    assert distilled(model, tmp_path / "notes", "--overwrite") == 2
    assert "is not a model" in capsys.readouterr().err
    assert distilled(model, tmp_path / "few", "--steps", "8") == 0
    assert distilled(model, tmp_path / "few", "--steps", "8") == 2
    assert distilled(model, tmp_path / "few", "--resume", "--sampling-steps", "3") == 2
    assert "same settings" in capsys.readouterr().err
    (tmp_path / "few" / loop.ABOUT).write_text("{}")
    assert distilled(model, tmp_path / "few", "--resume") == 2
