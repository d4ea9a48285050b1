"""Numbers at the ends of what float64 holds give no infinite figure and no word on the terminal."""

import json
import math
import warnings
from random import Random

import msgspec
import numpy as np
import pytest

from inferwatch.core import past
from inferwatch.core.inspectors import Request
from inferwatch.core.reference import numeric_profile
from inferwatch.core.sketches import binned
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.testing.folding import Log

MINUTE, FLOAT32 = 60_000, 3.4e38
ABOVE = Limit(direction="above", value=0.5, clear=0.5)
OF_WINDOWS = [
    ("psi", "feature.*"),
    ("wasserstein", "feature.a"),
    ("wasserstein", "score"),
    ("psi", "drift_share"),
    ("lof", "figures"),
    ("lof", "features"),
    ("zscore", "prediction.mean"),
    ("auto", "latency.mean"),
    ("value", "rmse"),
]
OF_ROWS = [("adwin", "feature.a"), ("page_hinkley", "feature.a"), ("cusum", "latency")]


def definition(task):
    """Every way in which numbers are read."""
    checks = [
        Check(alert=f"{method} {metric} {window}", metric=metric, method=method, window=window)
        for window in ("minute", "rows")
        for method, metric in OF_WINDOWS
    ]
    checks = [msgspec.structs.replace(check, need=Need(rows=2), fail=ABOVE) for check in checks]
    checks += [Check(alert=f"{m} {metric}", metric=metric, method=m) for m, metric in OF_ROWS]
    return Definition(
        model=ModelFacts(task=task),
        reference=Reference(min_rows=50, last_ms=7 * MINUTE),
        windows=[Window(name="minute", size_ms=MINUTE), Window(name="rows", rows=50, exact=True)],
        checks=checks,
    )


def folded(task, big, rows=10):
    """60 minutes of rows and labels, one number in two about as large as `big`."""
    log, draw = Log(definition(task)), Random(1)
    for minute in range(60):
        wild = [
            draw.choice([big, -big, draw.random() * big, draw.gauss(0, 1)]) for _ in range(rows)
        ]
        narrow = [max(-FLOAT32, min(FLOAT32, value)) for value in wild]
        sizes = [abs(value) for value in narrow]
        words = [draw.choice("ab") for _ in wild]
        answer = words if task == "multiclass" else wild
        log.rows(
            rows,
            minute * MINUTE,
            numeric={"a": narrow},
            prediction=[value > 0 for value in wild] if task == "binary" else answer,
            score={"a": wild, "b": wild[::-1]} if task == "multiclass" else wild,
            latency_ms=sizes,
            entity=[draw.choice("pq") for _ in wild],
            llm={"cost": sizes, "output_tokens": sizes},
        )
        ids = [str(minute * rows + row) for row in range(rows)]
        label = [value > 1 for value in wild] if task == "binary" else answer[::-1]
        log.labels(ids, label, minute * MINUTE + 1_000)
    log.tick(10**9)
    return log


def no_constant(name):
    """Stands for NaN and Infinity in JSON."""
    raise AssertionError(name)


def without_figure(value):
    """Whether JSON holds a null, which is what a number that is not finite becomes."""
    if isinstance(value, dict | list):
        return any(map(without_figure, value.values() if isinstance(value, dict) else value))
    return value is None


@pytest.mark.parametrize(
    ("task", "big"),
    [("binary", 1.7e308), ("multiclass", 1e200), ("regression", 1.7e308), ("ranking", FLOAT32)],
)
def test_no_output_is_infinite_and_nothing_is_said_on_the_terminal(task, big, monkeypatch):
    """What overflows is unknown; figures beyond float32 are its largest for inspectors."""
    monkeypatch.setattr(past, "WINDOWS_MIN", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log = folded(task, big)
    asked = {"features": 0, "figures": 0}
    for output in log.outputs:
        if output.kind != "request":
            assert not without_figure(json.loads(output.value, parse_constant=no_constant))
            continue
        request = msgspec.msgpack.decode(output.value, type=Request)
        asked[request.metric] += 1
        for part in (request.rows, request.reference):
            assert not np.isinf(request.matrix(part)).any()
    assert min(asked.values()) > 10


def test_the_groups_of_a_reference_are_finite_where_values_are_as_far_apart_as_can_be():
    """Half of them at either end: what lies between two is no number of float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = numeric_profile(np.repeat([-1.7e308, 1.7e308], 500))
    told = [*found.edges, *found.psi_edges, found.low, found.high]
    assert all(map(math.isfinite, told))
    assert (found.low, found.high) == (-binned.FLOAT32_MAX, binned.FLOAT32_MAX)
