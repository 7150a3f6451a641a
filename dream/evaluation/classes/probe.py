"""The linear probe: how well a linear layer on the frozen encoder's features tells classes apart.

Two forms. `lars` is MAE's recipe (arXiv 2111.06377, appendix A.1) without its random crops, since features
are computed once. A set smaller than its batch of 16,384 is one batch, and is passed more often, so that the
weights get anywhere: on ImageNet 90 passes are 7,000 steps. `logistic` is scikit-learn's logistic regression
by L-BFGS on standardised features.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.errors import InputError
from dream.evaluation.classes.examples import STORED, Examples, featured_splits
from dream.evaluation.limits import at_least
from dream.evaluation.statistics import Measure, share
from dream.randomness import generator

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

FORMS = ("lars", "logistic")
EPS = 1e-6
"""Of the normalisations before the linear layer."""
TRUST, MOMENTUM = 0.001, 0.9
"""Of LARS."""
TOP = 5
"""Rank that counts beside the first where there are at least four times as many classes."""


@dataclass(frozen=True)
class ProbeSettings:
    """MAE's recipe, but for `least_steps`."""

    epochs: int = 90
    """Passes over the training features (`lars`)."""
    least_steps: int = 500
    """Of a small set there are more passes, to make so many steps (`lars`)."""
    batch_size: int = 16384
    """Pictures a step (`lars`); at most all there are."""
    base_lr: float = 0.1
    """Peak learning rate is this * batch_size / 256 (`lars`)."""
    warmup_epochs: int = 10
    """Of `epochs`, those with a rising learning rate, before it falls as a cosine (`lars`)."""
    pooling: str = "image"
    """What of the encoder is read: image (mean of its tokens), buffer, all, or joint (the joint space)."""
    labels: tuple[str, ...] = ("shape", "colour", "relation", "ground")
    """What is told apart (shapes only); of several things the first counts."""
    train_count: int | None = None
    """Training pictures, evenly over the classes of a stored set; none: all (3,000 drawn ones)."""
    test_count: int | None = None
    """Test pictures; none: all (2,000 drawn ones)."""
    form: str = "both"
    """lars, logistic or both."""


@dataclass(frozen=True)
class LinearClassifier:
    """A linear layer on features that are normalised in two ways before."""

    layer_norm: bool
    """Each feature vector is brought to mean 0 and variance 1 first."""
    centre: Tensor
    """(D,) subtracted from the features."""
    scale: Tensor
    """(D,) the features are divided by it then."""
    weight: Tensor
    """(C, D)."""
    bias: Tensor
    """(C,); minus infinity for a class that was not trained."""

    def logits(self, features: Tensor) -> Tensor:
        """(B, C) of features (B, D)."""
        x = _rows_normalised(features) if self.layer_norm else features
        return F.linear((x - self.centre) / self.scale, self.weight, self.bias)


def linear_probe(
    pretrained: "Pretrained", *, data: str = "shapes", settings: ProbeSettings = ProbeSettings(), seed: int = 0
) -> list[Measure]:
    """Test accuracy by label and form, with the share of the most frequent class as `chance` beside it.

    Raises InputError for bad settings, a source that cannot be opened, or labels that it has not.
    """
    check(settings)
    train, test = featured_splits(
        pretrained,
        data,
        labels=settings.labels,
        pooling=settings.pooling,
        train_count=settings.train_count,
        test_count=settings.test_count,
        seed=seed,
    )
    forms = FORMS if settings.form == "both" else (settings.form,)
    device = next(pretrained.model.parameters()).device
    return [
        measure
        for label in train.labels
        for form in forms
        for measure in _measures(
            fit(train, label, form, settings, seed, device), test, label, {"data": data, "form": form}
        )
    ]


def check(settings: ProbeSettings) -> None:
    """Raises InputError for settings out of range."""
    at_least("probe", settings, epochs=1, least_steps=1, batch_size=2, warmup_epochs=0)
    at_least("probe", settings, train_count=2, test_count=1)
    if not settings.base_lr > 0:
        raise InputError(f"probe.base_lr must be above 0, got {settings.base_lr}")
    if settings.warmup_epochs > settings.epochs:
        raise InputError(f"probe.warmup_epochs must be at most probe.epochs, got {settings.warmup_epochs}")
    if settings.form not in (*FORMS, "both"):
        raise InputError(f"probe.form must be {', '.join(FORMS)} or both, got '{settings.form}'")


def fit(
    train: Examples,
    label: str,
    form: str,
    settings: ProbeSettings = ProbeSettings(),
    seed: int = 0,
    device: torch.device | None = None,
) -> LinearClassifier:
    """The classifier of one label, of the form `lars` or `logistic`. Raises InputError for a single class."""
    features, labels, classes = train.inputs, train.labels[label], len(train.classes[label])
    if len(labels.unique()) < 2:
        raise InputError(f"a probe needs training pictures of two classes, all {len(labels)} are of one")
    if form == "logistic":
        return fit_logistic(features, labels, classes)
    return fit_lars(features, labels, classes, settings, seed, device)


def fit_lars(
    features: Tensor,
    labels: Tensor,
    classes: int,
    settings: ProbeSettings = ProbeSettings(),
    seed: int = 0,
    device: torch.device | None = None,
) -> LinearClassifier:
    """LayerNorm, BatchNorm without affine parameters and a linear layer, trained by LARS as MAE's probe.

    The LayerNorm has none either: the BatchNorm behind it would undo them. Momentum 0.9, no weight decay.
    """
    inputs, labels = _rows_normalised(features).to(device), labels.to(device)
    norm = nn.BatchNorm1d(features.shape[1], affine=False, eps=EPS).to(device)
    draws = generator(seed, "probe")
    weight = (0.01 * torch.randn(classes, features.shape[1], generator=draws)).to(device).requires_grad_()
    bias = torch.zeros(classes, device=device, requires_grad=True)
    momenta = torch.zeros_like(weight), torch.zeros_like(bias)
    batches, passes = passes_of(len(inputs), settings)
    steps = batches * passes
    peak = settings.base_lr * settings.batch_size / 256
    for step in range(steps):
        if step % batches == 0:
            rows = torch.randperm(len(inputs), generator=draws).tensor_split(batches)
        batch = rows[step % batches].to(device)
        lr = peak * schedule(step / steps, settings.warmup_epochs / settings.epochs)
        F.cross_entropy(F.linear(norm(inputs[batch]), weight, bias), labels[batch]).backward()
        for parameter, momentum in zip((weight, bias), momenta, strict=True):
            lars_step(parameter, momentum, lr)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + EPS).sqrt()
    parts = (norm.running_mean, scale, weight, bias)
    return LinearClassifier(True, *(part.detach().cpu() for part in parts))


def fit_logistic(features: Tensor, labels: Tensor, classes: int) -> LinearClassifier:
    """Multinomial logistic regression (scikit-learn, L-BFGS, L2 with C = 1) on standardised features.

    Raises InputError where scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise InputError(
            "the logistic probe needs scikit-learn: pip install scikit-learn, or --set probe.form=lars"
        ) from None

    centre, scale = features.mean(0), features.std(0).clamp(min=EPS)
    model = LogisticRegression(max_iter=1000)
    model.fit(((features - centre) / scale).double().numpy(), labels.numpy())
    rows, offsets = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if len(rows) == 1:  # of two classes scikit-learn keeps the second one's
        rows, offsets = torch.cat([-rows, rows]) / 2, torch.cat([-offsets, offsets]) / 2
    trained = torch.from_numpy(model.classes_)
    weight = torch.zeros(classes, features.shape[1]).index_copy(0, trained, rows)
    bias = torch.full((classes,), -math.inf).index_copy(0, trained, offsets)
    return LinearClassifier(False, centre, scale, weight, bias)


def passes_of(count: int, settings: ProbeSettings) -> tuple[int, int]:
    """Batches that so many pictures are, and how often they are passed."""
    batches = max(1, round(count / settings.batch_size))
    return batches, max(settings.epochs, math.ceil(settings.least_steps / batches))


def schedule(progress: float, warmup: float) -> float:
    """Learning rate over its peak at `progress` (0 to 1): it rises up to `warmup`, then falls as a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / max(1 - warmup, 1e-9))))


def accuracy(task: str, name: str, logits: Tensor, labels: Tensor, where: dict[str, object]) -> list[Measure]:
    """The share of rows whose own class has the greatest logit; of many classes, among the TOP too."""
    found = [Measure(task, name, where, share((logits.argmax(dim=1) == labels).numpy()))]
    if logits.shape[1] >= 4 * TOP:
        among = (logits.topk(TOP, dim=1).indices == labels[:, None]).any(dim=1)
        found.append(Measure(task, f"top-{TOP} {name}", where, share(among.numpy())))
    return found


def condition(label: str) -> dict[str, object]:
    """The condition that names a label: none for a stored set, which has but one."""
    return {} if label == STORED else {"label": label}


def _measures(classifier: LinearClassifier, test: Examples, label: str, where: dict[str, object]) -> list[Measure]:
    where = {**where, **condition(label), "chance": test.chance(label)}
    return accuracy("probe", "accuracy", classifier.logits(test.inputs), test.labels[label], where)


def _rows_normalised(features: Tensor) -> Tensor:
    return F.layer_norm(features, features.shape[-1:], eps=EPS)


@torch.no_grad()
def lars_step(parameter: Tensor, momentum: Tensor, lr: float) -> None:
    """One step of LARS (arXiv 1708.03888) as MAE has it, from the parameter's gradient; both change in place.

    A matrix's gradient is scaled to TRUST of the matrix's norm, a bias takes plain steps. No weight decay.
    """
    gradient = parameter.grad
    assert gradient is not None
    norms = parameter.norm() * gradient.norm()
    if parameter.ndim > 1 and norms > 0:
        gradient = gradient * (TRUST * parameter.norm() / gradient.norm())
    momentum.mul_(MOMENTUM).add_(gradient)
    parameter.sub_(lr * momentum)
    parameter.grad = None
