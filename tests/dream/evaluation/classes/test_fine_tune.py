"""Fine-tuning: what is trained and how fast, that it learns, and that the model stays as it was."""

from dataclasses import replace

import pytest
import torch

from dream.errors import InputError
from dream.evaluation.classes import fine_tune_pictures as module
from dream.evaluation.classes.fine_tune import (
    Classifier,
    FineTuneSettings,
    fine_tuned,
    head_rate,
    parameter_groups,
    parameter_layer,
)
from dream.evaluation.classes.fine_tune_pictures import PictureRequest, TrainingPictures, augmented
from dream.randomness import generator
from tests.dream.evaluation.classes.labelled_small import write_set
from tests.dream.evaluation.evaluation_small import small_pretrained

QUICK = FineTuneSettings(label="ground", epochs=4, batch_size=32, lr=1e-2, train_count=120, test_count=80)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


@pytest.fixture
def photos(tmp_path):
    return str(write_set(tmp_path, {"red": "a", "green": "b", "blue": "c"}, 30))


def test_learning_rates_fall_with_the_depth(pretrained):
    """BEiT's: 0.75 a layer, the embedding lowest, the head and the last norm at 1."""
    encoder = pretrained.model.encoder
    classifier = Classifier(encoder, pretrained.image_tokenizer, ("x", "y"), generator(0))
    factors = {}
    for group in parameter_groups(classifier, FineTuneSettings()):
        for parameter in group["params"]:
            factors[id(parameter)] = group["factor"]
    assert len(factors) == len(list(classifier.parameters()))
    assert factors[id(classifier.head.weight)] == factors[id(encoder.norm_out.bias)] == 1.0
    assert factors[id(encoder.blocks[0].mlp.fc1.weight)] == 0.75
    lowest = (encoder.embed.weight, encoder.positions, encoder.buffer, encoder.norm_in.weight)
    assert {factors[id(parameter)] for parameter in lowest} == {0.75**2}


def test_layers_are_numbered_from_the_embedding():
    names = ("encoder.embed.weight", "encoder.blocks.0.norm1.weight", "encoder.blocks.11.mlp.fc1.bias")
    assert [parameter_layer(name, 12) for name in names] == [0, 1, 12]
    assert parameter_layer("encoder.norm_out.weight", 12) == parameter_layer("head.bias", 12) == 13


def test_only_matrices_decay(pretrained):
    encoder = pretrained.model.encoder
    classifier = Classifier(encoder, pretrained.image_tokenizer, ("x", "y"), generator(0))
    free = {
        id(p) for g in parameter_groups(classifier, FineTuneSettings()) if not g["weight_decay"] for p in g["params"]
    }
    assert {id(encoder.positions), id(encoder.buffer), id(classifier.head.bias)} < free
    assert id(classifier.head.weight) not in free and id(encoder.embed.weight) not in free


def test_the_head_rate_is_maes_rule():
    assert head_rate("photos", FineTuneSettings()) == pytest.approx(5e-4 * 64 / 256)
    assert head_rate("photos", FineTuneSettings(batch_size=1024, base_lr=1e-3)) == pytest.approx(4e-3)
    assert head_rate("photos", FineTuneSettings(lr=0.1)) == 0.1 and head_rate("shapes", FineTuneSettings()) == 3e-3


def test_it_learns_and_leaves_the_model_alone(pretrained):
    before = {name: tensor.clone() for name, tensor in pretrained.model.state_dict().items()}
    state = torch.get_rng_state()
    (measure,) = QUICK.measure(pretrained)
    assert measure.where["lr"] == 1e-2
    assert measure.estimate.value > measure.where["chance"] + 0.3 and measure.estimate.count == 80
    assert all(torch.equal(tensor, before[name]) for name, tensor in pretrained.model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert QUICK.measure(pretrained) == [measure]


def test_a_fine_tuned_classifier_is_frozen_and_knows_its_classes(pretrained, photos):
    settings = replace(QUICK, train_count=None, test_count=None, crop=0.5)
    classifier = fine_tuned(pretrained, photos, settings)
    assert classifier.classes == ("blue", "green", "red")
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    assert settings.measure(pretrained, data=photos)[0].estimate.value == 1.0


def test_a_large_folder_is_read_again_each_epoch(pretrained, photos, monkeypatch):
    request = PictureRequest(photos, "shape", count=None, batch_size=32, crop=1.0, flip=False, seed=0)

    def epoch(number):
        pictures = TrainingPictures(request, pretrained.config)
        batches = list(pictures.batches(number, generator(0)))
        assert [len(labels) for _, labels in batches[:-1]] == [32] * (len(batches) - 1)
        return torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches])

    held = epoch(0)
    monkeypatch.setattr(module, "MEMORY", 10_000)
    read, next_one = epoch(0), epoch(1)
    assert all(torch.equal(a, b) for a, b in zip(held, read, strict=True))
    assert not torch.equal(read[1], next_one[1]) and torch.equal(read[1].bincount(), next_one[1].bincount())


def test_augmented_photos_are_parts_of_the_photo():
    photo = torch.arange(30, dtype=torch.uint8).expand(20, 3, 30, 30) * 8  # brighter to the right
    draws = generator(0)
    same = augmented(photo, 1.0, False, draws)
    flipped = augmented(photo, 1.0, True, draws)
    cropped = augmented(photo, 0.3, False, draws)
    assert torch.equal(same, photo)
    assert {bool(p[0, 0, 0] > p[0, 0, -1]) for p in flipped} == {True, False}
    spread = (cropped[:, 0, 0, -1].int() - cropped[:, 0, 0, 0].int()).tolist()
    assert cropped.shape == photo.shape and max(spread) <= 232 and len(set(spread)) > 5 and min(spread) > 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "fine_tune.epochs"),
        ({"lr": 0.0}, "fine_tune.lr"),
        ({"layer_decay": 1.5}, "fine_tune.layer_decay must be in"),
        ({"smoothing": 1.0}, "fine_tune.smoothing must be in"),
        ({"label": "mood"}, "no label 'mood'"),
    ],
)
def test_bad_fine_tune_settings_are_refused(pretrained, change, message):
    with pytest.raises(InputError, match=message):
        replace(QUICK, **change).measure(pretrained)
