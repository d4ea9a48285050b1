"""Quality of predictions against labels: one file a family, each held to scikit-learn.

A metric's line below makes it known to monitor files: the tasks that it means something for,
whether it is a share, so that a limit may be given in points, and between which ends it lies.
"""

import math
from typing import NamedTuple

SHARE, AMOUNT, ANY = (0.0, 1.0), (0.0, math.inf), (-math.inf, math.inf)


class Metric(NamedTuple):
    """What a monitor file may do with a figure on labels."""

    tasks: tuple[str, ...]
    share: bool = True
    ends: tuple[float, float] = SHARE


_BINARY, _CLASSES, _NUMBERS = ("binary",), ("binary", "multiclass"), ("regression",)
_RANKING = ("ranking",)
_ALL = (*_CLASSES, *_NUMBERS, *_RANKING)

LABEL_METRICS = {
    "accuracy": Metric(_CLASSES),
    "balanced_accuracy": Metric(_CLASSES),
    "mcc": Metric(_CLASSES, ends=(-1.0, 1.0)),
    "precision": Metric(_BINARY),
    "recall": Metric(_BINARY),
    "f1": Metric(_BINARY),
    "specificity": Metric(_BINARY),
    "auc": Metric(_BINARY),
    "average_precision": Metric(_BINARY),
    "brier": Metric(_CLASSES, ends=(0.0, 2.0)),
    "calibration_bias": Metric(_CLASSES, ends=(-1.0, 1.0)),
    "calibration_error": Metric(_CLASSES),
    "log_loss": Metric(_CLASSES, share=False, ends=AMOUNT),
    "corrected.accuracy": Metric(_CLASSES),
    "macro_precision": Metric(("multiclass",)),
    "macro_recall": Metric(("multiclass",)),
    "macro_f1": Metric(("multiclass",)),
    "weighted_precision": Metric(("multiclass",)),
    "weighted_recall": Metric(("multiclass",)),
    "weighted_f1": Metric(("multiclass",)),
    "mae": Metric(_NUMBERS, share=False, ends=AMOUNT),
    "rmse": Metric(_NUMBERS, share=False, ends=AMOUNT),
    "bias": Metric(_NUMBERS, share=False, ends=ANY),
    "mape": Metric(_NUMBERS, share=False, ends=AMOUNT),
    "r2": Metric(_NUMBERS, share=False, ends=(-math.inf, 1.0)),
    "mrr": Metric(_RANKING),
    "hit_rate@1": Metric(_RANKING),
    "hit_rate@3": Metric(_RANKING),
    "hit_rate@5": Metric(_RANKING),
    "hit_rate@10": Metric(_RANKING),
    "hit_rate@20": Metric(_RANKING),
    "ndcg@1": Metric(_RANKING),
    "ndcg@3": Metric(_RANKING),
    "ndcg@5": Metric(_RANKING),
    "ndcg@10": Metric(_RANKING),
    "ndcg@20": Metric(_RANKING),
    "irrelevant_rate": Metric(_RANKING),
    "label_delay.p50": Metric(_ALL, share=False, ends=ANY),
    "label_delay.p90": Metric(_ALL, share=False, ends=ANY),
    "maturity": Metric(_ALL),
}
CLASS_FIGURES = {"precision": True, "recall": True, "f1": True, "support": False}
"""Of one class of several, as `class.<name>.recall`, and whether it is a share."""
CLASSES_SHOWN = 20
LATENESS = ("label_delay.p50", "label_delay.p90", "maturity")
"""Of the labels themselves, and of a whole model only: known under any coverage."""
CORRECTED = "corrected.accuracy"
"""Made for few labels: known under any coverage too."""


ERRORS = "errors"
"""Which rows are wrong: no figure of its own, an inspector says where they are."""


def class_of(metric: str) -> str:
    """The class that `class.<name>.recall` speaks of; "" for a metric of all classes."""
    head, _, figure = metric.rpartition(".")
    return head.removeprefix("class.") if head[:6] == "class." and figure in CLASS_FIGURES else ""


def of_every_class(metric: str) -> bool:
    """Whether the metric is `class.*.recall`: of each class, with an alert of its own."""
    return class_of(metric) == "*"


def on_reference(metric: str) -> str:
    """What the reference has to compare with: `accuracy` for `estimated.accuracy`."""
    return metric.removeprefix("estimated.").removeprefix("corrected.")


def on_labels(metric: str) -> bool:
    """Whether the metric is known by labels alone."""
    return metric in LABEL_METRICS or metric == ERRORS or bool(class_of(metric))
