"""Numbers of the authors' model, from their weights through our importer: every tensor and scalar of a
parity fixture.

The fixture (`.safetensors`, with the `.json` of the same name beside it) is named by the environment variable
DREAM_PARITY; by default it is the copy in `tests/data`. Nothing here depends on its sizes.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from dream import diffusion, masking, official
from dream.decoding import solvers
from dream.decoding.decode import decode_iter
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Midway, Prompted, start_state
from dream.diffusion import Draw
from dream.losses import contrastive_loss, total_loss
from dream.model.dream import Dream
from dream.model.latents import patchify, unpatchify

PATH = Path(os.environ.get("DREAM_PARITY") or Path(__file__).parents[1] / "data" / "parity.safetensors")


@cache
def fixture() -> SimpleNamespace:
    tensors, about = load_file(PATH), json.loads(PATH.with_suffix(".json").read_text())
    state = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    return SimpleNamespace(
        tensors=tensors,
        about=about,
        settings=about["config"],
        scalars=about["scalars"],
        state=state,
        config=official.config_from_settings(about["config"]),
    )


def build(**changes: Tensor) -> Dream:
    return official.from_state_dict({**fixture().state, **changes}, fixture().settings)


@cache
def model() -> Dream:
    return build()


def given(name: str) -> Tensor:
    return fixture().tensors["in." + name]


CHECKED: set[str] = set()
RAN: set[str] = set()


@pytest.fixture(autouse=True)
def note_that_it_ran(request):
    RAN.add(request.node.nodeid)


def check(name: str, ours: Tensor, tolerance: float) -> None:
    """`ours` is `out.<name>` within an absolute tolerance."""
    theirs = fixture().tensors["out." + name]
    CHECKED.add(name)
    assert ours.shape == theirs.shape, f"{name}: {tuple(ours.shape)}, expected {tuple(theirs.shape)}"
    worst = (ours.detach().double() - theirs.double()).abs().max().item() if theirs.numel() else 0.0
    assert worst <= tolerance, f"{name} is off by {worst:.3g}, allowed are {tolerance:g}"


def tokens() -> Tensor:
    return patchify(given("latents"), fixture().config.image.patch_size)


def masks() -> list[str]:
    return sorted(n.removeprefix("in.mask_") for n in fixture().tensors if n.startswith("in.mask_"))


def cosines(image: Tensor, text: Tensor) -> Tensor:
    return (image * text).sum(dim=-1)


# The model


def test_every_weight_is_used_but_the_one_that_is_never_trained():
    exported = official.to_state_dict(model())
    assert set(fixture().state) - set(exported) <= {"fake_latent"}
    assert not set(exported) - set(fixture().state)
    assert fixture().about["seq_len"] == fixture().config.image.num_tokens
    assert fixture().about["token_dim"] == fixture().config.image.token_dim


def test_patches():
    image = fixture().config.image
    check("patchify", tokens(), 0.0)
    check("unpatchify", unpatchify(tokens(), image.patch_size, image.channels), 0.0)


@torch.no_grad()
def test_encoder_and_picture_features():
    for name in masks():
        mask = given("mask_" + name).bool()
        encoded = model().encode(tokens(), mask)
        check(f"encoder_x_{name}", encoded, 5e-5)
        check(f"image_features_{name}", model().pooled_features(encoded, mask), 5e-5)
        check(f"image_features_norm_{name}", model().image_features(encoded, mask), 5e-5)


@torch.no_grad()
def test_the_buffer_embedding_reaches_the_encoder():
    classes = fixture().state["class_emb.weight"].clone()
    classes[0] = fixture().state["fake_latent"][0]
    check("encoder_x_r05_fake", build(**{"class_emb.weight": classes}).encode(tokens(), given("mask_r05").bool()), 5e-5)


@torch.no_grad()
def test_batch_norm_in_training():
    trained = build()
    trained.joint.train()
    mask = given("mask_r05").bool()
    check("image_features_trainbn_r05", trained.pooled_features(trained.encode(tokens(), mask), mask), 5e-5)
    for name in ("bn1", "bn2"):
        norm = getattr(trained.joint, name)
        assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None and norm.running_var is not None
        check(f"trainbn_{name}_running_mean", norm.running_mean, 5e-5)
        check(f"trainbn_{name}_running_var", norm.running_var, 5e-5)


@torch.no_grad()
def test_text_tower_and_aligner():
    check("text_features_raw", model().text_tower(given("text_tokens")), 5e-5)
    check("text_features", model().text_features(given("text_tokens")), 5e-5)
    check("text_aligned", model().text_states(given("t5")), 5e-5)


@cache
@torch.no_grad()
def conditions() -> Tensor:
    mask = given("mask_r05").bool()
    cache_ = model().cross_cache(model().text_states(given("t5")))
    return model().decode(model().encode(tokens(), mask), mask, cache_)


def test_decoder():
    check("decoder_z_r05", conditions(), 5e-5)


# The diffusion head


@torch.no_grad()
def test_diffusion_loss_terms():
    head, draws = fixture().config.head, fixture().config.head.draws
    draw = Draw(given("diff_t"), given("diff_noise"))
    clean = tokens().flatten(0, 1).repeat(draws, 1)
    noised = diffusion.add_noise(head, clean, draw)
    check("diff_x_t", noised, 1e-5)
    projected = model().head.project(conditions().flatten(0, 1)).repeat(draws, 1)
    output = model().head(noised, draw.times, projected)
    check("diff_net_out", output, 1e-3)
    terms = diffusion.generative_terms(head, output, clean, draw)
    total = terms.error + terms.variance
    check("diff_mse", terms.error, 1e-3)
    check("diff_vb", terms.variance, 1e-3)
    check("diff_loss", total, 1e-3)
    masked = given("mask_r05").bool().flatten().repeat(draws)
    scalars = fixture().scalars
    assert total.mean().item() == pytest.approx(scalars["diff_plain_mean"], abs=2e-5, rel=1e-6)
    assert total[masked].mean().item() == pytest.approx(scalars["diff_masked_mean"], abs=2e-5, rel=1e-6)
    assert terms.error[masked].mean().item() == pytest.approx(scalars["diff_masked_mean_mse"], abs=2e-5, rel=1e-6)
    assert terms.variance[masked].mean().item() == pytest.approx(scalars["diff_masked_mean_vb"], abs=2e-5, rel=1e-6)


def sampling_steps() -> int:
    return fixture().config.head.sampling_steps


@torch.no_grad()
def test_single_reverse_steps():
    """The first step, at t = 999, amplifies any rounding a thousandfold; all later ones are tight."""
    schedule = diffusion.noise_schedule(fixture().config.head.train_steps, sampling_steps())
    noised, projected = given("ddpm_init_noise"), model().head.project(given("ddpm_z"))
    steps = []
    for step in range(sampling_steps()):
        output = model().head(noised, schedule.times[step], projected)
        steps.append(diffusion.reverse_step(schedule, output, noised, step))
    named = {
        "ddpm_step_mean": (2e-4, 0.08),
        "ddpm_step_log_variance": (5e-5, 5e-5),
        "ddpm_step_pred_xstart": (2e-3, 1.0),
    }
    for part, (name, (tight, loose)) in enumerate(named.items()):
        ours, theirs = torch.stack([s[part] for s in steps]), fixture().tensors["out." + name]
        check(name, ours, loose)
        assert (ours[:-1] - theirs[:-1]).abs().max() <= tight, name


def head_predict(projected: Tensor):
    return lambda noised, time: model().head(noised, time, projected)


def with_start(steps: Tensor) -> Tensor:
    """Recorded noise as `denoise` reads it: the start, then one entry per step."""
    start = given("ddpm_init_noise")
    return torch.cat([start.repeat(steps.shape[1] // len(start), 1).unsqueeze(0), steps])


@torch.no_grad()
def test_sampling_without_guidance():
    projected = model().head.project(given("ddpm_z"))
    noise = with_start(given("ddpm_step_noise_cfg1"))
    check("ddpm_sample_cfg1", solvers.denoise(fixture().config.head, head_predict(projected), noise), 0.03)
    colder = solvers.denoise(fixture().config.head, head_predict(projected), noise, temperature=0.7)
    check("ddpm_sample_cfg1_temp07", colder, 0.03)


def guided_rows(noised: Tensor, time: Tensor, scale: float) -> Tensor:
    """Output for conditional and unconditional rows: one guided noise, each with a variance of its own."""
    half = len(noised) // 2
    projected = model().head.project(torch.cat([given("ddpm_z"), given("ddpm_z_uncond")]))
    output = model().head(noised[:half].repeat(2, 1), time, projected)
    guided = diffusion.guide(fixture().config.head, output[:half], output[half:], scale)
    width = guided.shape[1] // 2
    other = torch.cat([guided[:, :width], output[half:, width:]], dim=-1)
    return torch.cat([guided, other])


@torch.no_grad()
def test_sampling_with_guidance():
    start = given("ddpm_init_noise")
    check("ddpm_net_cfg3", guided_rows(start.repeat(2, 1), torch.tensor(500), 3.0), 5e-4)
    noise = with_start(given("ddpm_step_noise_cfg3"))
    sampled = solvers.denoise(fixture().config.head, lambda x, t: guided_rows(x, t, 3.0), noise)
    check("ddpm_sample_cfg3", sampled, 0.15)


# Losses and gradients


CONTRASTIVE = sorted(
    name.removeprefix("clip_").removesuffix("_loss")
    for name in json.loads(PATH.with_suffix(".json").read_text())["scalars"]
    if name.startswith("clip_") and name.endswith("_loss")
)


@pytest.mark.parametrize("case", CONTRASTIVE)
def test_contrastive_loss(case: str):
    """`filter` drops pictures that show too little; without it all count as soon as one does."""
    kind, filtering = case.split("_")
    counted = {"all": torch.ones, "none": torch.zeros}.get(kind, lambda n: given("clip_mask"))(
        len(given("clip_mask"))
    ).bool()
    share = counted.float().mean().item()
    if filtering == "nofilter":
        counted = torch.full_like(counted, bool(counted.any()))
    image, text = given("clip_image").clone().requires_grad_(), given("clip_text").clone().requires_grad_()
    log_scale = fixture().state["logit_scale"].clone().requires_grad_()
    assert log_scale.exp().item() == pytest.approx(fixture().scalars["logit_scale_exp"], abs=2e-5)
    part = contrastive_loss(F.normalize(image, dim=-1), F.normalize(text, dim=-1), log_scale.exp(), counted)
    part.loss.backward()
    scalars = fixture().scalars
    assert part.loss.item() == pytest.approx(scalars[f"clip_{case}_loss"], abs=2e-5)
    assert share == pytest.approx(scalars[f"clip_{case}_avg_unmasked_ratio"], abs=2e-5)
    if f"clip_{case}_grad_logit_scale" in scalars:
        assert log_scale.grad is not None
        assert log_scale.grad.item() == pytest.approx(scalars[f"clip_{case}_grad_logit_scale"], abs=2e-5)
    for name, leaf in (("image", image), ("text", text)):
        if f"out.clip_{case}_grad_{name}" in fixture().tensors:
            assert leaf.grad is not None
            check(f"clip_{case}_grad_{name}", leaf.grad, 2e-5)


FORWARDS = sorted(
    name
    for name in json.loads(PATH.with_suffix(".json").read_text())["scalars"]
    if name.startswith("forward_r") and not name.endswith("grad_norm")
)


@pytest.mark.parametrize("case", FORWARDS)
def test_full_forward_losses_and_gradients(case: str):
    wanted, norms = fixture().scalars[case], fixture().scalars[case + "_grad_norm"]
    digits = case.removeprefix("forward_r")
    ratio = int(digits) / 10 ** (len(digits) - 1)
    config, mine = fixture().config, build()
    mask = masking.mask_from_order(given("orders"), masking.num_masked(ratio, config.image.num_tokens))
    assert masking.masked_share(mask)[0].item() == pytest.approx(wanted["mask_ratio"])
    counted = masking.counts_in_generation(mask, config.objective.min_masked)
    rows = (mask & counted[:, None]).flatten().repeat(config.head.draws)
    draw = Draw(given("diff_t")[rows], given("diff_noise")[rows])
    losses = total_loss(mine(tokens(), mask, given("text_tokens"), given("t5"), draw), config)
    losses.total.backward()
    assert losses.generative.item() == pytest.approx(wanted["loss_mar"], abs=1e-4)
    assert losses.contrastive.item() == pytest.approx(wanted["loss_clip"], abs=1e-4)
    assert losses.contrastive_share.item() == pytest.approx(wanted["percentage_batch_with_clip"], abs=2e-5)
    assert losses.generative_share.item() == pytest.approx(wanted["percentage_batch_with_mar"], abs=2e-5)
    ours = {official.their_name(n): p.grad for n, p in mine.named_parameters()}
    for name, norm in norms.items():
        if norm is None:  # not part of the model, or never reached
            assert name not in ours or ours[name] is None or not ours[name].abs().any(), name
        else:
            assert ours[name].norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-7), name


# Schedules


def test_masking_schedule():
    epochs = fixture().settings["epochs"]
    for epoch, wanted in fixture().scalars["masking_schedule"].items():
        found = masking.ratio_distribution(int(epoch) / epochs, fixture().config.masking)
        assert found.center == pytest.approx(wanted["mu"], abs=1e-9)
        assert found.mean == pytest.approx(wanted["mean"], abs=1e-6)
        assert found.deviation == pytest.approx(wanted["std"], abs=1e-6)
        for share, ratio in wanted["quantiles"].items():
            assert found.quantile(torch.tensor(float(share), dtype=torch.float64)).item() == pytest.approx(
                ratio, abs=1e-6
            )
        assert found.cdf(0.75) == pytest.approx(wanted["p_le_075"], abs=1e-6)
        assert 1 - found.cdf(0.5) == pytest.approx(wanted["p_ge_05"], abs=1e-6)


def test_reveal_and_guidance_schedules():
    for name, wanted in fixture().scalars.items():
        if not name.startswith("reveal_"):
            continue
        kind, count, steps = (
            name.removeprefix("reveal_").rsplit("_", 2) if "cfg" in name else ("", *name.split("_")[1:])
        )
        plan = masking.reveal_schedule(int(count), int(steps))
        if not kind:
            assert plan == wanted
            continue
        scale, schedule = re.fullmatch(r"cfg([\d.]+)(linear|constant)", kind).groups()
        settings = DecodeSettings(steps=int(steps), guidance_scale=float(scale), guidance_schedule=schedule)
        left = [int(count) - sum(plan[: s + 1]) for s in range(int(steps))]
        assert [settings.guidance_at(n, int(count)) for n in left] == pytest.approx(wanted)


def test_noise_schedules():
    scalars, whole = fixture().scalars, diffusion.noise_schedule(1000)
    assert whole.alphas_cumprod[:5].tolist() == pytest.approx(scalars["alphas_cumprod_first5"], rel=1e-9)
    assert whole.alphas_cumprod[-5:].tolist() == pytest.approx(scalars["alphas_cumprod_last5"], rel=1e-9)
    assert whole.betas[-3:].tolist() == pytest.approx(scalars["betas_last3"], rel=1e-9)
    for name, wanted in scalars.items():
        if name.startswith("respaced_timesteps_"):
            assert diffusion.noise_schedule(1000, int(name.split("_")[-1])).times.tolist() == wanted
        elif name.startswith("respaced_betas_"):
            betas = diffusion.noise_schedule(1000, int(name.split("_")[2])).betas.tolist()
            assert betas[:3] + betas[-3:] == pytest.approx(wanted, rel=1e-9)


# Decoding


RUNS = sorted(json.loads(PATH.with_suffix(".json").read_text())["runs"])


class Replay:
    """The recorded noise of a run, for rows in whatever order our decoding folds them."""

    def __init__(self, run: str, candidates: int, select_step: int) -> None:
        self.run, self.candidates, self.select_step = run, candidates, select_step
        self.calls = [c["step"] for c in fixture().scalars[run + ".calls"]]

    def call(self, step: int, candidate: int) -> int:
        """Index of the recorded call: before the choice each candidate has one, in turn."""
        before = step < self.select_step
        same = [i for i, s in enumerate(self.calls) if s == step]
        return same[candidate if before else 0]

    def __call__(self, step: int, pictures: list[int], candidates: list[int], count: int, draws: int) -> Tensor:
        rows = []
        for picture, candidate in zip(pictures, candidates, strict=True):
            call = f"{self.run}.call{self.call(step, candidate):02d}"
            start, steps = given(call + ".init_noise"), given(call + ".step_noise")
            place = slice(picture * count, (picture + 1) * count)
            rows.append(torch.cat([start[None, place], steps[:, place]]))
        assert all(len(row) == draws for row in rows)
        return torch.cat(rows, dim=1)


@pytest.mark.parametrize("run", RUNS)
def test_decoding(run: str):
    about, image = fixture().about["runs"][run], fixture().config.image
    candidates, select = about.get("num_candidates", 1), about.get("clip_critic_threshold", 0)
    settings = DecodeSettings(
        steps=about["num_iter"],
        guidance_scale=float(about["cfg"]),
        guidance_schedule=about["cfg_schedule"],
        temperature=float(about["temperature"]),
        candidates=candidates,
        selection="once",
        select_steps=(select,) if candidates > 1 else (),
    )
    prompts, t5 = about["bsz"], given(run + ".t5")
    prompted = Prompted(given(run + ".text_tokens"), t5[:prompts], t5[prompts:] if settings.guided else None)
    state = start_state(given(run + ".orders"), image.token_dim)
    records = decode_iter(
        model(),
        prompted,
        settings,
        beginning=Midway(state, 0, image.num_tokens),
        noise=Replay(run, candidates, select),
        scored="all",
    )
    replay, last = Replay(run, candidates, select), None
    for record in records:
        last = record
        check_calls(run, record, replay, prompts, settings)
        done = record.step + 1
        if f"out.{run}.tokens_after_{done}" in fixture().tensors:
            check(f"{run}.tokens_after_{done}", record.tokens, 0.15)
            check(f"{run}.mask_after_{done}", record.mask.float(), 0.0)
            assert record.alignment is not None
            check(f"{run}.clip_scores_after_{done}", record.alignment, 3e-4)
        if candidates > 1 and done == select:
            assert record.alignment is not None
            scores = record.alignment.view(prompts, candidates)
            check(f"{run}.scores", scores.T, 3e-4)
            chosen = record.candidate[record.kept].tolist()
            assert chosen == fixture().scalars[f"{run}.best_candidate"]
    assert last is not None and not last.mask.any()
    check(f"{run}.latents", unpatchify(last.tokens, image.patch_size, image.channels), 0.15)


def check_calls(run: str, record, replay: Replay, prompts: int, settings: DecodeSettings) -> None:
    """Condition rows given to the head, and the tokens it gave, for each of the authors' calls of this
    step.
    """
    rows, count = record.revealed.shape
    halves = 2 if settings.guided else 1
    condition = record.condition.view(halves, rows, count, -1)
    for candidate in sorted(set(record.candidate.tolist())) if rows > prompts else [0]:
        chosen = record.candidate == candidate if rows > prompts else torch.ones(rows, dtype=torch.bool)
        call = replay.call(record.step, candidate)
        about = fixture().scalars[run + ".calls"][call]
        assert about["step"] == record.step and about["n_predicted"] == int(chosen.sum()) * count
        assert about["per_image"] == [count] * prompts
        assert record.guidance == pytest.approx(about["cfg_iter"])
        check(f"{run}.call{call:02d}.z", condition[:, chosen].flatten(0, 2), 1.5e-3)
        check(f"{run}.call{call:02d}.sampled", record.sampled[chosen].flatten(0, 1), 0.15)


def test_nothing_of_the_fixture_was_left_out(request):
    """Every `out.*` tensor was compared by the tests above, where all of them ran in this process."""
    others = {item.nodeid for item in request.session.items if item.path == request.node.path}
    if others - RAN or request.config.getoption("-k"):
        pytest.skip("only part of this file was run here")
    wanted = {name.removeprefix("out.") for name in fixture().tensors if name.startswith("out.")}
    assert wanted == CHECKED, f"not compared: {sorted(wanted - CHECKED)}"
