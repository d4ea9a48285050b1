"""Windows: what a row belongs to, when a window is over, what is late, and that each comes once."""

from collections import Counter
from random import Random

import pytest

from inferwatch.records.definition import Check, Definition, Limit, Window
from inferwatch.testing.folding import Log, window_records

MINUTE = 60_000


def log_of(*windows, checks=()):
    """A log watched by these windows."""
    return Log(Definition(windows=list(windows), checks=list(checks)))


def spans(log, name="fast"):
    """Start, rows and late rows of the windows so far, in the order they came."""
    relative = 0 if log.windows(name) and log.windows(name)[0].window.rows else log.start_ms
    return [(w.window.start - relative, w.rows, w.late) for w in log.windows(name)]


def test_a_window_holds_its_start_and_not_its_end():
    """Windows are half-open and aligned to the epoch."""
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=0))
    log.rows(4, [0, 59_999, 60_000, 119_999])
    log.rows(1, 120_000)
    assert spans(log) == [(0, 2, 0), (MINUTE, 2, 0)]
    assert all(w.window.start % MINUTE == 0 for w in log.windows())


def test_windows_of_a_week_start_with_the_epochs_weeks():
    """No time zone, no daylight saving, no leap second: 7 days are 604,800,000 ms since 1970."""
    week = 7 * 86_400_000
    log = log_of(Window(name="week", size_ms=week))
    log.rows(1, 0)
    log.rows(1, week + 60_000)
    assert log.windows()[0].window.start % week == 0


def test_a_window_is_over_when_the_watermark_passes_its_end_and_grace():
    """Not a millisecond earlier, whether a row or a tick says so."""
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=30_000))
    log.rows(1, 10_000)
    log.rows(1, 89_999)
    assert spans(log) == []
    log.tick(89_999)
    assert spans(log) == []
    log.tick(90_000)
    assert spans(log) == [(0, 1, 0)]
    log.rows(1, 149_999)
    assert len(spans(log)) == 1
    log.rows(1, 150_000)
    assert spans(log) == [(0, 1, 0), (MINUTE, 1, 0)]


def test_hopping_windows_share_their_panes():
    """A row counts in size ÷ step windows, each of which is published once."""
    log = log_of(Window(name="slow", size_ms=3 * MINUTE, step_ms=MINUTE, grace_ms=0))
    log.rows(2, 5 * MINUTE)
    log.rows(1, 6 * MINUTE)
    log.tick(20 * MINUTE)
    assert spans(log, "slow") == [
        (3 * MINUTE, 2, 0),
        (4 * MINUTE, 3, 0),
        (5 * MINUTE, 3, 0),
        (6 * MINUTE, 1, 0),
    ]


def test_a_row_behind_the_watermark_is_not_late_while_its_window_is_open():
    """Late is what belongs to a closed window, not what comes out of order."""
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=30_000))
    log.rows(1, 85_000)
    log.rows(1, 1_000, record_ms=85_000)
    log.rows(1, 95_000)
    log.rows(1, 2_000, record_ms=95_000)
    log.tick(200_000)
    assert spans(log) == [(0, 1, 0), (MINUTE, 2, 1)]


def test_a_late_row_in_the_batch_that_closed_its_window_is_late():
    """Within a batch too, row by row: the row before it closed the window."""
    log = log_of(Window(name="slow", size_ms=3 * MINUTE, step_ms=MINUTE, grace_ms=0))
    log.rows(3, [100_000, 180_000, 130_000])
    log.tick(900_000)
    ends = {w.window.end - log.start_ms: (w.rows, w.late) for w in log.windows("slow")}
    assert ends == {
        120_000: (1, 0),
        180_000: (1, 0),
        240_000: (3, 1),
        300_000: (2, 0),
        360_000: (1, 0),
    }


def test_ticks_close_open_windows_and_open_none():
    """A silent model gives the windows it has rows for, no empty ones, and then nothing."""
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=0))
    log.rows(1, 10_000)
    assert len(window_records(log.tick(500_000))) == 1
    assert log.tick(50_000_000) == []
    log.rows(1, 50_000_000)
    log.tick(50_100_000)
    assert spans(log) == [(0, 1, 0), (49_980_000, 1, 0)]


def test_after_a_silence_a_row_of_then_is_late_only_where_its_window_was_closed():
    """Waking up: the window that a tick closed stays closed, one that never opened may open."""
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=0))
    log.rows(1, 10_000)
    log.tick(500_000)
    log.rows(2, [20_000, 70_000], record_ms=500_000)
    log.tick(600_000)
    assert spans(log) == [(0, 1, 0), (MINUTE, 1, 1)]


@pytest.mark.parametrize("size", [1, 2])
def test_a_window_that_rows_pass_at_once_after_ticks_is_not_opened_behind_them(size):
    """Ticks end what is open; then a row jumps over the end of a window, and one behind it, in the
    same batch or not, is of the windows after that only.
    """
    log = log_of(Window(name="slow", size_ms=3 * MINUTE, step_ms=MINUTE, grace_ms=0))
    log.rows(1, 0)
    log.tick(10 * MINUTE)
    times = [4 * MINUTE + 30_000, 2 * MINUTE + 10_000]
    for at in range(0, 2, size):
        log.rows(size, times[at : at + size], record_ms=10 * MINUTE)
    log.tick(20 * MINUTE)
    starts = [(one.window.start - log.start_ms) // MINUTE for one in log.windows("slow")]
    assert starts == [-2, -1, 0, 2, 3, 4]


def test_windows_of_rows_are_cut_in_log_order_per_version():
    """Every N rows of a version, however late their times; the last row closes the window."""
    log = log_of(Window(name="batch", rows=3))
    log.rows(2, [500_000, 1_000], version="a")
    log.rows(2, [2, 1], version="b", record_ms=900_000)
    assert log.windows() == []
    closed = window_records(log.rows(5, 3_000, version="a", record_ms=900_000))
    assert [(w.version, w.window.start, w.window.end, w.rows) for w in closed] == [
        ("a", 0, 3, 3),
        ("a", 3, 6, 3),
    ]
    assert [w.late for w in closed] == [0, 0]
    assert log.tick(99_000_000) == []
    (last,) = window_records(log.rows(1, 5_000, version="b"))
    assert (last.version, last.window.start, last.from_ms, last.to_ms) == (
        "b",
        0,
        log.start_ms + 1,
        log.start_ms + 5_000,
    )


def test_a_new_version_opens_no_window_that_the_model_has_passed():
    """The watermark is the model's: a version that begins late cannot reopen the past."""
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=0))
    log.rows(1, 600_000, version="1")
    log.rows(2, [10_000, 600_001], version="2")
    log.tick(900_000)
    assert [(w.version, w.window.start - log.start_ms, w.late) for w in log.windows()] == [
        ("1", 600_000, 0),
        ("2", 600_000, 1),
    ]
    log = log_of(Window(name="slow", size_ms=3 * MINUTE, step_ms=MINUTE, grace_ms=0))
    log.rows(1, 600_000, version="1")
    log.rows(2, [500_000, 500_001], version="2", record_ms=600_000)
    log.tick(900_000)
    new = [w for w in log.windows() if w.version == "2"]
    assert [(w.window.start - log.start_ms, w.rows, w.late) for w in new] == [(480_000, 2, 2)]


def oracle(window, steps):
    """The windows of one version by the words of the design, a row at a time.

    `steps` are ("row", event time, record time) and ("tick", record time).
    """
    size, step, grace = window.size_ms, window.step_ms or window.size_ms, window.grace_ms
    event = moved = ticked = boundary = None
    open_, late, found = Counter(), 0, []
    for kind, *times in steps:
        if kind == "row":
            at, record = min(times), times[1]
            passed = -1 if event is None else (event - grace - size) // step * step + size
            boundary = passed if boundary is None else max(boundary, passed)
            starts = [s for s in range(at // step * step, at - size, -step) if s + size > at]
            late += any(start + size <= boundary for start in starts)
            open_.update(start for start in starts if start + size > boundary)
            if event is None or at > event:
                event, moved = at, record
        else:
            ticked = times[0] if ticked is None else max(ticked, times[0])
        if event is None:
            continue
        now = event + (0 if ticked is None else max(0, ticked - moved))
        for start in sorted(start for start in open_ if start + size + grace <= now):
            found.append((start, open_.pop(start), late))
            late, boundary = 0, max(boundary, start + size)
    return found


@pytest.mark.parametrize(
    ("size", "step"), [(60_000, 0), (180_000, 60_000), (150_000, 60_000), (120_000, 30_000)]
)
def test_random_streams_give_the_windows_of_the_plain_rule(size, step):
    """Rows out of order, silences, ticks, batches: starts, counts and late rows by the oracle."""
    window = Window(name="fast", size_ms=size, step_ms=step, grace_ms=10_000)
    late = 0
    for seed in range(8):
        draw, log, steps, now = Random(seed), log_of(window), [], 200_000
        for _ in range(25):
            now += int(draw.expovariate(1 / 30_000))
            if draw.random() < 0.3:
                steps.append(("tick", log.start_ms + now))
                log.tick(now)
                continue
            times = [
                max(0, now - int(draw.expovariate(1 / 40_000))) for _ in range(draw.randint(1, 4))
            ]
            steps += [("row", log.start_ms + at, log.start_ms + now) for at in times]
            log.rows(len(times), times, record_ms=now)
        expected = oracle(window, steps)
        assert [(w.window.start, w.rows, w.late) for w in log.windows()] == expected
        late += sum(count for _, _, count in expected)
    assert late > 10


def test_every_row_is_in_a_window_open_or_late():
    """Of tumbling windows: rows published + rows still open + late rows = rows."""
    draw, log = Random(3), log_of(Window(name="fast", size_ms=MINUTE, grace_ms=5_000))
    sent, now = 0, 0
    for _ in range(60):
        now += draw.randrange(20_000)
        n = draw.randint(1, 5)
        log.rows(n, [max(0, now - draw.randrange(120_000)) for _ in range(n)], record_ms=now)
        sent += n
    (track,) = log.partition.models["team/model"].state.tracks["fast"].values()
    published = sum(w.rows + w.late for w in log.windows())
    still_open = sum(pane.cells[""].rows for pane in track.panes.values())
    assert published + still_open + track.late == sent
    assert track.late + sum(w.late for w in log.windows()) > 0


def test_a_window_is_published_and_judged_once():
    """However many ticks and late rows follow, one record and one verdict a window."""
    check = Check(
        alert="Many",
        metric="rows",
        window="fast",
        warn=Limit(direction="above", value=0.0, clear=0.0),
        times=(2, 2),
    )
    log = log_of(Window(name="fast", size_ms=MINUTE, grace_ms=0), checks=[check])
    log.rows(1, 10_000)
    for at_ms in (100_000, 200_000, 300_000):
        log.tick(at_ms)
        log.rows(1, 20_000, record_ms=at_ms)
    assert len(log.windows()) == 1
    assert log.alerts() == []


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_shuffled_within_grace_change_nothing(seed):
    """Out of order by less than grace: the same windows with the same figures, no row late."""
    draw, sorted_, shuffled = (
        Random(seed),
        *(log_of(Window(name="fast", size_ms=MINUTE)) for _ in "ab"),
    )
    rows = [(at * 3_000, f"r{at}", draw.lognormvariate(3, 1)) for at in range(120)]
    moved = sorted(rows, key=lambda row: row[0] + draw.random() * 29_000)
    for log, order in ((sorted_, rows), (shuffled, moved)):
        for place in range(0, 120, 6):
            times, ids, latencies = zip(*order[place : place + 6], strict=True)
            log.rows(6, list(times), record_ms=400_000, ids=ids, latency_ms=latencies)
        log.tick(900_000)
    one, other = (
        [(w.window.start, w.rows, w.late, w.from_ms, w.to_ms, w.metrics) for w in log.windows()]
        for log in (sorted_, shuffled)
    )
    assert one == other and len(one) == 6
