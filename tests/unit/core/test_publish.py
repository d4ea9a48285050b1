"""Identity of windows: what is part of it, what is not; figures known or unknown, never both."""

import itertools

import msgspec
import numpy as np
import pytest

from inferwatch.core import plan as plans
from inferwatch.core import quality
from inferwatch.core.columns import Columns
from inferwatch.core.fold import Partition
from inferwatch.core.joined import Joined
from inferwatch.core.quality import LabelCell
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.outputs import FOLD_VERSION, identity
from inferwatch.testing import folding, streams
from inferwatch.testing.folding import Log

replace = msgspec.structs.replace
BELOW = Limit(direction="below", value=0.5, clear=0.5)
LOW = Check(alert="Low", metric="accuracy", window="fast", warn=BELOW, need=Need(coverage=0.5))
BASE = Definition(
    model=ModelFacts(task="binary", segments=["country"]),
    windows=[Window(name="fast", size_ms=60_000), Window(name="slow", size_ms=600_000)],
    checks=[LOW, Check(alert="Rows", metric="rows", window="slow", warn=BELOW)],
)


def facts(**changes):
    """The definition with other facts."""
    return replace(BASE, model=replace(BASE.model, **changes))


def check(**changes):
    """The definition with another label check."""
    return replace(BASE, checks=[replace(LOW, **changes), *BASE.checks[1:]])


def window(**changes):
    """The definition with another fast window."""
    return replace(BASE, windows=[replace(BASE.windows[0], **changes), *BASE.windows[1:]])


def changed(definition):
    """Names of the windows whose digest is another one than in the base."""
    before, after = (
        {found.window.name: found.digest for found in plans.make(each).windows}
        for each in (BASE, definition)
    )
    return sorted(name for name in before if before[name] != after[name])


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (window(size_ms=120_000), ["fast"]),
        (window(step_ms=30_000), ["fast"]),
        (window(grace_ms=1), ["fast"]),
        (window(exact=True), ["fast"]),
        (facts(task="multiclass"), ["fast", "slow"]),
        (facts(positive="yes"), ["fast", "slow"]),
        (facts(segments=["plan"]), ["fast", "slow"]),
        (facts(segments_max=7), ["fast", "slow"]),
        (facts(label_horizon_ms=7), ["fast", "slow"]),
        (facts(restate_every_ms=7), ["fast", "slow"]),
        (replace(BASE, reference=Reference(min_rows=7)), ["fast", "slow"]),
        (check(need=Need(coverage=0.6)), ["fast"]),
        (check(fail=BELOW), []),
        (check(warn=replace(BELOW, value=0.4)), []),
        (check(for_ms=1, times=(2, 3), labels={"a": "b"}, mode="observe"), []),
        (replace(BASE, checks=[LOW]), []),
        (facts(label_wait_ms=7), []),
    ],
)
def test_a_windows_identity_holds_what_its_figures_depend_on(definition, expected):
    """And nothing else: rules may be edited without publishing last month's windows anew."""
    assert changed(definition) == expected


def test_an_id_names_one_window_of_one_segment_and_revision():
    """No two outputs of a run share one; each is made of the names that are in the record."""
    log = Log(BASE)
    for version, minute in itertools.product("12", range(3)):
        log.rows(
            2,
            minute * 60_000,
            version=version,
            segments={"country": ["DE", None]},
            prediction=[1.0, 0.0],
        )
    log.labels(["0", "1", "4", "5"], [1.0] * 4, 200_000)
    log.tick(900_000)
    records = log.windows(segment=None)
    assert len({record.id for record in records}) == len(records)
    digests = {found.window.name: found.digest for found in plans.make(BASE).windows}
    for record in records:
        assert record.id == identity(
            digests[record.window.name],
            FOLD_VERSION,
            record.model,
            record.version,
            record.segment,
            record.window.start,
            record.revision,
        )


@pytest.fixture(scope="module")
def published():
    """Windows of a long stream, in the order they came."""
    records = streams.placed(streams.stream(4, records=120))
    return folding.window_records(folding.fold(Partition(0), records, streams.definition))


def test_a_figure_is_known_or_says_why_not(published):
    """In every window of a long stream: never both, an interval only around a value, in order."""
    assert len(published) > 500
    for record in published:
        assert not record.metrics.keys() & record.unknown.keys()
        assert all(record.unknown.values())
        for name, (low, high) in record.intervals.items():
            assert low <= record.metrics[name] <= high
        if record.coverage is not None:
            assert 0.0 <= record.coverage <= 1.0


def test_revisions_of_a_window_follow_each_other(published):
    """0, 1, 2, …, each after the one before, and label counts of the newest are the last word."""
    seen: dict[tuple, int] = {}
    restated = 0
    for record in published:
        place = (record.model, record.version, record.window, record.segment)
        assert record.revision == seen.get(place, -1) + 1
        seen[place] = record.revision
        restated += record.revision > 0
    assert restated > 20


def joined_of(label, predicted, score, sign=1):
    """Binary rows with labels."""
    n = len(label)
    return Joined(
        version="1",
        sign=sign,
        time_ms=np.zeros(n, np.int64),
        row=np.arange(n),
        predicted=np.array(predicted, np.int32),
        value=np.full(n, np.nan),
        score=np.array(score),
        late=np.zeros(n, np.uint16),
        segments={},
        label=np.array(label, np.int32),
        truth=np.full(n, np.nan),
        delay_ms=np.full(n, np.nan),
    )


def test_a_contribution_that_is_taken_back_was_never_there():
    """Every figure of a binary cell, bit for bit, after adding and taking back other rows."""
    columns = Columns(classes=["0", "1"], task="binary")
    cell, other = LabelCell(predicted=4), LabelCell(predicted=4)
    rows = joined_of([0, 1, 1, 0], [0, 1, 0, 1], [0.1, 0.9, 0.4, 0.7])
    wrong = joined_of([1, 0], [1, 1], [0.8, 0.6])
    quality.add(cell, columns, "1", rows)
    quality.add(cell, columns, "1", wrong)
    quality.add(cell, columns, "1", replace(wrong, sign=-1))
    quality.add(other, columns, "1", rows)
    assert quality.figures(cell, columns, "1", None) == quality.figures(other, columns, "1", None)
    assert cell.labelled == other.labelled == 4
    merged = quality.merge([cell, LabelCell(predicted=1), other])
    assert (merged.predicted, merged.labelled, merged.coverage()) == (9, 8, 8 / 9)
