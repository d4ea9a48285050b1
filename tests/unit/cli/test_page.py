"""The page of a score: where its bars lie."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from inferwatch.cli.page import LEFT, WIDTH, page
from inferwatch.replay.recorded import Firing, Recorded
from inferwatch.replay.scoring import score


@pytest.mark.parametrize(
    ("at_ms", "end_ms", "x"), [(1_500, None, WIDTH), (500, None, 500), (500, 600, 500)]
)
def test_each_firing_lies_in_the_chart(at_ms, end_ms, x):
    """Also that of the last window, which ends behind the last row."""
    one = Firing(
        model="m",
        alert="Wrong",
        version="1",
        feature="",
        segment="",
        observed=False,
        began_ms=at_ms,
        at_ms=at_ms,
        told_ms=at_ms,
        end_ms=end_ms,
    )
    run = Recorded(Path("report"), [one], {"m": (0, 1_000)}, {"m": ["Wrong"]}, {})
    text = page(run, score(run, []), [])
    [bar] = ElementTree.fromstring(text.removeprefix("<!doctype html>\n")).iter("rect")
    assert float(bar.attrib["x"]) == LEFT + x
