"""What the models of little streams are watched by: a check of every kind.

Windows are so short that they close all the time.
"""

from random import Random
from typing import cast

import msgspec
import numpy as np

from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Reference,
    Task,
    Window,
)
from inferwatch.testing.request import MINUTE_MS, START_MS, Request

REFERENCE_ROWS = 60


def definition(model: str, change: int = 0) -> Definition:
    """What `model` is watched by: every kind of window, reference and rule.

    The `change`-th changed definition moves a threshold, takes a check away, or resizes a window.
    """
    task = cast(Task, model.split("/")[0])
    windows, checks = _windows(task), [*_checks(), *_label_checks(task)]
    if change % 3 == 1:
        checks[0] = msgspec.structs.replace(checks[0], warn=_above(0.02 * (1 + change)))
    elif change % 3 == 2:
        del checks[0]
    elif change:
        windows[0] = msgspec.structs.replace(windows[0], grace_ms=10_000 + change)
    return Definition(
        model=ModelFacts(
            task=task,
            label_delay_ms=3 * MINUTE_MS,
            label_wait_ms=3 * MINUTE_MS,
            label_horizon_ms=8 * MINUTE_MS,
            segments=["country", "channel"] + ["instance", "hardware"] * (task == "regression"),
            segments_max=3,
            restate_every_ms=MINUTE_MS,
        ),
        reference=Reference(
            profile=_profile() if task == "regression" else None,
            min_rows=REFERENCE_ROWS,
            last_ms=7 * MINUTE_MS if task == "multiclass" else 0,
        ),
        windows=windows,
        checks=checks,
    )


def _windows(task: Task) -> list[Window]:
    return [
        Window(name="fast", size_ms=MINUTE_MS, grace_ms=10_000),
        Window(name="slow", size_ms=3 * MINUTE_MS, step_ms=MINUTE_MS, grace_ms=10_000),
        Window(name="batch", rows=40, exact=task == "binary"),
    ]


def _above(value: float, clear: float | None = None) -> Limit:
    return Limit(direction="above", value=value, clear=value if clear is None else clear)


def _below(value: float, clear: float | None = None) -> Limit:
    return Limit(direction="below", value=value, clear=value if clear is None else clear)


def _checks() -> list[Check]:
    """Checks that need no label: one or more of every method, direction and option."""
    rise = Limit(direction="rise", value=0.1, clear=0.1)
    return [
        Check(
            alert="Errors",
            metric="error_rate",
            window="fast",
            warn=_above(0.1, clear=0.05),
            fail=_above(0.25, clear=0.15),
            for_ms=2 * MINUTE_MS,
            keep_firing_for_ms=2 * MINUTE_MS,
            labels={"team": "risk"},
        ),
        Check(
            alert="SlowAnswers",
            metric="latency.p99",
            window="slow",
            segment_by=["country"],
            need=Need(rows=5),
            fail=_above(80.0),
            times=(2, 3),
        ),
        Check(alert="Restarts", metric="restarts", window="slow", warn=_above(0.0)),
        Check(alert="FewRows", metric="rows", window="fast", warn=_below(4.0, clear=6.0)),
        *_series_checks(),
        Check(
            alert="FeatureDrift",
            metric="feature.*",
            method="psi",
            window="slow",
            need=Need(rows=20),
            warn=_above(0.5),
            fail=_above(1.0),
        ),
        Check(
            alert="AmountShape",
            metric="feature.amount",
            method="ks",
            window="batch",
            warn=_above(0.35),
        ),
        Check(
            alert="ChannelMix",
            metric="feature.kind",
            method="chisquare",
            window="slow",
            segment_by=["country", "channel"],
            warn=_above(0.3),
        ),
        Check(
            alert="EmbeddingDrift",
            metric="embedding",
            method="sliced_wasserstein",
            window="slow",
            segment_by=["country"],
            need=Need(rows=5),
            warn=_above(0.5),
        ),
        Check(
            alert="ManyDrifted",
            metric="drift_share",
            window="slow",
            fail=_above(0.4),
            mode="observe",
        ),
        Check(alert="Missing", metric="feature.*.missing", window="fast", warn=rise),
        Check(alert="Unseen", metric="feature.kind.unseen", window="slow", warn=_above(0.05)),
        Check(
            alert="ErrorShift",
            metric="error",
            method="adwin",
            params={"delta": 0.5},
            warn=_above(0.0),
        ),
        Check(
            alert="ScoreShift",
            metric="score",
            method="adwin",
            params={"delta": 0.5},
            keep_firing_for_ms=2 * MINUTE_MS,
        ),
        Check(
            alert="FeatureShift",
            metric="feature.*",
            method="page_hinkley",
            params={"threshold": 15.0},
            fail=_above(0.0),
        ),
        Check(
            alert="FailsMore",
            metric="error_rate",
            window="fast",
            warn=Limit(direction="rise", value=0.0, clear=0.0),
            versus="previous",
        ),
        Check(alert="Silent", metric="traffic", method="absent", for_ms=4 * MINUTE_MS),
    ]


def _series_checks() -> list[Check]:
    """Checks on figures against those of the windows before: one of every method."""
    return [
        Check(
            alert="LatencyAnomaly",
            metric="latency.mean",
            method="zscore",
            window="fast",
            warn=_above(3.0),
        ),
        Check(
            alert="ScoreAnomaly",
            metric="score.mean",
            method="iqr",
            window="batch",
            warn=_above(1.5),
        ),
        Check(
            alert="AnythingOdd",
            metric="rows",
            method="auto",
            window="fast",
            params={"past_min": 5.0, "window": 20.0, "debounce": 4.0},
            warn=_above(3.0),
        ),
        Check(
            alert="CountryAnomaly",
            metric="rows",
            method="mad",
            window="slow",
            segment_by=["country"],
            warn=_above(3.0),
        ),
        Check(alert="LevelMoved", metric="rows", method="ewma", window="fast", warn=_above(3.0)),
        Check(
            alert="HourAnomaly",
            metric="latency.p50",
            method="seasonal",
            window="batch",
            params={"period": 24.0, "cycles": 3.0},
            warn=_above(3.0),
        ),
    ]


def _label_checks(task: Task) -> list[Check]:
    if task == "regression":
        rise = Limit(direction="rise", value=0.2, relative=True, clear=0.1)
        return [
            Check(
                alert="WorseErrors", metric="mae", window="slow", warn=rise, need=Need(coverage=0.5)
            ),
            Check(
                alert="Bias", metric="bias", window="batch", fail=_above(0.5), need=Need(labels=10)
            ),
        ]
    points, any_drop = (
        Limit(direction="drop", value=value, clear=clear)
        for value, clear in ((0.05, 0.03), (0.0, 0.0))
    )
    share = Limit(direction="drop", value=0.15, relative=True, clear=0.1)
    checks = [
        Check(
            alert="AccuracyDrop",
            metric="accuracy",
            window="slow",
            segment_by=["country"],
            need=Need(labels=5, coverage=0.6),
            warn=points,
            fail=share,
            times=(1, 2),
        ),
        Check(
            alert="WorseVersion",
            metric="accuracy",
            window="fast",
            need=Need(coverage=0.3),
            warn=any_drop,
            versus="previous",
        ),
        Check(
            alert="AccuracyLow",
            metric="accuracy",
            window="fast",
            fail=_below(0.6, clear=0.65),
            need=Need(labels=3),
        ),
        Check(
            alert="Estimate",
            metric="estimated.accuracy",
            window="slow",
            warn=_below(0.7),
            need=Need(rows=9),
        ),
    ]
    if task == "binary":
        checks.append(
            Check(
                alert="Corrected",
                metric="corrected.accuracy",
                window="slow",
                segment_by=["country"],
                warn=_below(0.75),
                need=Need(labels=5),
            )
        )
        checks.append(
            Check(
                alert="AucLow",
                metric="auc",
                window="batch",
                warn=_below(0.85),
                need=Need(labels=10),
            )
        )
    return checks


def _profile() -> Profile:
    """A reference of 500 quiet rows, for the models that do not learn their own."""
    rows = [Request(Random(f"reference-{number}"), "regression", 0.0) for number in range(500)]
    columns = {name: np.array([row.numeric[name] for row in rows]) for name in rows[0].numeric}
    kinds = [row.kind for row in rows if row.kind is not None]
    return Profile(
        name="quiet rows",
        rows=len(rows),
        from_ms=START_MS - 86_400_000,
        to_ms=START_MS,
        numeric={name: numeric_profile(values) for name, values in columns.items()},
        categories={
            "kind": category_profile(
                {kind: kinds.count(kind) for kind in sorted(set(kinds))}, len(rows) - len(kinds)
            )
        },
        prediction=numeric_profile(np.array([row.answer for row in rows])),
        quality={"": {"mae": 1.0, "bias": 0.0}},
    )
