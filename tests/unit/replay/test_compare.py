"""Two replays against each other: worked by hand, and what holds for any two."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferwatch.records.outputs import FeatureFigures, Span, WindowRecord, canonical
from inferwatch.replay.compare import Pair, compare
from inferwatch.replay.recorded import Firing, Recorded, order

HOUR = 3_600_000
MODEL = "team/model"


def firing(began, at, end=None, told=None, **fields):
    """From hour to hour; told at once unless it is said."""
    names = {"model": MODEL, "alert": "Drift", "version": "1", "feature": "", "segment": ""}
    return Firing(
        **names | fields,
        observed=False,
        began_ms=began * HOUR,
        at_ms=at * HOUR,
        told_ms=(at if told is None else told) * HOUR,
        end_ms=None if end is None else end * HOUR,
    )


def window(start, accuracy=0.9, psi=0.01, revision=0, **fields):
    """A record of a window of 50 rows."""
    return WindowRecord(
        id=f"{start}-{revision}",
        model=MODEL,
        version="1",
        window=Span(name="w", start=start, end=start + 50, rows=50),
        revision=revision,
        metrics={"accuracy": accuracy},
        features={"amount": FeatureFigures(rows=50, psi=psi)},
        **fields,
    )


def run(folder, *firings, windows=(), watched=(0, 336)):
    """A replay in `folder`."""
    folder.mkdir(exist_ok=True)
    lines = b"".join(canonical(one) + b"\n" for one in windows)
    (folder / "windows.jsonl").write_bytes(lines)
    span = {MODEL: (watched[0] * HOUR, watched[1] * HOUR)}
    rules = {MODEL: sorted({"Drift", *(one.alert for one in firings)})}
    return Recorded(folder, sorted(firings, key=order), span, rules, {})


@pytest.fixture
def folders(tmp_path):
    """Where A and B are."""
    return tmp_path / "a", tmp_path / "b"


def test_firings_worked_by_hand(folders):
    """One in both, told 2 h sooner by B; one moved; one in either alone; others' names apart."""
    same, sooner = firing(10, 11, 20, told=14), firing(10, 11, 20, told=12)
    moved, later = firing(30, 31, 40), firing(30, 33, 40)
    gone, new = firing(50, 51, 52), firing(60, 61)
    german, french = (firing(60, 61, segment=f"country={name}") for name in ("DE", "FR"))
    found = compare(
        run(folders[0], same, moved, gone, german), run(folders[1], sooner, later, new, french)
    )
    [rule] = found.rules
    assert (rule.both, rule.moved, rule.only_a, rule.only_b) == (2, 1, 2, 2)
    assert rule.later_median_ms == 0  # of two hours sooner and two later
    assert (rule.a_per_week, rule.b_per_week) == (2.0, 2.0)
    assert found.firings[:3] == [Pair(same, sooner), Pair(moved, later), Pair(gone, None)]
    assert [one.later_ms() for one in found.firings[:3]] == [-2 * HOUR, 2 * HOUR, None]
    assert [one.differs() for one in found.firings[:3]] == [False, True, True]
    assert found.differs()


def test_another_end_is_a_difference(folders):
    """It fired at the same time, and longer: when it was over is told later."""
    found = compare(run(folders[0], firing(10, 11, 20)), run(folders[1], firing(10, 11, 21)))
    assert found.differs() and (found.rules[0].both, found.rules[0].moved) == (1, 1)


def test_what_is_told_at_another_time_is_no_difference(folders):
    """Live workers tell some seconds later than a replay."""
    mine, theirs = firing(10, 11, told=11), firing(10, 11, told=12)
    assert not compare(run(folders[0], mine), run(folders[1], theirs)).differs()


@pytest.mark.parametrize(
    ("mine", "theirs", "both"),
    [
        ([(10, 11, 20)], [(19, 21, 22)], 1),
        ([(10, 11, 20)], [(20, 21, 22)], 0),  # one ends where the other begins to be bad
        ([(20, 20, 20)], [(19, 21, 22)], 1),  # a detector of rows: one moment
        ([(10, 11, 40)], [(12, 12, 13), (20, 20, 21)], 1),  # told twice where it was told once
        ([(10, 11, None)], [(500, 501, None)], 1),
        ([], [(1, 2, 3)], 0),
    ],
)
def test_firings_that_overlap_are_the_same(folders, mine, theirs, both):
    """From the beginning of the bad stretch to the end; each is taken once."""
    runs = [
        run(folder, *(firing(*one) for one in given))
        for folder, given in zip(folders, (mine, theirs), strict=True)
    ]
    [rule] = compare(*runs).rules
    assert rule.both == both
    assert (rule.only_a, rule.only_b) == (len(mine) - both, len(theirs) - both)


def test_what_fired_at_the_same_moment_is_the_same(folders):
    """By a window that hops, the second of A begins to be bad before the first has ended: B, which
    lacks the first, has the second as it is.
    """
    first, second = firing(10, 11, 14), firing(12, 15, 20)
    found = compare(run(folders[0], first, second), run(folders[1], second))
    assert found.firings == [Pair(first, None), Pair(second, second)]
    [rule] = found.rules
    assert (rule.both, rule.moved, rule.only_a, rule.only_b) == (1, 0, 1, 0)


FIRINGS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(1, 9),
        st.integers(1, 9),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["Drift", "Drop"]),
        st.integers(0, 5),
    ),
    max_size=12,
)


def placed(drawn):
    """Firings of an alert one behind the other, the last of some without an end."""
    now, found = {}, []
    for before, gap, lasts, version, alert, late in drawn:
        at = now.get((version, alert), 10) + gap
        now[version, alert] = at + lasts
        one = firing(at - before, at, at + lasts, at + late, version=version, alert=alert)
        found.append(one)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FIRINGS, FIRINGS, st.randoms(use_true_random=False))
def test_each_firing_of_either_is_counted_once(folders, a, b, draw):
    """both + only A = firings of A, and so for B; the other way about it is the mirror image. A
    replay against itself has no difference.
    """
    mine, theirs = placed(a), placed(b)
    runs = run(folders[0], *mine), run(folders[1], *theirs)
    found, mirrored = compare(*runs), compare(*reversed(runs))
    assert sorted((one.a for one in found.firings if one.a), key=order) == sorted(mine, key=order)
    assert sorted((one.b for one in found.firings if one.b), key=order) == sorted(theirs, key=order)
    assert sum(one.both + one.only_a for one in found.rules) == len(mine)
    assert sum(one.both + one.only_b for one in found.rules) == len(theirs)
    for one, other in zip(found.rules, mirrored.rules, strict=True):
        assert (one.both, one.moved) == (other.both, other.moved)
        assert (one.only_a, one.only_b) == (other.only_b, other.only_a)
    again = run(folders[1], *draw.sample(mine, len(mine)))
    itself = compare(runs[0], again)
    assert not itself.differs() and not sum(one.moved for one in itself.rules)


def test_windows_that_differ_are_named_with_their_figures(folders):
    """By the last revision of each, in any order of lines; limits and offsets are no figures."""
    mine = [window(0, 0.5), window(0, 0.9, revision=1), window(50), window(100)]
    theirs = [
        window(50, 0.9, psi=0.02, limits={"Drift": 0.3}),
        window(0, 0.9, revision=2, first_offset=7),
        window(0, 0.4),
        window(150),
    ]
    found = compare(run(folders[0], windows=mine), run(folders[1], windows=theirs))
    seen = found.windows
    assert (seen.same, seen.differ, seen.only_a, seen.only_b) == (1, 1, 1, 1)
    [example] = seen.examples
    assert (example.window, example.start, example.end, example.rows) == ("w", 50, 100, 50)
    assert example.figures == {"features.amount.psi": (0.01, 0.02)}
    assert found.differs()
    shuffled = compare(run(folders[0], windows=mine[::-1]), run(folders[1], windows=theirs[::-1]))
    assert msgspec.json.encode(shuffled) == msgspec.json.encode(found)


def test_a_figure_that_one_lacks_is_a_difference(folders):
    """As where labels came to one only; some windows are named, all are counted."""
    mine = [window(50 * at) for at in range(9)]
    theirs = [window(50 * at, coverage=0.5) for at in range(9)]
    seen = compare(run(folders[0], windows=mine), run(folders[1], windows=theirs)).windows
    assert (seen.same, seen.differ, len(seen.examples)) == (0, 9, 5)
    assert [one.start for one in seen.examples] == [0, 50, 100, 150, 200]
    assert seen.examples[0].figures == {"coverage": (None, 0.5)}
