"""Labels that wait for their predictions: in order of coming, for each version by itself."""

from inferwatch.core import early
from inferwatch.core.early import Early


def label(version=None, *, code=0, time_ms=0, at_ms=0):
    """One label."""
    return Early(version=version, label=code, truth=0.0, time_ms=time_ms, at_ms=at_ms)


def test_the_last_label_of_a_version_rules_and_the_answer_takes_it():
    """By its own time, whichever came last; then none waits."""
    held = {}
    early.hold(held, "a", label("1", code=1, time_ms=5))
    early.hold(held, "a", label("1", code=0, time_ms=4))
    assert early.claim(held, "a", "2") is None
    assert early.claim(held, "a", "1").label == 1
    assert held == {}


def test_an_answer_takes_what_is_for_any_version_and_what_is_for_its_own():
    """The later of the two rules; one of another version waits on."""
    held = {}
    early.hold(held, "a", label(None, code=1, time_ms=2))
    early.hold(held, "a", label("1", code=2, time_ms=1))
    early.hold(held, "a", label("2", code=3, time_ms=0))
    assert early.claim(held, "a", "1").label == 1
    assert early.claim(held, "a", "1") is None
    assert early.claim(held, "a", "2").label == 3


def test_the_oldest_are_forgotten_and_one_that_came_again_is_not_old():
    """It waits behind those that came before it, and keeps none of them from going."""
    held = {}
    early.hold(held, "again", label(at_ms=0))
    early.hold(held, "old", label("1", at_ms=0))
    early.hold(held, "old", label("2", at_ms=0))
    early.hold(held, "again", label(at_ms=10, time_ms=1))
    assert early.expire(held, 10) == 2
    assert list(held) == ["again"]
