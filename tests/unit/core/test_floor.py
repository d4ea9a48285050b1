"""Segments of few rows are not published, and nothing that is published gives them away."""

from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import floor
from inferwatch.core.cell import empty
from inferwatch.core.columns import Columns
from inferwatch.core.reference import bind
from inferwatch.core.windows import Pane
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.testing.folding import Log

MINUTE = 60_000
LEAST = 20
sizes = st.lists(st.integers(1, 200) | st.integers(1, 30), max_size=8)


def pane_of(columns, missing):
    """A pane with segments of so many rows, and rows without a value of any column."""
    known = Columns(
        segments={name: [f"v{at}" for at in range(len(of))] for name, of in columns.items()}
    )
    whole = max([sum(of) for of in columns.values()], default=0) + missing
    rows = {"": whole} | {
        f"{name}:{at}": n for name, of in columns.items() for at, n in enumerate(of)
    }
    pane = Pane(0, 0, 0, 0, 0)
    for key, n in rows.items():
        pane.cells[key] = empty(bind(None, {}, known), features=None, exact=False)
        pane.cells[key].rows = n
    return known, pane, whole


@given(st.dictionaries(st.sampled_from(["a", "b:c", "d=e"]), sizes, max_size=3), st.integers(0, 40))
def test_no_difference_of_published_segments_has_fewer_rows(columns, missing):
    """Of every column each published segment has 20 rows, and so has the rest, or none."""
    known, pane, whole = pane_of(columns, missing)
    held = floor.withheld(known, pane, LEAST)
    for name, rows in columns.items():
        hidden = held.get(name, [])
        published = [n for at, n in enumerate(rows) if f"{name}=v{at}" not in hidden]
        assert all(n >= LEAST for n in published)
        rest = whole - sum(published)
        assert not published or rest == 0 or rest >= LEAST


@given(sizes, st.integers(0, 40))
def test_no_more_is_held_back_than_needed(rows, missing):
    """Without the largest that is held back either it or the rest would be below the floor."""
    known, pane, whole = pane_of({"a": rows}, missing)
    hidden = floor.withheld(known, pane, LEAST).get("a", [])
    if not hidden:
        return
    held = sorted(rows[int(name.removeprefix("a=v"))] for name in hidden)
    rest = whole - sum(rows) + sum(held[:-1])
    assert held[-1] < LEAST or 0 < rest < LEAST
    assert held == sorted(rows)[: len(held)]


@given(sizes)
def test_without_a_floor_all_is_published(rows):
    """The default of 1 holds nothing back."""
    known, pane, _ = pane_of({"a": rows}, 0)
    assert floor.withheld(known, pane, ModelFacts().floor_rows()) == {}


def minutes(counts, least=LEAST):
    """Windows of a minute, each with so many rows of each country, all of them failed."""
    check = Check(
        alert="Wrong",
        metric="error_rate",
        window="minute",
        segment_by=["country"],
        fail=Limit(direction="above", value=0.5, clear=0.5),
    )
    facts = ModelFacts(task="binary", segments=["country"], segments_min_rows=least)
    log = Log(
        Definition(
            model=facts,
            reference=Reference(min_rows=60),
            windows=[Window(name="minute", size_ms=MINUTE, grace_ms=0)],
            checks=[check],
        )
    )
    for minute, rows in enumerate(counts):
        words = [country for country, n in rows.items() for _ in range(n)]
        n = len(words)
        ids = [f"{minute}-{row}" for row in range(n)]
        log.rows(
            n,
            minute * MINUTE,
            ids=ids,
            segments={"country": words},
            error=["x"] * n,
            score=[0.5] * n,
        )
    log.tick(len(counts) * MINUTE + 1_000)
    log.labels(ids, [1] * n, len(counts) * MINUTE + 2_000)
    return log


def test_a_small_segment_is_in_no_record_and_its_number_is():
    """Neither windows nor restatements nor alerts name it; the whole says that it was held back."""
    log = minutes([{"DE": 50, "FR": 40, "LI": 30}, {"DE": 50, "FR": 40, "LI": 19, "VA": 3}])
    published = {(w.window.start - log.start_ms) // MINUTE: [] for w in log.windows(segment=None)}
    for window in log.windows(segment=None):
        published[(window.window.start - log.start_ms) // MINUTE].append(window.segment)
    assert {*published[0]} == {"", "country=DE", "country=FR", "country=LI"}
    assert {*published[1]} == {"", "country=DE", "country=FR"}
    assert [w.withheld for w in log.windows() if not w.revision] == [{}, {"country": 2}]
    last = log.windows()[-1]
    assert (last.revision, last.labels, last.withheld) == (1, 112, {"country": 2})
    assert [w.rows for w in log.windows() if not w.revision] == [120, 112]


def test_one_small_segment_takes_the_next_with_it():
    """Else it were all rows less those of the others."""
    log = minutes([{"DE": 50, "FR": 40, "VA": 3}])
    assert {w.segment for w in log.windows(segment=None)} == {"", "country=DE"}


def test_what_is_held_back_is_not_judged():
    """An alert would tell its figure."""
    log = minutes([{"DE": 50, "FR": 40, "VA": 3}])
    assert {alert.segment for alert in log.alerts()} == {"country=DE"}
    log = minutes([{"DE": 50, "FR": 40, "VA": 3}], least=1)
    assert {alert.segment for alert in log.alerts()} == {"country=DE", "country=FR", "country=VA"}


def test_a_changed_floor_gives_other_windows():
    """The id of a window follows from all that its figures depend on; a definition that names no
    floor has the digest that it had before there were any.
    """

    def ids(least):
        return {w.id for w in minutes([{"DE": 50}], least).windows()}

    assert ids(20) != ids(21)
    plain = ModelFacts(task="binary", segments=["country"])
    named = ModelFacts(task="binary", segments=["country"], segments_min_rows=20)
    assert Definition(model=plain).digest() != Definition(model=named).digest()
    assert Definition(model=plain).digest() == "af49df672b75eabf2567116ad6316c03"
