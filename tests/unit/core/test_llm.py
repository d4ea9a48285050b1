"""Figures of language models equal numpy's and a count by hand, whatever is missing."""

import math
from random import Random

import msgspec
import numpy as np
import pytest

from inferwatch.config import checks, limits
from inferwatch.core import llm
from inferwatch.core.figure import Figure
from inferwatch.records.batch import CALL_NUMBERS
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition, Reference, Window
from inferwatch.testing.builders import raw_inference
from inferwatch.testing.folding import Log

ENDINGS = ["stop", "length", "MAX_TOKENS", "tool_use", "SAFETY", "who knows", None]


def drawn(seed, n):
    """Columns of n calls with gaps, latencies and failures."""
    draw = Random(seed)

    def column(value):
        return [math.nan if draw.random() < 0.2 else value() for _ in range(n)]

    calls = {
        "input_tokens": column(lambda: draw.randrange(9_000)),
        "output_tokens": column(lambda: draw.choice([0, 1, draw.randrange(900)])),
        "time_to_first_token_ms": column(lambda: draw.uniform(1, 900)),
        "cost": column(lambda: draw.random() / 64),
        "finish_reason": [draw.choice(ENDINGS) for _ in range(n)],
    }
    latency_ms = column(lambda: draw.uniform(1, 2_000))
    return calls, latency_ms, [draw.choice([None, None, "Timeout"]) for _ in range(n)]


def added(seed, n, sizes):
    """The cell of these calls, in batches of these sizes, and what was in it."""
    calls, latency_ms, error = drawn(seed, n)
    rows = decode(raw_inference(n=n, llm=calls, latency_ms=latency_ms, error=error)).record
    cell, at, failed = llm.empty(), 0, rows.error.codes >= 0
    for size in sizes:
        part = slice(at, at + size)
        llm.add(cell, rows.llm.take(part), rows.latency_ms[part], failed[part])
        at += size
    assert at == n
    return cell, rows, failed


def nearest_rank(values, q):
    """The definition of the quantile."""
    return np.quantile(values, q, method="inverted_cdf")


@pytest.mark.parametrize("seed", range(8))
def test_figures_are_those_of_numpy(seed):
    """Means and totals to the last digits, quantiles within 1.6 %, shares by counting."""
    cell, rows, failed = added(seed, 300, [300])
    found = llm.figures(cell)
    numbers = dict(zip(CALL_NUMBERS, rows.llm.numbers, strict=True))
    took_s = (rows.latency_ms - numbers["time_to_first_token_ms"]) / 1_000
    written = numbers["output_tokens"]
    told = (written >= 2) & (took_s > 0)
    columns = {
        "input_tokens": numbers["input_tokens"],
        "output_tokens": written,
        "time_to_first_token": numbers["time_to_first_token_ms"],
        "cost": numbers["cost"],
        "tokens_per_second": (written[told] - 1) / took_s[told],
    }
    for name, column in columns.items():
        known = column[np.isfinite(column)]
        assert found[f"{name}.mean"].value == pytest.approx(known.mean())
        assert found[f"{name}.mean"].n == len(known)
        for part, q in {**llm.UPPER, **llm.LOWER}.items():
            if f"{name}.{part}" in found:
                expected = nearest_rank(known, q)
                assert found[f"{name}.{part}"].value == pytest.approx(expected, rel=0.016)
    for name in ("input_tokens", "output_tokens", "cost"):
        assert found[f"{name}.total"].value == pytest.approx(np.nansum(columns[name]))
    answered = np.isfinite(written) & ~failed
    assert found["empty_rate"].value == (written[answered] == 0).mean()
    finish = rows.llm.finish_reason
    words = [finish.words[code] for code in finish.codes.tolist() if code >= 0]
    for reason, same in {
        "stop": ["stop"],
        "length": ["length", "MAX_TOKENS"],
        "tool_call": ["tool_use"],
        "content_filter": ["SAFETY"],
        "other": ["who knows"],
        "error": [],
    }.items():
        part = sum(word in same for word in words)
        assert found[f"finish_reason.{reason}"].value == part / len(words)


@pytest.mark.parametrize("seed", range(4))
def test_batches_do_not_show_and_panes_add_up(seed):
    """Bit for bit however rows were batched; merged panes as all rows, sums to the last digits."""
    whole = llm.figures(added(seed, 60, [60])[0])
    assert llm.figures(added(seed, 60, [1] * 60)[0]) == whole
    _, rows, failed = added(seed, 60, [60])
    merged = llm.empty()
    for part in (slice(0, 7), slice(7, 60)):
        pane = llm.empty()
        llm.add(pane, rows.llm.take(part), rows.latency_ms[part], failed[part])
        llm.merge(merged, pane)
    found = llm.figures(merged)
    assert found.keys() == whole.keys()
    for name, figure in whole.items():
        assert found[name].value == pytest.approx(figure.value, rel=1e-12)
        assert msgspec.structs.replace(found[name], value=0.0) == msgspec.structs.replace(
            figure, value=0.0
        )


def test_what_nobody_said_has_no_figure():
    """No columns no figures; a column of gaps neither; one call has all that it says."""
    rows = decode(raw_inference(n=2, llm={"cost": [math.nan, math.nan]})).record
    cell = llm.empty()
    llm.add(cell, rows.llm, np.full(2, np.nan), np.zeros(2, bool))
    assert llm.figures(cell) == {}
    rows = decode(raw_inference(llm={"output_tokens": [0.0]})).record
    llm.add(cell, rows.llm, np.full(1, np.nan), np.zeros(1, bool))
    found = llm.figures(cell)
    assert found["output_tokens.total"] == Figure(0.0, 1)
    assert found["output_tokens.p50"] == Figure(0.0, 1)
    assert found["empty_rate"].value == 1.0
    assert not [name for name in found if name.startswith(("tokens_per", "cost", "finish"))]


def test_the_largest_numbers_are_no_error():
    """What float32 holds at most: sums stay finite, a speed beyond float64 is none."""
    most = float(np.float32(3.4e38))
    calls = {"output_tokens": [most] * 2, "time_to_first_token_ms": [1.0, 0.0]}
    rows = decode(raw_inference(n=2, llm=calls)).record
    cell = llm.empty()
    llm.add(cell, rows.llm, np.array([np.nextafter(1.0, 2.0), 5e-324]), np.zeros(2, bool))
    for figure in llm.figures(cell).values():
        assert figure.value is None or math.isfinite(figure.value)


def test_every_published_figure_can_be_checked_and_the_other_way_round():
    """The names of a full cell are those that monitor files may use."""
    found = llm.figures(added(1, 300, [300])[0])
    assert sorted(found) == sorted([*llm.SHARES, *llm.DURATIONS, *llm.AMOUNTS])
    assert set(found) <= checks.METRICS["value"]
    assert set(llm.SHARES) <= limits.RATIOS and set(llm.DURATIONS) <= set(limits.DURATIONS)


def test_a_window_has_them_and_those_of_its_segments():
    """Published with the window; a model that sends none has none."""
    definition = Definition(
        windows=[Window(name="w", size_ms=60_000)], reference=Reference(min_rows=1_000)
    )
    log = Log(definition)
    log.rows(2, 0, llm={"cost": [0.25, 0.5], "finish_reason": ["stop", "length"]})
    log.rows(1, 1_000)
    log.rows(1, 61_000, record_ms=61_000)
    log.tick(300_000)
    first, second = log.windows("w")
    assert first.metrics["cost.total"] == 0.75
    assert first.metrics["finish_reason.length"] == 0.5
    assert first.intervals["finish_reason.length"][0] > 0
    assert not [name for name in second.metrics if name.startswith(("cost", "finish"))]
