"""Accuracy of predicted classes as measures, and the conditions that name them."""

from torch import Tensor

from dream.evaluation.classes.examples import STORED
from dream.evaluation.statistics import Measure, share
from dream.weights.finite import require_logits

TOP = 5
"""Rank that is also reported if there are at least four times as many classes."""


def accuracy(task: str, logits: Tensor, labels: Tensor, where: dict[str, object]) -> list[Measure]:
    """Share of rows whose own class has the greatest logit; with many classes also among the TOP greatest.

    Raises InputError for logits that are NaN or plus infinity.
    """
    require_logits(logits, f"the logits of '{task}'")
    measures = [Measure(task, "accuracy", where, share((logits.argmax(dim=1) == labels).numpy()))]
    if logits.shape[1] >= 4 * TOP:
        among_top = (logits.topk(TOP, dim=1).indices == labels[:, None]).any(dim=1)
        measures.append(Measure(task, f"top-{TOP} accuracy", where, share(among_top.numpy())))
    return measures


def label_condition(label: str) -> dict[str, object]:
    """Condition that names a label; empty for a stored set, which has only one."""
    return {} if label == STORED else {"label": label}
