"""Labels that wait for their predictions: in order of coming, for each version by itself."""

from random import Random

import numpy as np
import pytest

from inferwatch.core import early
from inferwatch.core.early import Early
from inferwatch.core.sample import hashes
from inferwatch.records.ids import Ids, pack


def label(version=None, *, code=0, time_ms=0, at_ms=0):
    """One label."""
    return Early(version=version, label=code, truth=0.0, time_ms=time_ms, at_ms=at_ms)


def test_the_last_label_of_a_version_rules_and_the_answer_takes_it():
    """By its own time, whichever came last; then none waits."""
    held = {}
    early.hold(held, "a", label("1", code=1, time_ms=5))
    early.hold(held, "a", label("1", code=0, time_ms=4))
    assert early.claim(held, "a", "2", 0) is None
    assert early.claim(held, "a", "1", 0).label == 1
    assert held == {}


def test_an_answer_takes_what_is_for_any_version_and_what_is_for_its_own():
    """The later of the two rules; one of another version waits on."""
    held = {}
    early.hold(held, "a", label(None, code=1, time_ms=2))
    early.hold(held, "a", label("1", code=2, time_ms=1))
    early.hold(held, "a", label("2", code=3, time_ms=0))
    assert early.claim(held, "a", "1", 0).label == 1
    assert early.claim(held, "a", "1", 0) is None
    assert early.claim(held, "a", "2", 0).label == 3


def test_an_id_keeps_the_newest_sixteen_versions():
    """A label names any version it likes: what one id may hold is bounded."""
    held = {}
    for number in range(300):
        early.hold(held, "a", label(str(number)))
    assert len(held["a"].others) == 15
    assert early.claim(held, "a", "284", 0).version == "284"
    assert early.claim(held, "a", "283", 0) is None


def test_the_oldest_are_forgotten_and_one_that_came_again_is_not_old():
    """It waits behind those that came before it, and keeps none of them from going."""
    held = {}
    early.hold(held, "again", label(at_ms=0))
    early.hold(held, "old", label("1", at_ms=0))
    early.hold(held, "old", label("2", at_ms=0))
    early.hold(held, "again", label(at_ms=10, time_ms=1))
    assert early.expire(held, 10) == 2
    assert list(held) == ["again"]


@pytest.mark.parametrize("waiting", [0, 3, 200])
@pytest.mark.parametrize("spread", [1 << 63, 40])
@pytest.mark.parametrize("seed", range(10))
def test_each_awaited_id_is_found_at_its_first_row(seed, spread, waiting, monkeypatch):
    """Whether few labels wait or many, and whatever ids share a hash."""

    def of(ids):
        return hashes(ids) % np.uint64(spread)

    monkeypatch.setattr(early.sample, "hashes", of)
    draw = Random(seed)
    names = [f"i{draw.randrange(90)}" for _ in range(60)]
    held = {f"i{draw.randrange(120)}": label() for _ in range(waiting)}
    ids = pack(names)
    expected = [
        (row, name) for row, name in enumerate(names) if name in held and name not in names[:row]
    ]
    assert early.awaited(held, ids, of(ids)) == expected


def test_a_few_waiting_labels_cost_no_look_at_every_row(monkeypatch):
    """The ids of a batch stay bytes where fewer labels wait."""
    ids = pack([f"i{row}" for row in range(500)])
    read, name_of = [], Ids.__getitem__
    monkeypatch.setattr(Ids, "__getitem__", lambda one, row: read.append(row) or name_of(one, row))
    held = {"i7": label(), "elsewhere": label()}
    assert early.awaited(held, ids, hashes(ids)) == [(7, "i7")]
    assert read == [7]
