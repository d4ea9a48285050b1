"""A check in words says what the fold will do: its limits read back are its limits."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.config import checks, document, monitors, wording
from inferwatch.config.defaults import default_checks, default_definition
from inferwatch.core.inspectors import COLUMNS_MAX, REFERENCE_MIN
from inferwatch.core.reference import category_profile
from inferwatch.core.sketches import row_sample
from inferwatch.records.definition import (
    Check,
    Definition,
    ModelFacts,
    Profile,
    Reference,
    Window,
)

WINDOWS = {"w": Window(name="w", size_ms=60_000, step_ms=60_000)}
FACTS = ModelFacts(task="binary", segments=["country"])


def parsed(text: str) -> Check:
    """The check of a line of a monitor file, without its name."""
    node = document.parse(f"alert: A\n{text}", "m.yaml")
    return checks.parse(node, FACTS, WINDOWS)


@given(
    metric=st.sampled_from(["recall", "error_rate", "latency.p99", "rows", "feature.x.mean"]),
    direction=st.sampled_from(["above", "below", "drop", "rise"]),
    thousandths=st.integers(2, 999),
    percent=st.booleans(),
)
def test_the_amounts_are_those_of_the_limit(metric, direction, thousandths, percent):
    """A share in percent, a change of one in points unless it is of the reference's, times with
    their unit: written into the file instead, the limit is the same.
    """
    whole = metric in ("latency.p99", "rows")
    amount = str(thousandths) if whole else str(thousandths / 1000)
    if percent and direction in ("drop", "rise"):
        amount = f"{thousandths / 10}%"
    line = "metric: {}\nfail: {{{}: {}}}\n"
    check = parsed(line.format(metric, direction, amount))
    said = wording.sentence(check)
    again = re.search(r"(?:above|below|more than) ([^ ]+)", said)[1].replace(",", "")
    assert parsed(line.format(metric, direction, again)).fail.value == pytest.approx(
        check.fail.value
    )
    assert parsed(line.format(metric, direction, again)).fail.relative == check.fail.relative


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "metric: recall\nsegment_by: [country]\nwhen: {labels: 200, coverage: 80%}\n"
            "warn: {drop: 3pp, clear: 1pp}\nfail: {drop: 5%}\ntimes: 2 of 3\n",
            "recall in w by country: warning if it drops by more than 3pp from the reference's "
            "(until 1pp), critical if it drops by more than 5% of the reference's; 2 of 3 windows; "
            "with 200 labels, coverage 80%",
        ),
        (
            "metric: features\nmethod: correlation\nwindow: w\n",
            "features by correlation in w: critical if above 0.2; with 200 rows",
        ),
        (
            "metric: features\nmethod: isolation_forest\nwindow: w\n",
            "features by isolation_forest in w: critical if above 5%; with 200 rows",
        ),
        (
            "metric: latency.p99\nfail: {above: 1500, clear: 200ms}\nfor: 3m\nmode: observe\n",
            "latency.p99 in w: critical if above 1s500ms (until 200ms); for 3m; observed, never "
            "sent",
        ),
        (
            "metric: feature.*\nmethod: psi\nwhen: {rows: 1000}\nwarn: calibrated\n",
            "feature.* by psi in w: warning above a limit found from its own past; with 1,000 rows",
        ),
        (
            "metric: error_rate\nmethod: zscore\nwarn: {above: 5}\n",
            "error_rate by zscore in w: warning if above 5",
        ),
        (
            "metric: recall\nversus: previous\nwarn: {drop: 0pp}\nfail: {drop: 1pp, clear: 0pp}\n",
            "recall in w versus the version before: warning if it surely drops from the version "
            "before's, critical if it surely drops by more than 1pp from the version before's "
            "(until 0pp)",
        ),
        (
            "metric: latency.mean\nversus: 11\nfail: {rise: 10%}\n",
            "latency.mean in w versus v11: critical if it surely rises by more than 10% of v11's",
        ),
        ("metric: error\nmethod: adwin\n", "error by adwin: warning at a change, row by row"),
        (
            "metric: traffic\nmethod: absent\nfor: 10m\n",
            "traffic by absent: critical after 10m without a row",
        ),
    ],
)
def test_a_check_is_a_sentence(text, words):
    """What is looked at, when it is how bad, how often and of how much."""
    assert wording.sentence(parsed(text)) == f"A: {words}"


def noted(check, features=20):
    """What of it is seldom meant."""
    return list(wording.notes(check, features))


def test_inspectors_of_more_features_than_they_read_are_noted():
    """No window of so many would ever be judged: a sample has too few rows of them."""
    check = parsed("metric: features\nmethod: lof\nfail: {above: 5%}\n")
    assert not noted(check, COLUMNS_MAX)
    (note,) = noted(check, COLUMNS_MAX + 1)
    assert note.startswith("A will always be unknown: inspectors read at most 1,310 numeric")
    assert row_sample.size(COLUMNS_MAX + 1) < REFERENCE_MIN <= row_sample.size(COLUMNS_MAX)
    figures = parsed("metric: figures\nmethod: lof\nfail: {above: 0.99}\n")
    assert not noted(figures, COLUMNS_MAX + 1)


def test_what_the_profile_lacks_of_what_is_asked_is_noted():
    """A positive class that it never answers, and figures of a segment that a check compares with;
    without such a check, and of a profile that has them, nothing is.
    """
    answers = category_profile({"no": 3, "yes": 2}, 0)
    profile = Profile(name="p", rows=5, from_ms=0, to_ms=1, prediction=answers)
    drop = parsed("metric: recall\nsegment_by: [country]\nfail: {drop: 5%}\n")

    def noted_of(positive="yes", check=drop, **known):
        return list(
            wording.profile_notes(
                Definition(
                    model=ModelFacts(task="binary", positive=positive, segments=["country"]),
                    reference=Reference(profile=msgspec.structs.replace(profile, **known)),
                    windows=list(WINDOWS.values()),
                    checks=[check],
                )
            )
        )

    positive, segment = noted_of(positive="1")
    assert "is of the positive class '1' but 'no', 'yes'" in positive
    assert segment.startswith("the profile 'p' has no figures by country, with which A would comp")
    assert noted_of() == [segment]
    assert noted_of(quality={"": {}, "country=DE": {"recall": 0.5}}) == []
    level = parsed("metric: recall\nsegment_by: [country]\nfail: {below: 0.5}\n")
    assert noted_of(check=level) == []


def test_the_lines_for_embeddings_are_a_check_that_looks_at_them(tmp_path):
    """Pasted under `checks:` they are read, and there is nothing left to say."""
    path = tmp_path / "m.yaml"
    head = 'apiVersion: inferwatch/v1\nmatch: {model: "*"}\nwindows: {a: {size: 1m}, b: {%s}}\n'
    for window, rows in (("size: 1h", 1_000), ("size: 1s", 1_000), ("rows: 500", 1_000)):
        path.write_text(head % window + "checks: []\n")
        said = wording.embeddings_unseen(monitors.read(path)[0].definition)
        path.write_text(head % window + "checks:\n" + said.split("\n", 1)[1] + "\n")
        definition = monitors.read(path)[0].definition
        (check,) = definition.checks
        assert (check.window, check.need.rows) == ("b" if window == "size: 1h" else "a", rows)
        assert wording.embeddings_unseen(definition) == ""
    only = default_definition()
    assert "a monitor file of its own, which takes the place" in wording.embeddings_unseen(only)


def test_labels_without_coverage_are_noted():
    """Such a check speaks before its window is whole; one that waits, or needs no labels, is not.

    None of the default set does.
    """
    text = "metric: recall\nfail: {below: 0.5}\nwhen: {%s}\n"
    (note,) = noted(parsed(text % "labels: 200"))
    assert note.startswith("A is judged at 200 labels")
    assert not noted(parsed(text % "labels: 200, coverage: 80%"))
    versions = text.replace("below: 0.5", "drop: 3pp") + "versus: previous\n"
    assert not noted(parsed(versions % "labels: 200"))
    assert not noted(parsed(text % "rows: 200"))
    assert not noted(parsed(text.replace("recall", "maturity") % "labels: 200"))
    assert not any(noted(check) for check in default_checks())
