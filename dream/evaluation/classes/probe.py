"""Linear probe: accuracy of a linear layer on the frozen encoder's features.

There are two forms. `lars` is MAE's recipe (arXiv 2111.06377, appendix A.1) without its random crops, because features
are computed once. A set smaller than its batch of 16,384 is a single batch, and takes more epochs to reach a useful
number of steps (on ImageNet 90 epochs are 7,000 steps). The peak rate is MAE's rule, base_lr * batch / 256: 6.4 for the
published batch. Small sets keep that peak, because that of their own batch does not finish in as many steps (3,000
drawn pictures, 500 steps: 87 % of the shapes right at 1.2, 97 % at 6.4); `rule=taken` applies the rule to it.
`logistic` is scikit-learn's logistic regression by L-BFGS on standardised features.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from timm.optim import Lars
from torch import Tensor, nn

from dream.errors import InputError
from dream.evaluation.classes.accuracy import accuracy, label_condition
from dream.evaluation.classes.examples import Examples, featured_splits
from dream.evaluation.classes.settings import FeatureSettings
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import at_least
from dream.evaluation.statistics import Measure
from dream.fields import Count, Positive
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from dream.weights.finite import require_finite

FORMS = ("lars", "logistic")
EPS = 1e-6
"""Epsilon of the normalisations before the linear layer."""
TRUST, MOMENTUM = 0.001, 0.9
"""Coefficients of LARS (arXiv 1708.03888), as MAE's probe has them."""


@dataclass(frozen=True)
class ProbeSettings(FeatureSettings, task="probe"):
    """MAE's recipe, except for `least_steps`."""

    epochs: Count = 90
    """Passes over the training features (`lars`)."""
    least_steps: Count = 500
    """Steps that a small set is trained for at least, by more passes (`lars`)."""
    batch_size: Annotated[int, at_least(2)] = 16384
    """Pictures per step, capped at the number of training pictures (`lars`)."""
    base_lr: Positive = 0.1
    """Peak learning rate per 256 pictures: MAE's rule is lr = base_lr * batch / 256 (`lars`)."""
    rule: Literal["nominal", "taken"] = "nominal"
    """Batch of that rule: `nominal`, the setting batch_size (with the defaults lr = 6.4, MAE's, for sets of any size),
    or `taken`, the pictures that a step takes (`lars`).
    """
    warmup_epochs: Annotated[int, at_least(0)] = 10
    """Epochs of rising learning rate, before it falls as a cosine (`lars`)."""
    form: Literal["lars", "logistic", "both"] = "both"
    """lars, logistic or both."""

    def _conflicts(self, name: str) -> Iterator[str]:
        """Warm-up must not exceed the training."""
        if self.warmup_epochs > self.epochs:
            yield f"probe.warmup_epochs must be at most probe.epochs = {self.epochs}, got {self.warmup_epochs}"

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Test accuracy by label and form; the condition `chance` is the share of the most frequent class.

        Raises InputError for a source that cannot be opened, or labels that it does not have.
        """
        progress(0.0, "encoding pictures")
        train, test = featured_splits(pretrained, data, self, seed)
        device = next(pretrained.model.parameters()).device
        measures = []
        for label in train.labels:
            for form in FORMS if self.form == "both" else (self.form,):
                logits = fit(train, label, form, self, seed, device).logits(test.inputs)
                rate = {"lr": peak_rate(len(train.inputs), self)} if form == "lars" else {}
                where = {"data": data, "form": form, **rate, **label_condition(label), "chance": test.chance(label)}
                measures += accuracy("probe", logits, test.labels[label], where)
        return measures


@dataclass(frozen=True)
class LinearClassifier:
    """A linear layer on normalised features."""

    layer_norm: bool
    """First bring each feature vector to mean 0 and variance 1."""
    centre: Tensor
    """(D,) subtracted from the features."""
    scale: Tensor
    """(D,) that the features are then divided by."""
    weight: Tensor
    """(C, D)."""
    bias: Tensor
    """(C,); minus infinity for a class without training pictures."""

    def logits(self, features: Tensor) -> Tensor:
        """(B, C) of features (B, D)."""
        x = _rows_normalised(features) if self.layer_norm else features
        return F.linear((x - self.centre) / self.scale, self.weight, self.bias)


def fit(
    train: Examples,
    label: str,
    form: str,
    settings: ProbeSettings = ProbeSettings(),
    seed: int = 0,
    device: torch.device | None = None,
) -> LinearClassifier:
    """Classifier of one label, of the form `lars` or `logistic`. Raises InputError if there is only one class."""
    features, labels, classes = train.inputs, train.labels[label], len(train.classes[label])
    if len(labels.unique()) < 2:
        raise InputError(f"a probe needs training pictures of two classes; all {len(labels)} are of one class")
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
    """LayerNorm, BatchNorm without affine parameters, and a linear layer, trained by LARS as in MAE's probe.

    The LayerNorm has no affine parameters either, because the BatchNorm after it would cancel them.
    """
    inputs, labels = _rows_normalised(features).to(device), labels.to(device)
    norm = nn.BatchNorm1d(features.shape[1], affine=False, eps=EPS).to(device)
    draws = generator(seed, "probe")
    weight = (0.01 * torch.randn(classes, features.shape[1], generator=draws)).to(device).requires_grad_()
    bias = torch.zeros(classes, device=device, requires_grad=True)
    batches, passes = passes_of(len(inputs), settings)
    steps = batches * passes
    peak = peak_rate(len(inputs), settings)
    groups = [{"params": [weight], "always_adapt": True}, {"params": [bias]}]  # a bias takes plain steps
    optimizer = Lars(groups, lr=peak, momentum=MOMENTUM, trust_coeff=TRUST, eps=0.0)
    for step in range(steps):
        if step % batches == 0:
            rows = torch.randperm(len(inputs), generator=draws).tensor_split(batches)
        batch = rows[step % batches].to(device)
        for group in optimizer.param_groups:
            group["lr"] = peak * schedule(step / steps, settings.warmup_epochs / settings.epochs)
        optimizer.zero_grad()
        F.cross_entropy(F.linear(norm(inputs[batch]), weight, bias), labels[batch]).backward()
        optimizer.step()
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + EPS).sqrt()
    return LinearClassifier(True, *(t.detach().cpu() for t in (norm.running_mean, scale, weight, bias)))


def fit_logistic(features: Tensor, labels: Tensor, classes: int) -> LinearClassifier:
    """Multinomial logistic regression (scikit-learn, L-BFGS, L2 with C = 1) on standardised features.

    Raises InputError if scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise InputError(
            "the logistic probe needs scikit-learn: pip install scikit-learn, or --set probe.form=lars"
        ) from None

    centre, scale = features.mean(0), features.std(0).clamp(min=EPS)
    standardised = require_finite((features - centre) / scale, "the standardised features")
    model = LogisticRegression(max_iter=1000)
    model.fit(standardised.double().numpy(), labels.numpy())
    rows, offsets = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if len(rows) == 1:  # for two classes scikit-learn stores the second class only
        rows, offsets = torch.cat([-rows, rows]) / 2, torch.cat([-offsets, offsets]) / 2
    trained = torch.from_numpy(model.classes_)
    weight = torch.zeros(classes, features.shape[1]).index_copy(0, trained, rows)
    bias = torch.full((classes,), -math.inf).index_copy(0, trained, offsets)
    return LinearClassifier(False, centre, scale, weight, bias)


def passes_of(count: int, settings: ProbeSettings) -> tuple[int, int]:
    """Batches per pass over `count` pictures, and the number of passes.

    Batches are equal to one picture. None has a single picture, from which BatchNorm learns no variance: it is merged
    into the others, so that every picture still counts once per pass.
    """
    batches = max(1, min(round(count / settings.batch_size), count // 2))
    return batches, max(settings.epochs, math.ceil(settings.least_steps / batches))


def peak_rate(count: int, settings: ProbeSettings) -> float:
    """Peak learning rate for `count` training pictures: base_lr * batch / 256, as in MAE."""
    taken = count / passes_of(count, settings)[0]
    return settings.base_lr * (settings.batch_size if settings.rule == "nominal" else taken) / 256


def schedule(progress: float, warmup: float) -> float:
    """Learning rate over its peak at `progress` (0 to 1): rises until `warmup`, then falls as a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / max(1 - warmup, 1e-9))))


def _rows_normalised(features: Tensor) -> Tensor:
    return F.layer_norm(features, features.shape[-1:], eps=EPS)
