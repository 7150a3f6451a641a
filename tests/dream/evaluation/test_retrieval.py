"""Retrieval and edited captions: known spaces, chance for the untrained, and how things are counted."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dream.data.drawn.shapes import ShapesSource
from dream.errors import InputError
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.edits import EditsSettings
from dream.evaluation.retrieval import RetrievalSettings, ranked_before, recalls
from dream.randomness import generator
from tests.dream.evaluation.evaluation_small import by_name, small_pretrained


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def test_recall_of_a_perfect_a_constant_and_a_shifted_space():
    perfect = recalls(torch.eye(12))
    assert all(value == 1.0 for ranks in perfect.values() for value in ranks.values())
    assert all(value == 0.0 for ranks in recalls(torch.ones(12, 12)).values() for value in ranks.values())
    shifted = torch.eye(12).roll(1, 0) + 0.5 * torch.eye(12)
    assert {d: r[1] for d, r in recalls(shifted).items()} == dict.fromkeys(recalls(shifted), 0.0)
    assert {d: r[5] for d, r in recalls(shifted).items()} == dict.fromkeys(recalls(shifted), 1.0)


def test_the_two_directions_are_each_others_transpose():
    similarity = torch.randn(20, 20, generator=generator("retrieval test"))
    there, back = recalls(similarity), recalls(similarity.T)
    assert there["text to image"] == back["image to text"] and there["image to text"] == back["text to image"]


def test_an_untrained_model_retrieves_by_chance(pretrained):
    settings = RetrievalSettings(pool=32, pools=10, mask_ratios=(0.0, 0.75))
    measures = settings.measure(pretrained)
    assert len(measures) == 2 * 2 * 3
    assert all(e.low <= e.value <= e.high and e.value < 0.7 and e.count == 10 for e in by_name(measures).values())
    assert measures == settings.measure(pretrained)


def test_few_pools_have_intervals_over_the_queries(pretrained):
    measures = RetrievalSettings(pool=32, pools=1, mask_ratios=(0.5,)).measure(pretrained)
    assert all(e.count == 32 and e.low < e.high for e in by_name(measures).values())


# several captions per picture


def test_a_picture_finds_its_captions_if_any_is_among_the_first_and_each_caption_is_a_query():
    """By the definition, on random similarities with one to five captions per picture."""
    draws = np.random.default_rng(0)
    owners = np.repeat(np.arange(30), draws.integers(1, 6, 30))
    similarity = draws.standard_normal((30, len(owners)))
    found = ranked_before(torch.from_numpy(similarity), torch.from_numpy(owners))
    for column, owner in enumerate(owners):
        order = np.argsort(-similarity[:, column]).tolist()
        assert found["text to image"][column] == order.index(owner)
    for row in range(30):
        order = owners[np.argsort(-similarity[row])].tolist()
        assert found["image to text"][row] == order.index(row)  # the place of the first right one


def test_one_caption_each_counts_as_before():
    similarity = torch.randn(20, 20, generator=generator("retrieval test"))
    own, others = similarity.diagonal(), ~torch.eye(20, dtype=torch.bool)
    found = ranked_before(similarity)
    assert torch.equal(found["text to image"], ((similarity >= own[None]) & others).sum(0))
    assert torch.equal(found["image to text"], ((similarity >= own[:, None]) & others).sum(1))


def coco(folder, captions, count=40, first="the same"):
    """Pictures with a list of captions each, all in `val`; the last caption shows the picture's brightness."""
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        with open(folder / split / "metadata.jsonl", "w") as lines:
            for i in range(count):
                Image.new("RGB", (8, 8), (6 * i, 6 * i, 6 * i)).save(folder / split / f"{i:03d}.png")
                texts = [f"{first} {i}" if n < captions - 1 else f"grey {i}" for n in range(captions)]
                lines.write(json.dumps({"file_name": f"{i:03d}.png", "captions": texts}) + "\n")
    return str(folder)


@pytest.fixture
def by_brightness(monkeypatch):
    """Features in which `grey i` and a picture of brightness i are one, and other captions lie elsewhere."""

    def of_texts(pretrained, captions):
        return torch.stack([torch.eye(42)[int(c.split()[1]) if c.startswith("grey") else 41] for c in captions])

    def of_pictures(pretrained, images, ratio, masks):
        return torch.eye(42)[images[:, 0, 0, 0].long() // 6]

    monkeypatch.setattr("dream.evaluation.retrieval.caption_features", of_texts)
    monkeypatch.setattr("dream.evaluation.retrieval.picture_features", of_pictures)


def test_all_captions_of_a_list_count(pretrained, by_brightness, tmp_path):
    """One of five captions is perfect, the others say nothing: a picture finds it, and one query of five succeeds."""
    settings = RetrievalSettings(pool=20, mask_ratios=(0.0,))
    measures = settings.measure(pretrained, data=coco(tmp_path, 5))
    found = by_name(measures, pools=2, pool=20, captions=200)
    assert found["image to text R@1"].value == 1.0 and found["image to text R@1"].count == 40
    assert found["text to image R@1"].value == found["text to image R@10"].value == 0.2
    assert found["text to image R@1"].count == 40  # pictures, since five captions of one are not independent
    one = settings.measure(pretrained, data=coco(tmp_path / "one", 1))
    assert by_name(one)["text to image R@1"].value == 1.0 and "captions" not in one[0].where


def test_published_protocols_have_their_pools_and_take_equal_captions(pretrained, by_brightness, tmp_path, monkeypatch):
    monkeypatch.setattr("dream.evaluation.retrieval.PROTOCOLS", {"coco_1k": (8, 5), "coco_5k": (40, 1)})
    data = coco(tmp_path, 5)
    lines = (tmp_path / "val" / "metadata.jsonl").read_text().replace("the same 1", "the same 2")
    (tmp_path / "val" / "metadata.jsonl").write_text(lines)  # two pictures begin with one caption
    for protocol, pools in (("coco_1k", 5), ("coco_5k", 1)):
        (measure, *_) = replace(RetrievalSettings(mask_ratios=(0.0,)), protocol=protocol).measure(pretrained, data=data)
        named = {"protocol": protocol, "pools": pools, "pool": 40 // pools, "captions": 200}
        assert named.items() <= measure.where.items()
    with pytest.raises(InputError, match=r"needs 40 pictures \(coco_5k\), .* has 30"):
        RetrievalSettings(protocol="coco_5k").measure(pretrained, data=coco(tmp_path / "few", 2, count=30))
    with pytest.raises(InputError, match="coco_1k is for sets of pictures"):
        RetrievalSettings(protocol="coco_1k").measure(pretrained)


def test_another_split_can_be_named(pretrained, by_brightness, tmp_path):
    data = coco(tmp_path, 2)
    (tmp_path / "train").rename(tmp_path / "test")
    (tmp_path / "val").rename(tmp_path / "train")
    settings = RetrievalSettings(pool=20, mask_ratios=(0.0,), split="test")
    assert settings.measure(pretrained, data=data)[0].where["captions"] == 80


def test_features_are_normalised_and_depend_on_the_mask(pretrained):
    batch = ShapesSource(pretrained.config).fixed(6)
    bare = picture_features(pretrained, batch.images, 0.0, generator(0))
    hidden = picture_features(pretrained, batch.images, 0.75, generator(0))
    words = caption_features(pretrained, batch.captions)
    for features in (bare, hidden, words):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(6))
    assert not torch.allclose(bare, hidden)
    torch.testing.assert_close(bare, picture_features(pretrained, batch.images, 0.0, generator(1)))


def test_edits_are_counted_by_kind_and_combination(pretrained):
    measures = EditsSettings(count=200, mask_ratios=(0.0,)).measure(pretrained)
    for combination, count in (("all", 200), ("unseen", 100), ("seen", 100)):
        found = by_name(measures, combination=combination)
        assert set(found) == {"colour", "shape", "swapped", "relation", "ground"}
        assert found["colour"].count == count and 0 < found["swapped"].count < count
        assert found["swapped"].count == found["relation"].count


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RetrievalSettings(pool=1), "retrieval.pool must be at least 2, got 1"),
        (lambda: RetrievalSettings(mask_ratios=(1.0,)), r"retrieval.mask_ratios .* \[0, 1\), got \(1.0,\)"),
        (lambda: replace(EditsSettings(), mask_ratios=()), "edits.mask_ratios must be one or more"),
        (lambda: EditsSettings(count=0), "edits.count must be at least 2, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_edits_need_an_answer_key(pretrained):
    with pytest.raises(InputError, match="needs an answer key"):
        EditsSettings().measure(pretrained, data="pictures")
