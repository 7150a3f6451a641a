"""Solvers: they converge to the same ODE solution at their orders, and one step is the predicted clean token."""

from dataclasses import replace

import pytest
import torch

from dream.config import HeadConfig
from dream.decoding import solvers
from dream.decoding.context import TokenSampler
from dream.decoding.decode import decode
from dream.decoding.paint import encode_prompts, paint
from dream.decoding.settings import DecodeSettings
from dream.decoding.solvers import SOLVERS, Sampling, denoise, noise_draws, noise_level, predicted_clean
from dream.diffusion import noise_schedule
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from tests.dream.test_diffusion import gaussian_head, rng

MEAN, STD = 0.7, 0.5
LEVELS = noise_schedule(1000).alphas_cumprod
ORDERS = [("noise", "ddim", 1), ("noise", "dpm++", 2), ("flow", "euler", 1), ("flow", "heun", 2), ("flow", "dpm++", 2)]


def head_of(kind, steps=8):
    return HeadConfig(objective=kind, sampling_steps=steps)


def exact(kind, noise, start=999):
    """Where the ODE takes `noise`: it keeps quantiles, so a Gaussian's are known."""
    if kind == "flow":
        return MEAN + STD * noise
    level = LEVELS[start]
    return MEAN + STD * (noise - level.sqrt() * MEAN) / (level * STD**2 + 1 - level).sqrt()


def predictor(kind):
    """The exact head, in float64."""

    def double_noise(noised, time):
        level = LEVELS[time]
        marginal = level * STD**2 + 1 - level
        noise = (1 - level).sqrt() * (noised - level.sqrt() * MEAN) / marginal
        return torch.cat([noise, torch.zeros_like(noise)], dim=-1)

    return double_noise if kind == "noise" else gaussian_head(MEAN, STD)[1]


def errors(kind, solver, counts, **changes):
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64).view(1, -1, 1)
    sampling = Sampling(solver, **changes)
    found = [denoise(head_of(kind, count), predictor(kind), noise, sampling=sampling) for count in counts]
    return [float((each - exact(kind, noise[0])).abs().max()) for each in found]


@pytest.mark.parametrize(("kind", "solver", "order"), [each for each in ORDERS if each[1] != "dpm++"])
def test_a_solver_converges_to_the_solution_at_its_order(kind, solver, order):
    coarse, fine, finest = errors(kind, solver, (50, 100, 200))
    for larger, smaller in ((coarse, fine), (fine, finest)):
        assert 2 ** (order - 0.1) < larger / smaller < 2 ** (order + 0.1)


@pytest.mark.parametrize(("kind", "first_order"), [("noise", "ddim"), ("flow", "euler")])
def test_dpm_solver_converges_to_the_same_solution_faster(kind, first_order):
    """In evenly spaced times its order is 2 up to a logarithm: steps in the log-ratio are not small at the ends."""
    for own, other in zip(
        errors(kind, "dpm++", (50, 100, 200)), errors(kind, first_order, (50, 100, 200)), strict=True
    ):
        assert own < other / 4
    assert errors(kind, "dpm++", (400,))[0] < 5e-4


def test_dpm_solver_is_of_second_order_in_even_steps_of_the_log_ratio(monkeypatch):
    def levels(config, sampling):
        times = torch.linspace(-3, 3, config.sampling_steps + 1, dtype=torch.float64).sigmoid()
        return [solvers._Level(time, float(time), 1 - float(time)) for time in times]

    monkeypatch.setattr(solvers, "_levels", levels)
    start, end = torch.tensor([-3.0, 3.0], dtype=torch.float64).sigmoid()
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64).view(1, -1, 1)

    def spread(time):
        return (time**2 * STD**2 + (1 - time) ** 2).sqrt()

    wanted = end * MEAN + spread(end) / spread(start) * (noise[0] - start * MEAN)
    found = [
        denoise(head_of("flow", count), predictor("flow"), noise, sampling=Sampling("dpm++"))
        for count in (50, 100, 200)
    ]
    coarse, fine, finest = (float((each - wanted).abs().max()) for each in found)
    for larger, smaller in ((coarse, fine), (fine, finest)):
        assert larger / smaller == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_shifted_times_lead_to_the_same_end(shift):
    assert errors("flow", "heun", (200,), time_shift=shift)[0] < 1e-3


def test_a_smaller_start_time_starts_there():
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64).view(1, -1, 1)
    asked = []

    def predict(noised, time):
        asked.append(int(time))
        return predictor("noise")(noised, time)

    found = denoise(head_of("noise", 200), predict, noise, sampling=Sampling("dpm++", start_time=0.9))
    assert max(asked) == asked[0] == 899 and asked == sorted(asked, reverse=True)
    assert (found - exact("noise", noise[0], 899)).abs().max() < 2e-3


@pytest.mark.parametrize(("kind", "solver"), [(kind, solver) for kind, solver, _ in ORDERS])
def test_one_step_is_the_predicted_clean_token(kind, solver):
    noise = torch.randn(1, 5, 1, generator=rng(), dtype=torch.float64)
    time = torch.tensor(999) if kind == "noise" else torch.zeros(())
    alpha, sigma = (LEVELS[999].sqrt(), (1 - LEVELS[999]).sqrt()) if kind == "noise" else (0.0, 1.0)
    wanted = predicted_clean(head_of(kind), predictor(kind)(noise[0], time), noise[0], float(alpha), float(sigma))
    torch.testing.assert_close(denoise(head_of(kind, 1), predictor(kind), noise, sampling=Sampling(solver)), wanted)


def test_ddpm_with_one_step_per_training_step_draws_the_data():
    noise = torch.randn(noise_draws(head_of("noise", 400)), 4000, 1, generator=rng(), dtype=torch.float64)
    for start in (1.0, 0.95):
        found = denoise(head_of("noise", 400), predictor("noise"), noise, sampling=Sampling(start_time=start))
        assert found.mean().item() == pytest.approx(MEAN, abs=0.05)
        assert found.std().item() == pytest.approx(STD, rel=0.08)


def test_a_head_in_one_pass_is_asked_once():
    noise, asked = torch.randn(1, 5, 2, generator=rng()), []
    found = denoise(head_of("energy"), lambda noised, time: asked.append(float(time)) or 2 * noised, noise, 0.5)
    assert asked == [0.0] and torch.equal(found, noise[0])


@pytest.fixture(scope="module", params=["flow", "noise", "energy"])
def pretrained(request):
    return small_pretrained(request.param)


def settings(pretrained, **changes):
    return DecodeSettings(steps=5, guidance_scale=2.0, **changes)


def test_each_solver_paints_alike_for_equal_seeds_and_in_any_batch(pretrained):
    for solver in SOLVERS[pretrained.config.head.objective]:
        own = settings(pretrained, solver=solver, sampling_steps=4, last_sampling_steps=1)
        together = paint(pretrained, PROMPTS, own)
        assert torch.equal(together, paint(pretrained, PROMPTS, own))
        alone = paint(pretrained, PROMPTS[1:2], own, picture_ids=[1])
        assert (together[1].int() - alone[0].int()).abs().max() <= 1


def test_the_default_solver_by_its_name_changes_nothing(pretrained):
    named = settings(pretrained, solver=SOLVERS[pretrained.config.head.objective][0])
    assert torch.equal(paint(pretrained, PROMPTS, named), paint(pretrained, PROMPTS, settings(pretrained)))


def test_the_chosen_of_several_candidates_ends_as_without_a_choice(pretrained):
    for solver in SOLVERS[pretrained.config.head.objective]:
        several = settings(pretrained, solver=solver, candidates=3, last_sampling_steps=2, selection="none")
        prompted = encode_prompts(pretrained, PROMPTS, several)
        finished = decode(pretrained.model, prompted, several).tokens
        chosen = decode(pretrained.model, prompted, replace(several, selection="once", select_steps=(2,)))
        for row, (candidate,) in enumerate(chosen.candidates.tolist()):
            scale = finished.abs().max()
            torch.testing.assert_close(
                chosen.tokens[row, 0] / scale, finished[row, candidate] / scale, atol=2e-5, rtol=0
            )


def test_denoising_steps_go_evenly_from_the_first_to_the_last_decoding_step():
    annealed = DecodeSettings(steps=5, sampling_steps=9, last_sampling_steps=1)
    assert [annealed.head(head_of("flow"), step).sampling_steps for step in range(5)] == [9, 7, 5, 3, 1]
    assert DecodeSettings(steps=1, last_sampling_steps=2).head(head_of("flow")).sampling_steps == 8


class CountingHead(torch.nn.Module):
    """Passes on to a head and counts the rows that it is asked for."""

    def __init__(self, head):
        super().__init__()
        self.head, self.rows = head, 0

    def project(self, condition):
        return self.head.project(condition)

    def embed_times(self, times):
        return self.head.embed_times(times)

    def predict(self, noised, embedded, projected):
        self.rows += len(noised)
        return self.head.predict(noised, embedded, projected)


def sampled(pretrained, scale=3.0, **changes):
    """Tokens of four guided rows, and the rows that the head was asked for."""
    model = replace(pretrained).model
    own = settings(pretrained, sampling_steps=8, **changes)
    sampler = TokenSampler(model, own)
    head, model.head = model.head, CountingHead(model.head)
    try:
        condition = torch.randn(8, model.config.decoder.width, generator=rng(1))
        chain = torch.randn(sampler.draws, 4, model.config.image.token_dim, generator=rng(2))
        return sampler.sample(condition, chain, scale), model.head.rows
    finally:
        model.head = head


@pytest.mark.parametrize("kind", ["flow", "noise"])
def test_guidance_is_computed_inside_its_interval_only(kind):
    pretrained = small_pretrained(kind)
    everywhere, all_rows = sampled(pretrained)
    same, _ = sampled(pretrained, guidance_low=0.0, guidance_high=1.0)
    assert torch.equal(everywhere, same) and all_rows == 8 * 8
    nowhere, few_rows = sampled(pretrained, guidance_low=0.0001, guidance_high=0.0002)
    without, _ = sampled(pretrained, scale=1.0)
    assert few_rows == all_rows // 2
    torch.testing.assert_close(nowhere, without)
    middle, some_rows = sampled(pretrained, guidance_low=0.3, guidance_high=0.8)
    assert few_rows < some_rows < all_rows and not torch.allclose(middle, everywhere)


def test_noise_levels_go_from_clean_to_noise():
    assert [noise_level(head_of("noise"), time) for time in (0, 999)] == [0, 1]
    assert [noise_level(head_of("flow"), time) for time in (1.0, 0.0)] == [0, 1]


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        ("flow", {"solver": "ddim"}, "choose euler or heun or dpm"),
        ("noise", {"solver": "heun"}, "choose ddpm or ddim or dpm"),
        ("noise", {"solver": "ddim", "temperature": 0.7}, "no meaning for ddim"),
        ("noise", {"time_shift": 1.0}, "for flow heads"),
        ("flow", {"start_time": 0.9}, "for noise heads"),
        ("energy", {"guidance_high": 0.9}, "an energy head has none"),
        ("noise", {"start_time": 0.5, "sampling_steps": 600}, "at most 501"),
    ],
)
def test_what_a_head_cannot_do_is_refused_in_a_sentence(kind, wrong, words):
    with pytest.raises(InputError, match=words):
        DecodeSettings(**wrong).head(head_of(kind))


@pytest.mark.parametrize(
    "wrong",
    [
        {"solver": "eular"},
        {"time_shift": 0.0},
        {"start_time": 0.0},
        {"start_time": 1.5},
        {"guidance_low": 0.8, "guidance_high": 0.2},
        {"guidance_high": float("nan")},
        {"last_sampling_steps": 0},
    ],
)
def test_settings_out_of_their_bounds_are_refused(wrong):
    with pytest.raises(InputError):
        DecodeSettings(**wrong)
