"""The page of a score: where its bars lie."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from inferwatch.cli.page import LEFT, LETTERS_MAX, LINES_MAX, WIDTH, page
from inferwatch.replay.recorded import Firing, Recorded
from inferwatch.replay.scoring import score


def drawn(*firings, alerts=("Wrong",)):
    """The chart of the firings in the 1,000 ms of a model, as elements."""
    run = Recorded(Path("report"), list(firings), {"m": (0, 1_000)}, {"m": list(alerts)}, {})
    text = page(run, score(run, []), [])
    return ElementTree.fromstring(text.removeprefix("<!doctype html>\n")).find(".//svg")


def fired(at_ms, end_ms=None, **subject):
    """A firing of `Wrong`."""
    names = {"alert": "Wrong", "version": "1", "feature": "", "segment": ""} | subject
    return Firing(
        model="m",
        observed=False,
        began_ms=at_ms,
        at_ms=at_ms,
        told_ms=at_ms,
        end_ms=end_ms,
        **names,
    )


def lines(svg):
    """The words left of each line, and how many bars it has."""
    words = [(one.text, int(one.attrib["y"])) for one in svg.iter("text")]
    bars = [int(one.attrib["y"]) for one in svg.iter("rect")]
    named = [(text, y) for text, y in words if text and not text.startswith("1970-")]
    return [(text, sum(y - 15 < bar < y + 7 for bar in bars)) for text, y in named]


@pytest.mark.parametrize(
    ("at_ms", "end_ms", "x"), [(1_500, None, WIDTH), (500, None, 500), (500, 600, 500)]
)
def test_each_firing_lies_in_the_chart(at_ms, end_ms, x):
    """Also that of the last window, which ends behind the last row."""
    [bar] = drawn(fired(at_ms, end_ms)).iter("rect")
    assert float(bar.attrib["x"]) == LEFT + x


def test_each_subject_of_a_rule_has_a_line():
    """Features, segments, and versions where there are several: on one line none could be told from
    the others. A rule without any has its bars on its own line.
    """
    firings = [
        fired(100, 200, feature="age"),
        fired(150, 300, feature="age", segment="country=DE"),
        fired(300, 400, feature="age"),
        fired(500, alert="Errors"),
    ]
    rules = ("Errors", "Quiet", "Wrong")
    said = lines(drawn(*firings, alerts=rules))
    ages = [("age", 2), ("age country=DE", 1)]
    assert said == [("Errors", 1), ("Quiet", 0), ("Wrong", 0), *ages]
    said = lines(drawn(*firings, fired(600, alert="Errors", version="2"), alerts=rules))
    assert said[:3] == [("Errors", 0), ("v1", 1), ("v2", 1)]


def test_a_storm_has_so_many_lines_and_no_more():
    """The first to fire have theirs, the rest share one; long names are cut and told whole."""
    firings = [fired(at, feature=f"{at:03}" + "x" * 90) for at in range(LINES_MAX + 7)]
    svg = drawn(*firings)
    said = lines(svg)
    assert said[0] == ("Wrong", 0) and said[-1] == ("7 more", 7)
    assert [text[:3] for text, _ in said[1:-1]] == [f"{at:03}" for at in range(LINES_MAX)]
    assert all(len(text) <= LETTERS_MAX for text, _ in said)
    assert "000" + "x" * 90 in [one.text for one in svg.iter("title")]
