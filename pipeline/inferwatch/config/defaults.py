"""The checks that a model gets before anyone has written a file for it. None of them pages.

docs/monitors.md lists them from here.
"""

from inferwatch.core.calibration import EFFECTS
from inferwatch.records.definition import Check, Definition, Limit, Need, Window

MINUTE = Window(name="minute", size_ms=60_000, step_ms=60_000)
HOUR = Window(name="hour", size_ms=3_600_000, step_ms=900_000)

DRIFT = "jensenshannon"
"""Of the methods by group the one with the fewest false alarms where few users send many rows."""
OUT_OF_RANGE = 6.8
"""What stays within the range of past windows scores 6.745 by `auto` at most."""


def _above(value: float) -> Limit:
    return Limit(direction="above", value=value, clear=value)


def _calibrated(method: str) -> Limit:
    effect = EFFECTS[method]
    return Limit(direction="above", value=effect, clear=effect, calibrated=True)


def default_checks() -> list[Check]:
    """The default set: warnings, and one observed check."""
    return [
        Check(
            alert="ErrorRate",
            metric="error_rate",
            window="minute",
            warn=_above(0.05),
            need=Need(rows=100),
            times=(2, 3),
            default=True,
        ),
        Check(
            alert="LatencyAnomaly",
            metric="latency.p99",
            method="auto",
            window="minute",
            warn=_above(OUT_OF_RANGE),
            need=Need(rows=100),
            times=(2, 3),
            default=True,
        ),
        Check(
            alert="FeatureDrift",
            metric="feature.*",
            method=DRIFT,
            window="hour",
            warn=_calibrated(DRIFT),
            need=Need(rows=1_000),
            default=True,
        ),
        Check(
            alert="ScoreDrift",
            metric="score",
            method=DRIFT,
            window="hour",
            warn=_calibrated(DRIFT),
            need=Need(rows=1_000),
            default=True,
        ),
        Check(
            alert="PredictionDrift",
            metric="prediction",
            method=DRIFT,
            window="hour",
            warn=_calibrated(DRIFT),
            need=Need(rows=1_000),
            default=True,
        ),
        Check(
            alert="MissingValues",
            metric="feature.*.missing",
            window="hour",
            warn=Limit(direction="rise", value=0.1, clear=0.1),
            need=Need(rows=200),
            default=True,
        ),
        Check(
            alert="UnseenCategories",
            metric="feature.*.unseen",
            window="hour",
            warn=_above(0.05),
            need=Need(rows=200),
            default=True,
        ),
        Check(
            alert="AccuracyDrop",
            metric="accuracy",
            window="hour",
            warn=Limit(direction="drop", value=0.05, relative=True, clear=0.05),
            need=Need(labels=200, coverage=0.8),
            default=True,
        ),
        Check(alert="ErrorShift", metric="error", method="adwin", warn=_above(0.0), default=True),
        Check(alert="ScoreShift", metric="score", method="adwin", warn=_above(0.0), default=True),
        Check(
            alert="FeatureShift",
            metric="feature.*",
            method="adwin",
            warn=_above(0.0),
            mode="observe",
            default=True,
        ),
        Check(
            alert="Silent",
            metric="traffic",
            method="absent",
            for_ms=600_000,
            warn=_above(0.0),
            default=True,
        ),
    ]


def default_definition() -> Definition:
    """What a model without a file is watched by: it learns its reference from 5,000 rows."""
    return Definition(windows=[MINUTE, HOUR], checks=default_checks())
