"""The judge of emoji that ships: what it reads, what it refuses, which captions it knows, and its training."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dream.data.emoji.table import COUNTS, Drawing, read_table, table_path, write_table
from dream.errors import InputError
from dream.evaluation.judging import emoji_renderings as renderings
from dream.evaluation.judging import train_emoji_judge as training
from dream.evaluation.judging.emoji_agreement import EVERY, emoji_accuracy
from dream.evaluation.judging.emoji_judge import COMBINATIONS, EmojiJudge
from dream.evaluation.judging.emoji_names import STYLES, EmojiNames, thing_of
from dream.evaluation.judging.emoji_network import EMOJI_WEIGHTS, EmojiNetwork
from dream.evaluation.judging.emoji_pictures import EmojiPictures
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.judge_task import JudgeSettings
from dream.evaluation.judging.worlds import judge_knowing, judge_of
from dream.evaluation.painted.encoders import open_encoder
from dream.evaluation.painted.generation import GenerationSettings
from dream.evaluation.painted.headroom import HeadroomSettings
from dream.evaluation.painted.prompts import GAIN, WELL_FORMED, PromptsSettings
from dream.evaluation.painted.selection import SelectionSettings
from dream.evaluation.tasks import TASKS, may_take, named_tasks
from dream.randomness import generator
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained

BUILT = table_path()
NEEDS_EMOJI = pytest.mark.skipif(not BUILT.is_file(), reason="the emoji are not built: dream data emoji --build")
ATTRIBUTES = {"thing right", "thing among five right", "style right"}
LABELS = ("red apple", "waving hand: dark skin tone", "kiss: woman, man", "one o’clock", "flag: Japan", "dog face")


@pytest.fixture(scope="module")
def judge():
    return EmojiJudge.of()


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


@pytest.fixture
def some(judge):
    """200 of the artists' drawings."""
    return EmojiPictures.of(read_table(BUILT)[::50], judge.names)


def invented():
    """36 drawings with the labels of known things: each a coloured disc."""
    y, x = np.mgrid[:64, :64]
    for number, (label, style) in enumerate((label, style) for label in LABELS for style in STYLES):
        inside = ((x - 32) ** 2 + (y - 32) ** 2 < (10 + number // 2) ** 2)[..., None]
        stored, colour = io.BytesIO(), (7 * number % 256, 50 * (number % 5), 99)
        Image.fromarray(np.where(inside, colour, 255).astype(np.uint8)).save(stored, "WEBP", lossless=True)
        split = "val" if style in STYLES[3:] else "train"
        yield Drawing(f"{label}.{style}", label, style, (), label, "food", "fruit", split, stored.getvalue())


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A small table of invented drawings in the place of the built one."""
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))
    write_table(table_path(), invented())


# names


def test_a_skin_tone_is_no_other_thing():
    for label, thing in (
        ("waving hand: dark skin tone", "waving hand"),
        ("kiss: woman, man, medium-light skin tone", "kiss: woman, man"),
        ("person: light skin tone, blond hair", "person: blond hair"),
        ("flag: Japan", "flag: Japan"),
    ):
        assert thing_of(label) == thing


def test_it_knows_every_caption_of_the_data(judge):
    captions = {kind: judge.names.captions(split) for kind, split in COMBINATIONS.items()}
    assert {COMBINATIONS[kind]: len(of) for kind, of in captions.items()} == COUNTS["split"]
    assert all(judge.knows(caption) for of in captions.values() for caption in of)
    assert len(judge.names.things) == 1914
    styles = [caption.rpartition(", ")[2] for of in captions.values() for caption in of]
    assert {style: styles.count(style) for style in STYLES} == COUNTS["style"]


def test_spelling_does_not_matter_and_tones_are_one_thing(judge):
    named = judge.names.named
    assert named("one o’clock, ink") == named(" One  o'clock, INK.") == named("ink one o’clock")
    assert named("waving hand: light skin tone, ink") == named("waving hand, ink") != named("waving hand, flat")


@pytest.mark.parametrize("caption", ["red apple", "red apple, crayon", "a red circle on a white background", ""])
def test_other_captions_are_refused_in_one_sentence(judge, caption):
    assert not judge.knows(caption)
    with pytest.raises(InputError, match="knows captions like 'red apple, ink'"):
        judge.verdict(torch.zeros(1, 3, 48, 48), [caption])


# the interface


def test_every_world_has_its_judge_and_unknown_data_none():
    assert judge_of("pictures") is None and judge_of("hf:a/b") is None
    assert judge_of("emoji").combinations == tuple(COMBINATIONS)
    assert judge_of("emoji:val").combinations == ("unseen",)
    with pytest.raises(InputError, match="did you mean 'val'"):
        judge_of("emoji:vall")
    worlds: dict[str, PictureJudge] = {
        caption: judge_knowing(caption) for caption in ("red apple, ink", "a red circle on a white background")
    }
    assert [set(judge.attributes) for judge in worlds.values()] == [
        {"thing", "thing among five", "style"},
        {"layout", "ground", "shape", "colour"},
    ]
    assert judge_knowing("a cat on a mat") is None


@pytest.mark.parametrize("name", ["prompts", "headroom", "judge"])
def test_data_without_a_judge_gets_one_sentence(pretrained, name):
    with pytest.raises(InputError, match="needs an answer key: use --data shapes or emoji, not 'pictures'"):
        TASKS[name].defaults().measure(pretrained, "pictures")
    with pytest.raises(InputError, match="use --data shapes or emoji, not 'pictures'"):
        named_tasks(name, ["pictures"])
    assert may_take(TASKS[name], "emoji:val") and not may_take(TASKS["edits"], "pictures")


def test_prompts_are_captions_of_their_split_each_once(judge):
    draws = np.random.default_rng
    for kind, split in COMBINATIONS.items():
        everything = judge.prompts(kind, 10_000, draws(0))
        assert sorted(everything) == sorted(judge.names.captions(split))
        assert judge.prompts(kind, 5, draws(1)) == judge.prompts(kind, 7, draws(1))[:5] != everything[:5]


def test_the_order_of_the_pictures_does_not_matter(judge):
    images = torch.rand(12, 3, 48, 48, generator=generator("order"))
    captions = judge.prompts("seen", 12, np.random.default_rng(0))
    order = torch.randperm(12, generator=generator("order"))
    forth, back = judge.verdict(images, captions), judge.verdict(images[order], [captions[i] for i in order])
    for name in judge.attributes:
        assert torch.equal(forth.attributes[name][order], back.attributes[name])
    assert torch.equal(forth.well_formed[order], back.well_formed)


def test_floats_and_bytes_of_any_size_are_judged_alike(judge):
    images = torch.randint(0, 256, (8, 3, 60, 60), dtype=torch.uint8, generator=generator("bytes"))
    torch.testing.assert_close(judge.features(images), judge.features(images / 255))
    assert judge.features(images[..., :30, :30]).shape == (8, 256)


def test_pictures_without_form_are_refused(judge):
    blank = torch.rand(50, 3, 1, 1, generator=generator("blank")).expand(50, 3, 48, 48)
    noise = torch.rand(50, 3, 48, 48, generator=generator("noise"))
    for images in (blank, noise):
        assert judge.network.read(images).refused.float().mean() > 0.95
        assert not judge.verdict(images, ["red apple, ink"] * 50).well_formed.any()


# what it reaches


def test_the_shipped_files_are_small_and_say_what_they_reach():
    assert EMOJI_WEIGHTS.stat().st_size <= 4_000_000
    tree = json.loads(EMOJI_WEIGHTS.with_suffix(".json").read_text())
    worn = tree["accuracy"]["worn renderings"]
    assert worn["style right"] >= 0.97 and worn["thing among ten right"] >= 0.95


@NEEDS_EMOJI
def test_drawings_are_read_right_and_edited_captions_found_wrong(judge, some):
    images = some.images(torch.arange(len(some.things)))
    things = [judge.names.things[number] for number in some.things]
    captions = [f"{thing}, {STYLES[style]}" for thing, style in zip(things, some.styles, strict=True)]
    verdict = judge.verdict(images, captions)
    assert verdict.attributes["thing among five"].float().mean() >= 0.95 and verdict.right.float().mean() >= 0.9
    assert verdict.well_formed.float().mean() >= 0.85
    moved = [captions[int(i)] for i in some.others(torch.arange(len(captions)), generator("edits"))]
    restyled = [f"{thing}, {STYLES[(style + 1) % 6]}" for thing, style in zip(things, some.styles, strict=True)]
    for edited in (moved, restyled):
        assert judge.verdict(images, edited).right.float().mean() <= 0.03


@NEEDS_EMOJI
def test_mixtures_are_refused(judge, some):
    rows, draws = torch.arange(len(some.things)), generator("mixtures")
    refused = {}
    for kind in renderings.DAMAGES:
        made = renderings.damaged(kind, some.images(rows), some.images(some.others(rows, draws)), draws)
        refused[kind] = float(judge.network.read(made.images).refused[made.certain].float().mean())
    assert min(refused.values()) > 0.55 and np.mean(list(refused.values())) > 0.8
    assert judge.network.read(some.images(rows)).refused.float().mean() < 0.05


@NEEDS_EMOJI
@pytest.mark.slow
def test_worn_drawings_are_read_right(judge):
    pictures = EmojiPictures.of(read_table(BUILT), judge.names)
    worn = emoji_accuracy(judge.network, pictures, seed=99)["worn renderings"]
    assert worn["style right"] >= 0.97 and worn["thing among ten right"] >= 0.95


# tasks


def test_prompts_need_no_pictures_and_are_counted_by_split(pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))
    measures = PromptsSettings(count=14, candidates=2).measure(pretrained, "emoji")
    for kind, count in (("all", 14), ("unseen", 4), ("seen", 5), ("unseen thing", 5)):
        found = by_name(measures, data="emoji", combination=kind, candidates=1)
        assert ATTRIBUTES | {WELL_FORMED} <= set(found) and {e.count for e in found.values()} == {count}
        assert GAIN in by_name(measures, combination=kind, candidates=2)
        assert found["thing right"].value <= found["thing among five right"].value
    alone = PromptsSettings(count=6).measure(pretrained, "emoji:unseen")
    assert {m.where["combination"] for m in alone} == {"unseen thing"}


def test_selection_and_headroom_choose_among_emoji(pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path))
    measures = SelectionSettings(count=4, candidates=2).measure(pretrained, "emoji")
    assert {"gain of the choice", "AUC", "gain over more steps"} <= set(by_name(measures, data="emoji"))
    assert HeadroomSettings(count=2, candidates=2, halves=1).measure(pretrained, "emoji:unseen")


def test_the_distance_of_painted_emoji_is_under_the_judges_features(pretrained, table):
    settings = GenerationSettings(count=9, batch=9, neighbours=2)
    found = [m for m in settings.measure(pretrained, "emoji") if m.name == "Frechet distance"]
    assert [m.where["encoder"] for m in found] == ["judge"]
    images = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
    assert open_encoder("judge", pretrained, data="emoji")(images).shape == (2, 256)


def test_the_task_judge_measures_it_on_the_pictures(pretrained, table, tmp_path, monkeypatch):
    measures = JudgeSettings(count=30).measure(pretrained, "emoji")
    assert {m.where["of"].partition(":")[0] for m in measures if m.name == EVERY} == {
        "renderings as they are",
        "worn renderings",
    }
    refused = {m.where["of"] for m in measures if m.name == "refused"}
    assert {f"damage: {kind}" for kind in renderings.DAMAGES} <= refused
    assert len([m for m in measures if m.name == "found wrong"]) == 2
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "empty"))
    with pytest.raises(InputError, match="dream data emoji --build"):
        JudgeSettings(count=30).measure(pretrained, "emoji")


# renderings and training


def test_without_wear_a_rendering_is_the_drawing_and_draws_repeat():
    images = torch.rand(5, 3, 48, 48, generator=generator("images"))
    assert torch.equal(renderings.worn_renderings(images, generator("wear"), (), 0.0), images)
    for kind in renderings.WEAR:
        first, again = (renderings.worn_renderings(images, generator("wear", kind), (kind,), 1.0) for _ in range(2))
        assert torch.equal(first, again) and not torch.equal(first, images)
        assert first.shape == images.shape and first.min() >= 0 and first.max() <= 1


def test_damage_that_cannot_be_seen_is_not_certain():
    images = torch.rand(3, 3, 64, 64, generator=generator("images"))
    assert not renderings.damaged("mixture", images, images, generator("damage")).certain.any()
    assert renderings.damaged("halves", images, 1 - images, generator("damage")).certain.all()
    shuffled = renderings.damaged("shuffled", images, images, generator("damage")).images
    assert torch.equal(shuffled.flatten(2).sort().values, images.flatten(2).sort().values)


def test_training_is_reproducible_and_writes_what_the_judge_reads(table, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "BATCH", 10)
    pictures = EmojiPictures.of(read_table(table_path()))
    assert pictures.names == EmojiNames.of(invented()) and len(pictures.names.things) == len(LABELS)
    first, again = (training.train_emoji_judge(pictures, seed=3, steps=2) for _ in range(2))
    for one, other in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    out = tmp_path / "judge.safetensors"
    assert training.main(["--out", str(out), "--steps", "1"]) == 0
    tree = json.loads(out.with_suffix(".json").read_text())
    assert EmojiNames(tree["drawn"]) == pictures.names and "worn renderings" in tree["accuracy"]
    assert training.main(["--steps", "0", "--out", str(out)]) == 2


def test_features_that_are_not_numbers_are_refused(judge):
    broken = EmojiNetwork(len(judge.names.things)).eval()
    next(broken.parameters()).data[0] = torch.nan
    with pytest.raises(InputError, match="the judge's .*not all numbers"):
        replace(judge, network=broken).features(torch.zeros(1, 3, 48, 48))
