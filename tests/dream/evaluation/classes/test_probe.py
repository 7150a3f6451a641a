"""Linear probe and nearest neighbours: against known data, scikit-learn and literal definitions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dream.errors import InputError
from dream.evaluation.classes.accuracy import accuracy
from dream.evaluation.classes.examples import Examples, example_chunks, featured
from dream.evaluation.classes.features import POOLINGS, encoder_features, picture_features
from dream.evaluation.classes.knn import KnnSettings, neighbour_votes
from dream.evaluation.classes.probe import ProbeSettings, fit, fit_lars, fit_logistic, passes_of, peak_rate, schedule
from dream.randomness import generator
from tests.dream.evaluation.classes.labelled_small import write_set
from tests.dream.evaluation.evaluation_small import small_pretrained

QUICK = ProbeSettings(epochs=60, warmup_epochs=6, least_steps=60, train_count=200, test_count=100)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def pictures(pretrained):
    chunks = example_chunks("shapes", pretrained.config, "test", labels=("shape",), count=6)
    return next(iter(chunks)).inputs


def blobs(count, classes=4, width=16, seed=0):
    """Separable Gaussian features and their labels."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(classes, size=count)
    features = draws.standard_normal((count, width)) + 8 * np.eye(classes, width)[labels]
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


# features


def test_poolings_are_means_of_the_encoders_tokens(pretrained, pictures):
    tokens = pretrained.image_tokenizer.tokenize(pictures)
    with torch.no_grad():
        encoded = pretrained.model.encode(tokens, torch.zeros(tokens.shape[:2], dtype=torch.bool))
    front = pretrained.config.encoder.buffer_tokens
    wanted = {"image": encoded[:, front:], "buffer": encoded[:, :front], "all": encoded}
    for pooling, kept in wanted.items():
        torch.testing.assert_close(encoder_features(pretrained, pictures, pooling), kept.mean(1))
    joint = picture_features(pretrained, pictures, 0.0, generator(0))
    torch.testing.assert_close(encoder_features(pretrained, pictures, "joint"), joint)
    assert all(len(encoder_features(pretrained, pictures[:0], pooling)) == 0 for pooling in POOLINGS)


def test_features_do_not_depend_on_the_batch(pretrained, pictures, monkeypatch):
    together = encoder_features(pretrained, pictures)
    monkeypatch.setattr("dream.evaluation.classes.features.CHUNK", 4)
    torch.testing.assert_close(encoder_features(pretrained, pictures), together)


def test_another_pooling_is_refused(pretrained, pictures):
    with pytest.raises(InputError, match="one of image, buffer, all, joint, got 'cls'"):
        encoder_features(pretrained, pictures, "cls")


# probe


@pytest.mark.parametrize("form", ["lars", "logistic"])
def test_separable_classes_are_told_apart(form):
    features, labels = blobs(600)
    train = Examples(features[:400], {"class": labels[:400]}, {"class": tuple("abcd")})
    found = fit(train, "class", form).logits(features[400:])
    assert accuracy("probe", found, labels[400:], {})[0].estimate.value > 0.99


def test_random_labels_are_guessed_by_chance():
    features, labels = blobs(600)
    train = Examples(features[:400], {"class": labels[:400]}, {"class": tuple("abcd")})
    shuffled = labels[400:][torch.randperm(200, generator=generator(0))]
    for form in ("lars", "logistic"):
        found = fit(train, "class", form, QUICK).logits(features[400:])
        assert 0.1 < accuracy("probe", found, shuffled, {})[0].estimate.value < 0.4


def test_logistic_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = blobs(300, classes=3)
    features[:, 0] *= 50
    known = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, labels)
    ours = fit_logistic(features, labels, 3).logits(features).softmax(1)
    assert np.abs(ours.numpy() - known.predict_proba(features)).max() < 0.01


@pytest.mark.parametrize("classes", [(0, 2), (0, 1, 3)])
def test_a_class_that_was_not_trained_is_never_answered(classes):
    features, labels = blobs(400)
    kept = torch.isin(labels, torch.tensor(classes))
    logits = fit_logistic(features[kept], labels[kept], 4).logits(features)
    assert set(logits.argmax(1).tolist()) == set(classes)
    assert (logits[kept].argmax(1) == labels[kept]).float().mean() > 0.99


def test_lars_takes_the_steps_of_maes_probe():
    """Trust ratio 0.001 |w| / |g| for the matrix, plain steps for the bias, momentum 0.9, no decay."""
    features, labels = blobs(64)
    settings = ProbeSettings(epochs=4, warmup_epochs=0, least_steps=1, batch_size=64)
    found = fit_lars(features, labels, 4, settings)
    draws = generator(0, "probe")
    weight, bias = 0.01 * torch.randn(4, 16, generator=draws), torch.zeros(4)
    momenta = [torch.zeros_like(weight), torch.zeros_like(bias)]
    inputs = F.layer_norm(features, features.shape[1:], eps=1e-6)
    inputs = (inputs - inputs.mean(0)) / (inputs.var(0, unbiased=False) + 1e-6).sqrt()
    for step in range(4):
        scores = [tensor.requires_grad_() for tensor in (weight, bias)]
        gradients = list(torch.autograd.grad(F.cross_entropy(F.linear(inputs, *scores), labels), scores))
        gradients[0] = gradients[0] * (0.001 * weight.norm() / gradients[0].norm())
        momenta = [0.9 * momentum + gradient for momentum, gradient in zip(momenta, gradients, strict=True)]
        lr = 0.1 * 64 / 256 * schedule(step / 4, 0.0)
        weight, bias = ((tensor - lr * momentum).detach() for tensor, momentum in zip(scores, momenta, strict=True))
    torch.testing.assert_close(found.weight, weight)
    torch.testing.assert_close(found.bias, bias)


def test_the_learning_rate_rises_then_falls_to_nothing():
    assert [schedule(p, 0.2) for p in (0.0, 0.1, 0.2)] == [0.0, 0.5, 1.0]
    assert schedule(0.6, 0.2) == pytest.approx(0.5) and schedule(1.0, 0.2) == pytest.approx(0.0)
    assert schedule(0.0, 0.0) == 1.0


def test_features_scale_and_shift_do_not_matter_to_lars():
    """LayerNorm: a picture's features times a number, plus another, are the same features."""
    features, labels = blobs(200)
    plain = fit_lars(features, labels, 4, QUICK).logits(features)
    moved = fit_lars(7 * features + 3, labels, 4, QUICK).logits(7 * features + 3)
    torch.testing.assert_close(plain, moved, rtol=1e-3, atol=1e-3)


def test_a_small_set_is_passed_more_often():
    """ImageNet's 1.28 million pictures are MAE's 90 epochs of 78 batches."""
    counts = (200, 16384, 50_000, 1_281_167)
    assert [passes_of(n, ProbeSettings()) for n in counts] == [(1, 500), (1, 500), (3, 167), (78, 90)]


@pytest.mark.parametrize("count", [3, 5, 7, 9, 16, 17])
@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_no_batch_of_one_is_left_and_none_is_dropped(count, batch_size):
    """BatchNorm cannot learn from one picture."""
    settings = ProbeSettings(batch_size=batch_size, epochs=1, least_steps=1, warmup_epochs=0)
    batches, _ = passes_of(count, settings)
    sizes = [len(rows) for rows in torch.arange(count).tensor_split(batches)]
    assert min(sizes) >= 2 and sum(sizes) == count and max(sizes) <= min(sizes) + 1
    features, labels = blobs(count, classes=2)
    assert fit_lars(features, labels, 2, settings).logits(features).isfinite().all()


def test_the_peak_rate_is_maes_rule_and_is_shown(pretrained):
    """0.1 * 16384 / 256, or with the batch that a step takes."""
    assert peak_rate(1_281_167, ProbeSettings()) == peak_rate(200, ProbeSettings()) == pytest.approx(6.4)
    taken = ProbeSettings(rule="taken")
    assert peak_rate(200, taken) == pytest.approx(0.1 * 200 / 256)
    assert peak_rate(1_281_167, taken) == pytest.approx(0.1 * (1_281_167 / 78) / 256)
    for measure in replace(QUICK, rule="taken").measure(pretrained):
        assert measure.where.get("lr") == (pytest.approx(0.1 * 200 / 256) if measure.where["form"] == "lars" else None)


def test_an_untrained_encoder_still_shows_the_ground(pretrained):
    measures = QUICK.measure(pretrained)
    assert len(measures) == 4 * 2
    ground = [m for m in measures if m.where["label"] == "ground"]
    assert all(m.estimate.value > m.where["chance"] + 0.2 and m.estimate.count == 100 for m in ground)
    assert measures == QUICK.measure(pretrained)


def test_the_model_and_the_global_generator_are_left_alone(pretrained):
    before = {name: tensor.clone() for name, tensor in pretrained.model.state_dict().items()}
    state = torch.get_rng_state()
    QUICK.measure(pretrained)
    assert all(torch.equal(tensor, before[name]) for name, tensor in pretrained.model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_stored_set_has_one_label(pretrained, tmp_path):
    source = str(write_set(tmp_path, {"red": "a", "blue": "c"}, 30))
    measures = replace(QUICK, form="logistic", train_count=None).measure(pretrained, data=source)
    assert len(measures) == 1 and "label" not in measures[0].where
    assert measures[0].estimate.value == 1.0


def test_of_many_classes_the_top_five_count_too():
    logits = torch.eye(30)
    first, among = accuracy("probe", logits, torch.arange(30), {})
    assert first.estimate.value == among.estimate.value == 1.0 and among.name == "top-5 accuracy"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "svm"}, "probe.form must be one of lars, logistic, both, got 'svm'"),
        ({"epochs": 0}, "probe.epochs must be at least 1"),
        ({"base_lr": 0.0}, "probe.base_lr"),
        ({"warmup_epochs": 91}, "at most probe.epochs"),
        ({"pooling": "cls"}, "pooling must be"),
        ({"labels": ("mood",)}, "no label 'mood'"),
    ],
)
def test_bad_probe_settings_are_refused(pretrained, change, message):
    with pytest.raises(InputError, match=message):
        replace(QUICK, **change).measure(pretrained)


def test_a_single_class_is_refused(pretrained, tmp_path):
    source = str(write_set(tmp_path, {"red": "a"}, 30))
    with pytest.raises(InputError, match="two classes at least"):
        replace(QUICK, train_count=None).measure(pretrained, data=source)


# nearest neighbours


def test_votes_are_weighed_by_closeness():
    known, labels = blobs(50, classes=3, width=6)
    asked, _ = blobs(300, classes=3, width=6, seed=1)
    settings = KnnSettings(k=(1, 7, 99), temperature=0.2)
    votes = neighbour_votes(known, labels, asked, 3, settings)
    cosine = F.normalize(asked, dim=1) @ F.normalize(known, dim=1).T
    for k, found in zip((1, 7, 50), votes, strict=True):
        for row in range(0, 300, 37):
            nearest = cosine[row].argsort(descending=True)[:k]
            literal = torch.zeros(3)
            for i in nearest.tolist():
                literal[labels[i]] += torch.exp((cosine[row, i] - cosine[row, nearest[0]]) / 0.2)
            torch.testing.assert_close(found[row], literal)


def test_its_own_nearest_neighbour_is_always_right(pretrained, monkeypatch):
    data = featured(
        pretrained, example_chunks("shapes", pretrained.config, "train", labels=("shape",), count=80), "image"
    )
    monkeypatch.setattr("dream.evaluation.classes.examples.featured", lambda *args: data)
    measures = KnnSettings(k=(1, 80)).measure(pretrained)
    assert measures[0].estimate.value == 1.0 and measures[1].estimate.value < 1.0


def test_knn_counts_by_label_and_k(pretrained):
    settings = KnnSettings(train_count=150, test_count=60, pooling="joint")
    measures = settings.measure(pretrained)
    assert [(m.where["label"], m.where["k"]) for m in measures] == [
        (label, k) for label in settings.labels for k in (1, 5, 20)
    ]
    assert measures == settings.measure(pretrained)
    for change in ({"k": ()}, {"k": (0,)}, {"temperature": 0.0}):
        with pytest.raises(InputError, match="knn"):
            replace(settings, **change).measure(pretrained)
