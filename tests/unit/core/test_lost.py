"""Windows that may lack rows say so: what senders dropped, records skipped, stretches lost."""

import pytest

from inferwatch.core import snapshot
from inferwatch.records.definition import Check, Definition, Limit, Window
from inferwatch.records.events import Gap
from inferwatch.testing.folding import Log

SECOND_MS = 1_000
FAST = Window(name="fast", size_ms=10 * SECOND_MS, grace_ms=0)
SLOW = Window(name="slow", size_ms=20 * SECOND_MS, step_ms=10 * SECOND_MS, grace_ms=0)
BUSY = Check(
    alert="Busy",
    metric="rows",
    window="fast",
    warn=Limit(direction="above", value=1.0, clear=1.0),
)


def logged(*seconds, windows=(FAST,), **columns):
    """A log with two rows at each of these seconds."""
    log = Log(Definition(windows=list(windows), checks=[BUSY]))
    for at_s in seconds:
        log.rows(2, at_s * SECOND_MS, **columns)
    return log


def told(log, name="fast"):
    """What windows say they may lack, by the second at which they began."""
    return {(one.window.start - log.start_ms) // SECOND_MS: one.lost for one in log.windows(name)}


def test_what_senders_dropped_is_counted():
    """In the window of the batch that told it, beside `captured`; alerts on it say so."""
    log = Log(Definition(windows=[FAST], checks=[BUSY]))
    for seq, (at_s, emitted, dropped) in enumerate([(1, 2, 0), (11, 10, 6), (21, 12, 6)]):
        counters = {"emitter": "e", "seq": seq, "emitted": emitted, "dropped": {"full": dropped}}
        log.rows(2, at_s * SECOND_MS, **counters)
    log.rows(2, 40 * SECOND_MS)
    assert told(log) == {0: {}, 10: {"dropped": 6}, 20: {}}
    assert log.windows()[1].metrics["captured"] == 0.25
    (alert,) = log.alerts()
    assert alert.window.start == log.start_ms and alert.context == []


def test_a_skipped_record_marks_the_windows_around_it():
    """Those that are open there and the next to open, of its own model; others are whole."""
    log = logged(1, 11)
    log.partition.skip(log.offset)
    log.rows(2, 12 * SECOND_MS)
    for at_s in (21, 31, 41):
        log.rows(2, at_s * SECOND_MS)
    assert told(log) == {0: {}, 10: {"skipped": 1}, 20: {"skipped": 1}, 30: {}}
    other = logged(1)
    other.partition.skip(other.offset)
    other.model = "team/other"
    other.rows(2, 2 * SECOND_MS)
    other.model = log.model
    other.rows(2, 11 * SECOND_MS)
    assert told(other) == {0: {}}


def test_an_alert_says_that_its_window_may_lack_rows():
    """Whoever reads the figure must know."""
    log = logged(1)
    log.partition.skip(log.offset)
    log.rows(2, 2 * SECOND_MS)
    log.rows(2, 11 * SECOND_MS)
    (alert,) = log.alerts()
    assert "may lack rows: 1 records skipped" in alert.context


@pytest.mark.parametrize("cut", [False, True])
def test_a_gap_marks_what_is_open_across_a_restart(cut):
    """Offsets that nobody folds: counted once in a window of several panes, kept by checkpoints."""
    log = logged(1, 11, windows=[FAST, SLOW])
    gap = Gap(from_offset=log.offset, to_offset=log.offset + 7)
    log.partition.pass_over(gap)
    assert log.partition.changed() == [log.model]
    log.partition.pass_over(gap)  # a take-over that was superseded and came again
    log.offset = gap.to_offset
    if cut:
        pieces = snapshot.cut(log.partition.models[log.model])
        assert snapshot.cut(log.partition.restore(pieces)) == pieces
    for at_s in (21, 31, 41, 51):
        log.rows(2, at_s * SECOND_MS)
    mark = {"gap": 7}
    assert told(log) == {0: {}, 10: mark, 20: mark, 30: {}, 40: {}}
    assert told(log, "slow") == {-10: {}, 0: mark, 10: mark, 20: mark, 30: {}}


def test_what_a_gap_covers_is_not_folded_again():
    """The state stands behind it, so that the first checkpoint replaces the older one."""
    log = logged(1)
    log.partition.saved([log.model])
    log.partition.pass_over(Gap(from_offset=log.offset, to_offset=log.offset + 3))
    assert log.partition.models[log.model].offset == log.offset + 2
    assert log.partition.safe_offset() == log.offset - 1  # until the marks are saved
    log.rows(2, 2 * SECOND_MS)
    assert log.partition.counts.duplicate == {"offset": 2}
