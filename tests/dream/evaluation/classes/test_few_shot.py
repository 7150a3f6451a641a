"""Few-shot classification: the protocol against a literal one, known features, and the 14 sets by name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dream.data.drawn.grammar import GROUNDS, is_held_out
from dream.data.report import reports_made
from dream.errors import InputError
from dream.evaluation.classes import few_shot_sets
from dream.evaluation.classes.episodes import Pool, distinct, draw_episodes, episode_accuracies
from dream.evaluation.classes.few_shot import FewShotSettings
from dream.evaluation.classes.few_shot_sets import SETS, resolve
from dream.evaluation.classes.few_shot_shapes import drawn_classes
from tests.dream.evaluation.evaluation_small import small_pretrained

QUICK = FewShotSettings(episodes=200, per_class=12)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def random_pool(classes, each, width, seed, shift=0.0):
    """Gaussian features; classes are `shift` apart, each along its own direction."""
    draws = np.random.default_rng(seed)
    labels = draws.permutation(np.arange(classes).repeat(each))
    features = draws.standard_normal((len(labels), width)) + shift * np.eye(classes, width)[labels]
    return Pool.of(torch.from_numpy(features), labels, classes)


def literal_accuracies(support, queries, settings, draws):
    """The protocol in words, one picture at a time."""
    classes, shown, asked = draw_episodes(support.counts, queries.counts, settings, draws)
    found = []
    for episode in range(settings.episodes):
        rows = [[support.starts[c] + i for i in shown[episode, k]] for k, c in enumerate(classes[episode])]
        few = support.features.double().numpy()
        centre = few[np.concatenate(rows)].mean(0) if settings.centred else 0.0
        unit = [[(few[r] - centre) / np.linalg.norm(few[r] - centre) for r in members] for members in rows]
        prototypes = [np.mean(members, axis=0) for members in unit]
        right = []
        for k, c in enumerate(classes[episode]):
            for i in asked[episode, k]:
                if i >= 0:
                    one = queries.features[queries.starts[c] + i].double().numpy() - centre
                    one = one / np.linalg.norm(one)
                    right.append(np.argmin([np.linalg.norm(one - p) for p in prototypes]) == k)
        found.append(np.mean(right))
    return np.array(found)


@pytest.mark.parametrize("centred", [True, False])
def test_the_vectorised_protocol_is_the_literal_one(centred):
    settings = FewShotSettings(episodes=40, ways=4, shots=3, queries=5, centred=centred)
    support, queries = random_pool(7, 6, 10, 0, 1.5), random_pool(7, 4, 10, 1, 1.5)
    ours = episode_accuracies(support, queries, settings, np.random.default_rng(2))
    theirs = literal_accuracies(support, queries, settings, np.random.default_rng(2))
    np.testing.assert_allclose(ours, theirs)
    assert 0.3 < ours.mean() < 1.0


def test_perfect_features_are_always_right_and_random_ones_by_chance():
    draws = np.random.default_rng(0)
    perfect = random_pool(12, 8, 16, 0, 1e6)
    assert episode_accuracies(perfect, perfect, FewShotSettings(episodes=300), draws).min() == 1.0
    for ways in (2, 5):
        settings = FewShotSettings(episodes=2000, ways=ways)
        blind = episode_accuracies(random_pool(40, 60, 16, 1), random_pool(40, 60, 16, 2), settings, draws)
        assert blind.mean() == pytest.approx(1 / ways, abs=0.02)


def test_centring_takes_away_what_all_features_share():
    """A large common part hides small differences between directions, but for the mean's subtraction."""
    support, queries = random_pool(6, 10, 12, 0, 6.0), random_pool(6, 10, 12, 1, 6.0)
    moved = [replace(pool, features=pool.features + 1000.0) for pool in (support, queries)]
    settings = FewShotSettings(episodes=100)
    plain, shifted = (
        episode_accuracies(*pools, settings, np.random.default_rng(0)) for pools in ((support, queries), moved)
    )
    np.testing.assert_allclose(plain, shifted, atol=0.04)
    assert plain.mean() > 0.9


def test_subsets_are_distinct_and_equally_likely():
    chosen = distinct(np.full(60_000, 5), 3, np.random.default_rng(0))
    assert (np.sort(chosen, 1)[:, 1:] > np.sort(chosen, 1)[:, :-1]).all()
    _, counts = np.unique(np.sort(chosen, 1), axis=0, return_counts=True)
    assert len(counts) == 10 and abs(counts - 6000).max() < 300
    few = distinct(np.array([2, 0]), 3, np.random.default_rng(0))
    assert sorted(few[0]) == [-1, 0, 1] and (few[1] == -1).all()


def test_classes_with_too_few_pictures_are_left_out():
    settings = FewShotSettings(episodes=50, ways=2, shots=3)
    support, queries = np.array([3, 2, 9, 5]), np.array([1, 9, 9, 0])
    classes, shown, asked = draw_episodes(support, queries, settings, np.random.default_rng(0))
    assert set(classes.ravel()) == {0, 2}
    assert (shown[classes == 0] < 3).all() and (asked[classes == 0].max(1) == 0).all()
    with pytest.raises(InputError, match="2 of 4 classes .* few_shot.ways = 3"):
        draw_episodes(support, queries, replace(settings, ways=3), np.random.default_rng(0))


# shapes


def test_drawn_classes_are_seen_and_unseen_combinations(pretrained):
    measures = QUICK.measure(pretrained)
    kinds = {(m.where["classes"], m.where["combination"]) for m in measures}
    assert kinds == {(k, c) for k in ("shape and colour", "near misses") for c in ("seen", "unseen")}
    for measure in measures:
        e = measure.estimate
        assert e.low <= e.value <= e.high and e.count == 200 and e.value > 0.2
    assert measures == QUICK.measure(pretrained)
    assert measures != QUICK.measure(pretrained, seed=1)


@pytest.mark.parametrize("level", [0, 2, 3])
def test_every_level_has_its_classes(pretrained, level):
    config = replace(pretrained.config, data=replace(pretrained.config.data, level=level))
    settings = replace(QUICK, episodes=10, per_class=11)
    assert len(settings.measure(replace(pretrained, config=config))) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": 1}, "few_shot.ways must be at least 2, got 1"),
        ({"shots": 0}, "few_shot.shots"),
        ({"per_class": 3}, "few_shot.per_class must be at least few_shot.shots = 5"),
        ({"ways": 6}, "5 of 5 classes"),
        ({"pooling": "mean"}, "pooling must be one of"),
    ],
)
def test_settings_out_of_range_are_refused(pretrained, changes, message):
    with pytest.raises(InputError, match=message):
        replace(QUICK, **changes).measure(pretrained)


# real sets


def class_folder(root, classes, each=3):
    """Pictures of one colour a class, in the halves train and test."""
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(classes):
            folder = root / split / f"class{number}"
            folder.mkdir(parents=True)
            colour = np.array([(80 * number) % 256, 40 * number, 255 - 50 * number])
            for i in range(each):
                pixels = np.clip(colour + draws.integers(-5, 5, (40, 36, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")


def test_class_folders_are_classified_and_broken_pictures_skipped(pretrained, tmp_path):
    class_folder(tmp_path, 4)
    (tmp_path / "train" / "class0" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    settings = FewShotSettings(episodes=50, ways=3, shots=3, queries=2)
    with reports_made() as found:
        (measure,) = settings.measure(pretrained, data=str(tmp_path))
    assert measure.where == {"data": str(tmp_path), "ways": 3, "shots": 3} and measure.estimate.value > 0.9
    assert any("class0/broken.jpg" in key for report in found for _, _, key, _ in report.problems())
    every = replace(settings, per_class=0).measure(pretrained, data=str(tmp_path))
    assert every[0].estimate == measure.estimate


def test_of_the_14_sets_those_in_a_folder_are_averaged_and_the_others_named(pretrained, tmp_path):
    class_folder(tmp_path / "pets", 4)
    class_folder(tmp_path / "dtd", 3)
    class_folder(tmp_path / "cars", 2)  # too few for three ways
    data = f"few-shot-14:{tmp_path}"
    assert [name for name, _ in resolve(data)] == ["cars", "dtd", "pets"]
    settings = FewShotSettings(episodes=50, ways=3, shots=3, queries=2)
    with reports_made() as found:
        dtd, pets, mean = settings.measure(pretrained, data=data)
    assert (dtd.where["data"], pets.where["data"], mean.where["data"]) == ("dtd", "pets", "mean of 2 sets")
    assert mean.estimate.value == pytest.approx((dtd.estimate.value + pets.estimate.value) / 2)
    skipped = {key: detail for report in found for kind, _, key, detail in report.problems() if "set" in kind}
    assert len(skipped) == 12 and skipped.keys() | {"dtd", "pets"} == SETS.keys()
    assert "2 of 2 classes" in skipped["cars"] and skipped["food101"] == "there is no such folder"
    assert mean.where["without"] == sorted(skipped)


def test_none_of_the_14_sets_is_an_error(pretrained, tmp_path):
    with pytest.raises(InputError, match="none of them exists"):
        FewShotSettings().measure(pretrained, data=f"few-shot-14:{tmp_path}")
    with pytest.raises(InputError, match="no such folder"):
        resolve(f"few-shot-14:{tmp_path / 'nowhere'}")
    class_folder(tmp_path / "cars", 2)
    with pytest.raises(InputError, match="no set of .* can be used; of cars: 2 of 2 classes"):
        replace(QUICK, shots=2).measure(pretrained, data=f"few-shot-14:{tmp_path}")


def test_names_stand_for_the_hubs_sets():
    assert len(SETS) == 14 and len(resolve("few-shot-14")) == 14
    assert all(entry.hub.startswith("hf:") and entry.hub.count("/") == 1 for entry in SETS.values())
    assert resolve("cifar10") == [("cifar10", SETS["cifar10"].hub)]
    assert resolve("hf:owner/name") == [("hf:owner/name", "hf:owner/name")]
    with pytest.raises(InputError, match="did you mean 'cifar100'"):
        resolve("cifar1000")
    with pytest.raises(InputError, match="few-shot-14:DIR"):
        resolve("few-shot-14:")
    assert few_shot_sets.missing("few-shot-14") == ()


@pytest.mark.parametrize("unseen", [True, False])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_class_shows_one_combination_on_every_ground(level, unseen):
    for _, classes in drawn_classes(level, unseen, 0):
        assert len(classes) >= 5
        things = [{(tuple((t.shape, t.colour) for t in s.things), s.relation) for s in c} for c in classes]
        assert all(len(one) == 1 for one in things) and len(set(map(frozenset, things))) == len(things)
        assert all({s.ground for s in c} == set(GROUNDS) for c in classes)
        assert all(is_held_out(s) == unseen for c in classes for s in c)
