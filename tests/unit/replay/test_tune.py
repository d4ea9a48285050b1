"""Limits that are tried: each copy fires as the check would, had its file said so."""

from pathlib import Path

import msgspec
import pytest

from inferwatch.cli.main import main
from inferwatch.config import monitors
from inferwatch.config.incidents import Incident
from inferwatch.errors import Exit, UsageError
from inferwatch.replay import recorded, scoring, tune

START_MS = 1_700_000_000_000
MAPPING = (
    "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\nlabel: truth\n"
    "label_delay: 25s\nerror: error\nsegments: [country]\n"
)
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
model: {task: binary, label_delay: 25s, label_wait: 10m, label_horizon: 20m, segments: [country]}
windows: {w: {size: 10s}}
checks:
  - {alert: Wrong, metric: accuracy, CHECK}
  - {alert: Other, metric: error_rate, warn: {above: 1%}}
"""
CHECKS = [
    "fail: {below: LIMIT}",
    "fail: {below: LIMIT}, warn: {below: 0.99}, times: 2 of 3",
    "warn: {below: LIMIT}, for: 20s, segment_by: [country], when: {labels: 3}",
]
LIMITS = ["50%", "0.75", "0.95"]
KNOWN = [Incident(place="i", model="team/*", from_ms=START_MS + 100_000, to_ms=START_MS + 200_000)]


@pytest.fixture
def folder(tmp_path):
    """A table of 400 s in which more and more answers are wrong, and fewer again, by country."""
    wrong = {n for n in range(100, 300) if n % max(1, abs(200 - n) // 20) == 0}
    rows = "".join(
        f"r{n},{START_MS + n * 1_000},1,{int(n not in wrong)},,{'DE' if n % 3 else 'FR'}\n"
        for n in range(400)
    )
    (tmp_path / "t.csv").write_text("id,at,answer,truth,error,country\n" + rows)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return tmp_path


def written(folder, check):
    """A monitor file with the check."""
    path = folder / "m.yaml"
    path.write_text(MONITORS.replace("CHECK", check))
    return path


def spans(run, alert):
    """When the alert fired, and until when."""
    return [(one.at_ms, one.end_ms, one.segment) for one in run.firings if one.alert == alert]


@pytest.mark.parametrize("check", CHECKS)
def test_a_limit_that_is_tried_scores_as_one_that_is_written(folder, check, capsys):
    """One replay with three limits against three with one each: the same firings, times and scores,
    with `times`, `for`, segments and labels that come late. Limits decide something here.
    """
    table, out = str(folder / "t.csv"), str(folder / "out")
    path = str(written(folder, check.replace("LIMIT", "0.6")))
    arguments = ["tune", table, "--monitors", path, "--out", out, "--alert", "Wrong"]
    assert main([*arguments, "--limits", *LIMITS]) == Exit.DONE
    found = recorded.read(Path(out))
    tried = {
        one.limit: one.score
        for one in tune.rows(tune.score(found, "Wrong", KNOWN, 0), "Wrong", LIMITS)
    }
    assert list(tried) == ["", *LIMITS]
    for limit in ("0.6", *LIMITS):
        alone = check.replace("LIMIT", limit)
        if limit != "0.6":
            alone = alone.replace(", warn: {below: 0.99}", "")
        path = str(written(folder, alone))
        assert main(["replay", table, "--monitors", path, "--out", out]) == Exit.DONE
        run = recorded.read(Path(out))
        [_, expected] = scoring.score(run, KNOWN).rules
        mine = tried["" if limit == "0.6" else limit]
        assert spans(found, mine.alert) == spans(run, "Wrong") != []
        mine.alert = expected.alert
        assert mine == expected
    assert len({tuple(spans(found, f"Wrong {limit}")) for limit in LIMITS}) > 1


def test_a_copy_is_the_check_with_another_limit(tmp_path):
    """`fail` where there is one, else `warn`; `clear` keeps its share; all else stays."""
    check = "when: {labels: 7}, fail: {below: 0.8, clear: 0.9}, warn: {below: 0.85}"
    definition = monitors.load([written(tmp_path, check)]).definition("team/model")
    found = tune.tuned(definition, "Wrong", ["40%", "0.6"])
    assert found.checks[:2] == definition.checks
    for copy, name, limit in zip(found.checks[2:], ("40%", "0.6"), (0.4, 0.6), strict=True):
        assert (copy.alert, copy.warn, copy.need.labels) == (f"Wrong {name}", None, 7)
        assert (copy.fail.direction, copy.fail.value) == ("below", limit)
        assert copy.fail.clear == pytest.approx(limit * 0.9 / 0.8)
    other = tune.tuned(definition, "Other", ["2%"]).checks[-1]
    assert other.fail is None and other.warn.value == 0.02
    assert tune.tuned(definition, "Missing", ["1"]) == definition


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (["120%"], "--limits 120%: 'accuracy' is from 0 to 1, so `below: 120%` always fires"),
        (["soon"], "--limits soon: 'soon' is no amount (write a number, 5%"),
        (["2pp"], "--limits 2pp: points are a distance from the reference"),
        ([f"0.{n:03}" for n in range(1, 600)], "--limits: 601 checks: at most 500"),
    ],
)
def test_a_limit_that_a_monitor_file_may_not_say_is_refused(tmp_path, limits, says):
    """In its words, with its fix."""
    definition = monitors.load([written(tmp_path, CHECKS[0].replace("LIMIT", "0.8"))])
    with pytest.raises(UsageError) as caught:
        tune.tuned(definition.definition("team/model"), "Wrong", limits)
    assert str(caught.value).startswith(says)


def test_a_copy_called_as_another_check_is_refused(tmp_path):
    """By the name that is taken."""
    path = written(tmp_path, "fail: {below: 0.8}")
    path.write_text(path.read_text().replace("Other", "Wrong 0.7"))
    definition = monitors.load([path]).definition("team/model")
    with pytest.raises(UsageError, match=r"--limits: there is an alert 'Wrong 0\.7' already"):
        tune.tuned(definition, "Wrong", ["0.6", "0.7"])


def test_a_clear_beyond_what_can_be_is_refused(tmp_path):
    """Scaled with its limit it would never end the alert."""
    check = "fail: {below: 0.8, clear: 0.96}"
    definition = monitors.load([written(tmp_path, check)]).definition("team/model")
    with pytest.raises(UsageError, match=r"--limits 0\.9: .*it would never end"):
        tune.tuned(definition, "Wrong", ["0.9"])


def test_beside_a_limit_of_nothing_clear_keeps_its_distance(tmp_path):
    """It has no share of it: `above: 0, clear: -0.1` ends 0.1 below whatever limit is tried."""
    check = "fail: {above: 0, clear: -0.1}"
    path = written(tmp_path, check)
    path.write_text(path.read_text().replace("metric: accuracy", "metric: calibration_bias"))
    definition = monitors.load([path]).definition("team/model")
    copy = tune.tuned(definition, "Wrong", ["0.3"]).checks[-1]
    assert copy.fail.value == 0.3
    assert copy.fail.clear == pytest.approx(0.2)


def test_an_incident_asks_by_the_name_that_the_check_has():
    """`alert: Wrong` asks each limit of it, `alert: Other` none."""
    run = recorded.Recorded(
        Path("report"),
        [],
        {"team/model": (START_MS, START_MS + 300_000)},
        {"team/model": ["Other", "Wrong", "Wrong 0.5"]},
        {},
    )
    for alert, incidents in (("Wrong", 1), ("Wr*", 1), ("Other", 0)):
        known = [msgspec.structs.replace(one, alert=alert) for one in KNOWN]
        found = tune.rows(tune.score(run, "Wrong", known, 0), "Wrong", ["0.5"])
        assert [one.limit for one in found] == ["", "0.5"]
        assert [one.score.incidents for one in found] == [incidents] * 2
