"""Distances of painted pictures, what looks at them, and what is said when it cannot be had."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import dream  # noqa: F401  (before torchvision is imported by timm and transformers)
from dream.data.drawn.shapes import ShapesSource
from dream.errors import InputError
from dream.evaluation.classes.features import encoder_features
from dream.evaluation.held_out import held_out_pictures
from dream.evaluation.judging.shapes_judge import judge_features
from dream.evaluation.painted import generation as task
from dream.evaluation.painted.encoders import ClipScorer, open_encoder
from dream.evaluation.painted.frechet import inception_scores
from dream.evaluation.painted.generation import REAL, GenerationSettings
from dream.evaluation.painted.inception import InceptionOutput
from dream.randomness import generator
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

SPEED = "pictures painted a second"
FEW = GenerationSettings(count=24, batch=10)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A stored source of 80 captioned pictures, of which 20 are validation."""
    folder, draws = tmp_path_factory.mktemp("data") / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for i in range(80):
        Image.fromarray(draws.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(folder / f"{i:03d}.png")
        (folder / f"{i:03d}.txt").write_text(f"picture number {i} of noise")
    return str(folder)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    folder = tmp_path_factory.mktemp("clip")
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    words = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    end = len(words) - 1
    ids = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": 0}
    text = CLIPTextConfig(vocab_size=len(words), max_position_embeddings=64, **ids, **small)
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **small)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    model.save_pretrained(folder)
    return folder


def comparable(measures):
    return [m for m in measures if m.name != SPEED]


def test_painted_pictures_stand_beside_real_ones(pretrained):
    told = []
    settings = GenerationSettings(count=24, batch=10)
    measures = settings.measure(pretrained, progress=lambda done, what: told.append(done))
    names = {"Frechet distance", "precision", "recall", "density", "coverage", "alignment with the caption"}
    assert {m.name for m in measures} == names | {REAL + name for name in names} | {SPEED}
    assert all(m.estimate.low <= m.estimate.value <= m.estimate.high for m in measures)
    found = by_name(measures, data="shapes", pictures=24)
    assert found["Frechet distance"].low > found[REAL + "Frechet distance"].high  # it is not trained
    assert found["coverage"].high < found[REAL + "coverage"].low
    assert found["Frechet distance"].count == 24 and by_name(measures, batch=10)[SPEED].count == 3
    assert told == sorted(told) and told[0] == 0 and max(told) < 1
    again = settings.measure(pretrained)
    assert comparable(again) == comparable(measures)


def test_a_perfect_painter_gets_what_real_pictures_get(pretrained, monkeypatch):
    asked = held_out_pictures("generation", "shapes", pretrained.config, 48)

    seeds = []

    def perfect(model, prompts, settings, picture_ids):
        seeds.append(settings.seed)
        assert tuple(prompts) == asked.captions[picture_ids.start : picture_ids.stop]
        return asked.images[picture_ids.start : picture_ids.stop]

    monkeypatch.setattr(task, "paint", perfect)
    measures = comparable(FEW.measure(pretrained))
    painted = {m.name: m.estimate for m in measures if not m.name.startswith(REAL)}
    assert painted == {m.name.removeprefix(REAL): m.estimate for m in measures if m.name.startswith(REAL)}
    FEW.measure(pretrained, seed=1)
    assert len(set(seeds)) == 2  # one a seed, whatever the batch


def test_a_model_without_text_paints_the_empty_caption(pretrained, monkeypatch):
    config = replace(
        pretrained.config, objective=replace(pretrained.config.objective, text=False, contrastive_weight=0.0)
    )
    asked = []

    def paint(model, prompts, settings, picture_ids):
        asked.extend(prompts)
        return torch.zeros(len(prompts), 3, 30, 30, dtype=torch.uint8)

    monkeypatch.setattr(task, "paint", paint)
    measures = FEW.measure(replace(pretrained, config=config))
    assert asked == [""] * 24
    assert not any("alignment" in m.name for m in measures)


def test_stored_pictures_are_halved_where_there_are_few(pretrained, pictures):
    measures = GenerationSettings(count=24).measure(pretrained, data=pictures)
    where = next(m.where for m in measures if m.name == "Frechet distance")
    assert where["encoder"] == "own" and where["pictures"] == 10 and where["data"] == pictures
    with pytest.raises(InputError, match=r"needs 30 held-out pictures .* has 20"):
        GenerationSettings(neighbours=14).measure(pretrained, data=pictures)
    with pytest.raises(InputError, match="needs data with a judge"):
        GenerationSettings(encoder="judge").measure(pretrained, data=pictures)


def test_fid_and_inception_score_come_with_an_inception(pretrained, monkeypatch):
    class Blind:
        """Features are the mean colours; every picture is of its own class."""

        seen = 0

        def to(self, device):
            return self

        def outputs(self, images):
            self.seen += len(images)
            return InceptionOutput(images.float().mean((2, 3)), torch.eye(100)[self.seen - len(images) : self.seen])

    monkeypatch.setattr(task, "load_inception", lambda path: Blind())
    settings = GenerationSettings(count=20, inception="weights.pth")
    found = by_name(settings.measure(pretrained))
    assert found["FID"].value > found[REAL + "FID"].value and "Frechet distance" not in found
    assert found["Inception Score"].value == pytest.approx(2.0) and found["Inception Score"].count == 10
    assert found["Inception Score, standard deviation over splits"].value == pytest.approx(0.0)
    both = replace(settings, encoder="own").measure(pretrained)
    assert {m.where["encoder"] for m in both if m.name == "precision"} == {"inception", "own"}


def torch_fidelity_score(logits, splits=10, seed=2020):
    """`isc_features_to_metric` of torch-fidelity 0.4, line by line, with its defaults."""
    count = len(logits)
    logits = logits[np.random.RandomState(seed).permutation(count), :].double()
    p, log_p = logits.softmax(dim=1), logits.log_softmax(dim=1)
    scores = []
    for i in range(splits):
        p_chunk = p[(i * count // splits) : ((i + 1) * count // splits), :]
        log_p_chunk = log_p[(i * count // splits) : ((i + 1) * count // splits), :]
        q_chunk = p_chunk.mean(dim=0, keepdim=True)
        kl = p_chunk * (log_p_chunk - q_chunk.log())
        scores.append(kl.sum(dim=1).mean().exp().item())
    return float(np.mean(scores)), float(np.std(scores))


def test_the_inception_score_is_torch_fidelitys_with_its_shuffle_and_spread():
    """Pictures sorted by class, which splits without a shuffle would hold to be all alike."""
    logits = 6 * torch.eye(5).repeat_interleave(40, 0) + torch.randn(200, 5, generator=generator("inception score"))
    score, spread = task._inception_score("", logits.softmax(1), {})
    assert (score.estimate.value, spread.estimate.value) == pytest.approx(torch_fidelity_score(logits), rel=1e-5)
    assert score.where == spread.where == {"splits": 10, "shuffled": 2020}
    assert score.estimate.value > 2 > 1.5 > inception_scores(logits.softmax(1).numpy()).mean()
    few = task._inception_score("", logits[:2].softmax(1), {})
    assert len(few) == 1 and few[0].where["splits"] == 2


def test_the_interval_of_the_spread_is_chi_squares():
    stats = pytest.importorskip("scipy.stats")
    for count, tolerance in ((10, 0.02), (40, 0.002)):
        found = task._spread(np.random.default_rng(0).standard_normal(count))
        low, high = (found.value * (count / stats.chi2.ppf(q, count - 1)) ** 0.5 for q in (0.975, 0.025))
        assert (found.low, found.high) == pytest.approx((low, high), rel=tolerance)


def test_what_cannot_be_looked_at_with_is_named_before_painting(pretrained, monkeypatch, tmp_path):
    monkeypatch.setattr(task, "paint", lambda *_, **__: pytest.fail("painted"))
    missing = str(tmp_path / "nothing")
    for settings, message in (
        (GenerationSettings(inception=missing), "no Inception weights file"),
        (GenerationSettings(clip=missing), "no CLIP folder"),
        (GenerationSettings(clip=str(tmp_path)), "cannot load CLIP"),
        (GenerationSettings(encoder="resnet"), "no encoder 'resnet'"),
        (GenerationSettings(encoder="timm:resnat18"), "timm has no model 'resnat18'"),
        (GenerationSettings(encoder="timm:test_resnet", encoder_weights=missing), "no .safetensors file"),
        (GenerationSettings(split="last"), "not 'last'"),
    ):
        with pytest.raises(InputError, match=message):
            settings.measure(pretrained)
    for bad in ({"count": 1}, {"batch": 0}, {"neighbours": 0}):
        with pytest.raises(InputError, match=next(iter(bad))):
            GenerationSettings(**bad)


def test_clip_score_is_a_hundred_times_the_cosine_that_clip_computes(clip_folder):
    from transformers import CLIPModel

    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    captions = ["a red circle", "b", "", "a blue square above it", "x" * 200]
    scorer, model = ClipScorer(str(clip_folder), torch.device("cpu")), CLIPModel.from_pretrained(clip_folder)
    pixels = (images / 255 - torch.tensor([0.4815, 0.4578, 0.4082]).view(3, 1, 1)) / torch.tensor(
        [0.2686, 0.2613, 0.2758]
    ).view(3, 1, 1)
    with torch.no_grad():
        out = model(input_ids=scorer.tokenizer.token_ids(captions), pixel_values=pixels)
    cosines = (out.logits_per_image / model.logit_scale.exp()).diagonal().detach()
    assert (cosines > 0).any()
    torch.testing.assert_close(scorer.scores(images, captions), 100 * cosines.clamp(min=0), atol=0.02, rtol=1e-3)
    larger = scorer.scores(torch.zeros(1, 3, 30, 30, dtype=torch.uint8), captions[:1])
    assert larger.shape == (1,) and 0 <= float(larger) <= 100


def test_a_clip_folder_says_how_pictures_are_normalised(clip_folder, tmp_path):
    for path in clip_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    about = tmp_path / "preprocessor_config.json"
    about.write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    scorer = ClipScorer(str(tmp_path), torch.device("cpu"))
    assert scorer.mean.flatten().tolist() == [0.5] * 3 and scorer.std.flatten().tolist() == [0.25] * 3
    about.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        ClipScorer(str(tmp_path), torch.device("cpu"))
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(InputError, match=r"merges\.txt missing"):
        ClipScorer(str(tmp_path), torch.device("cpu"))


def test_clip_scores_are_measured_of_painted_and_real_pictures(pretrained, clip_folder):
    found = by_name(replace(FEW, clip=str(clip_folder)).measure(pretrained))
    assert {"CLIP score", REAL + "CLIP score"} <= set(found)


def test_encoders_give_a_vector_a_picture(pretrained, tmp_path):
    import timm
    from safetensors.torch import save_file

    images = ShapesSource(pretrained.config).fixed(40).images
    assert torch.equal(open_encoder("own", pretrained)(images), encoder_features(pretrained, images, "image"))
    judged = open_encoder("judge", pretrained)(images)
    assert judged.shape == (40, 128) and torch.equal(judged, judge_features(images))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = timm.create_model("test_resnet").eval()
    save_file(model.state_dict(), tmp_path / "resnet.safetensors")
    encoder = open_encoder("timm:test_resnet", pretrained, str(tmp_path / "resnet.safetensors"))
    found = encoder(images)
    assert found.shape == (40, model.num_features) and found.isfinite().all()
    torch.testing.assert_close(encoder(images[:3]), found[:3], atol=1e-4, rtol=1e-4)
    body = {name: t for name, t in model.state_dict().items() if not name.startswith("fc.")}
    save_file(body, tmp_path / "body.safetensors")
    bare = open_encoder("timm:test_resnet", pretrained, str(tmp_path / "body.safetensors"))
    assert torch.equal(bare(images), found)
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    body.pop("layer1.0.conv1.weight")
    save_file(body, tmp_path / "cut.safetensors")
    for name in ("bad", "cut"):
        with pytest.raises(InputError, match="cannot load the encoder"):
            open_encoder("timm:test_resnet", pretrained, str(tmp_path / f"{name}.safetensors"))


def test_held_out_pictures_are_the_same_every_time(pretrained, pictures):
    drawn = held_out_pictures("x", "shapes", pretrained.config, 30)
    assert drawn.keys[:2] == ("shapes/test/0", "shapes/test/1") and len(drawn) == 30
    assert held_out_pictures("x", "shapes", pretrained.config, 10).captions == drawn.captions[:10]
    stored = held_out_pictures("x", pictures, pretrained.config, 30)
    assert len(stored) == 20 and len(set(stored.captions)) == 20
    assert stored.keys == held_out_pictures("x", pictures, pretrained.config, 30).keys
    with pytest.raises(InputError, match="has no split 'test'"):
        held_out_pictures("x", pictures, pretrained.config, 30, split="test")


def test_the_speed_is_that_of_the_clock(pretrained):
    speed = by_name(FEW.measure(pretrained))[SPEED]
    assert speed.value > 0 and math.isfinite(speed.high)
