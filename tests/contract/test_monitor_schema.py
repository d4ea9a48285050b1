"""The schema of monitor files takes and refuses what `inferwatch` does."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import ROOT, schema, script, validator
from ruamel.yaml import YAML

from inferwatch.config import checks, monitors, units
from inferwatch.config.defaults import default_definition
from inferwatch.errors import ConfigError


def monitor_file(text):
    """A monitor file as a validator sees it."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


def loads(text, tmp_path):
    """Whether `inferwatch` takes the file."""
    path = tmp_path / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        monitors.read(path)
    except ConfigError:
        return False
    return True


HEAD = 'apiVersion: inferwatch/v1\nmatch: {model: "team/model"}\n'
FULL = (
    HEAD
    + """
model:
  task: binary
  positive: 1
  label_delay: 1h
  label_wait: 90m
  label_horizon: 2d
  segments: [country]
  segments_max: 20
  segments_min_rows: 20
  score_bins: 1024
  pending_max: 64MiB
  restate_every: 5m
reference: {last: 7d, min_rows: 5000, min_span: 1h}
windows:
  slow: {size: 1h, step: 15m, grace: 30s}
  hour: {size: 1h}
  batch: {rows: 5000, exact: true}
checks:
  - alert: RecallDrop
    metric: recall
    window: slow
    against: reference
    segment_by: [country]
    when: {rows: 10, labels: 200, coverage: 80%}
    warn: {drop: 3pp, clear: 1pp}
    fail: {drop: 5%}
    times: 2 of 3
    for: 3m
    keep_firing_for: 1h30m
    mode: observe
    labels: {team: risk}
    annotations: {runbook: "https://example.org/1"}
  - {alert: Worse, metric: recall, window: hour, versus: previous, fail: {drop: 0pp}}
  - {alert: Shift, metric: error, method: adwin, params: {delta: 0.002}}
  - {alert: Slow, metric: latency.p99, window: slow, fail: {above: 250ms}}
  - {alert: Drift, metric: feature.amount, method: psi, window: batch, fail: {above: 0.25}}
  - {alert: Any, metric: feature.*, method: ks, window: batch, warn: {above: 0.1}, fail: calibrated}
  - {alert: Silent, metric: traffic, method: absent, for: 10m}
"""
)


def blocks():
    """Monitor files of the examples and of README.md and docs/monitors.md."""
    found = [path.read_text(encoding="utf-8") for path in ROOT.glob("examples/*/monitors.yaml")]
    for page in (ROOT / "README.md", ROOT / "docs" / "monitors.md"):
        yaml = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        found += [text for text in yaml if text.startswith("apiVersion: inferwatch/v1")]
    return found


def test_monitor_files_that_are_shown_are_valid():
    """Examples and documented files hold the schema."""
    assert len(blocks()) >= 2
    for text in [FULL, *blocks()]:
        validator("monitor-file").validate(monitor_file(text))


def test_every_default_check_can_be_written():
    """Metrics and methods of the default set are words that the schema knows."""
    check = validator("monitor-file", "check")
    for made in default_definition().checks:
        check.validate({"alert": made.alert, "metric": made.metric, "method": made.method})
    for metric in [*checks.PLAIN, "feature.a", "feature.*.missing"]:
        assert check.is_valid({"alert": "A", "metric": metric})


PLACES = {
    "": (HEAD + "zzz: 1", "/properties"),
    "match": ("apiVersion: inferwatch/v1\nmatch: {zzz: 1}", "/properties/match/properties"),
    "model": (HEAD + "model: {zzz: 1}", "/properties/model/properties"),
    "reference": (HEAD + "reference: {zzz: 1}", "/properties/reference/properties"),
    "window": (HEAD + "windows: {w: {zzz: 1}}", "/$defs/window/properties"),
    "check": (HEAD + "checks: [{zzz: 1}]", "/$defs/check/properties"),
    "when": (
        HEAD + "checks: [{alert: A, metric: rows, window: hour, fail: {below: 9}, when: {zzz: 1}}]",
        "/$defs/check/properties/when/properties",
    ),
    "limit": (
        HEAD + "checks: [{alert: A, metric: rows, fail: {zzz: 1}}]",
        "/$defs/limit/properties",
    ),
    "method": (
        HEAD + "checks: [{alert: A, metric: rows, method: zzz}]",
        "/$defs/check/properties/method/enum",
    ),
    "mode": (
        HEAD + "checks: [{alert: A, metric: rows, window: hour, fail: {below: 9}, mode: zzz}]",
        "/$defs/check/properties/mode/enum",
    ),
    "task": (HEAD + "model: {task: zzz}", "/properties/model/properties/task/enum"),
}


@pytest.mark.parametrize(("text", "pointer"), PLACES.values(), ids=PLACES)
def test_the_words_of_a_monitor_file_are_those_that_config_reads(text, pointer, tmp_path):
    """What `inferwatch` says is allowed in a place is what the schema has there."""
    path = tmp_path / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        monitors.read(path)
    allowed = refused.value.fix.partition("allowed: ")[2].split(", ")
    place = schema("monitor-file")
    for name in pointer.split("/")[1:]:
        place = place[name]
    assert sorted(place) == allowed
    assert not validator("monitor-file").is_valid(monitor_file(text))


CHECK = HEAD + "windows: {w: {size: 1h}}\nchecks:\n  - {alert: A, metric: accuracy, %s}\n"
MISTAKES = [
    "match: {model: a}",
    HEAD + "windows: {}",
    HEAD + "windows: {w: {}}",
    HEAD + "windows: {w: {size: 1h, rows: 100}}",
    HEAD + "windows: {w: {rows: 100, step: 1m}}",
    HEAD + "windows: {w: {rows: 49}}",
    HEAD + "windows: {w: {size: 60}}",
    HEAD + "windows: {w: {size: 1 hour}}",
    HEAD + "windows: {w: {size: 1h, exact: 1}}",
    HEAD + "reference: {profile: p.json, last: 7d}",
    HEAD + "reference: {min_rows: 10}",
    HEAD + "reference: {profile: p.json, min_span: 1h}",
    HEAD + "model: {segments: country}",
    HEAD + "model: {segments_max: 0}",
    HEAD + "model: {segments_min_rows: 0}",
    HEAD + "model: {score_bins: 1000}",
    HEAD + "model: {pending_max: 64}",
    HEAD + "checks: {alert: A}",
    HEAD + "checks: [{metric: rows}]",
    CHECK % "metric2: x",
    CHECK % "fail: {above: 1, below: 2}",
    CHECK % "fail: learnt",
    CHECK % "fail: {clear: 1}",
    CHECK % "fail: {drop: five}",
    CHECK % "fail: {drop: 5 percent}",
    CHECK % "fail: {drop: 5%}, times: 2/3",
    CHECK % "fail: {drop: 5%}, for: 3",
    CHECK % "fail: {drop: 5%}, against: last week",
    CHECK % "fail: {drop: 5%}, when: {labels: 0}",
    CHECK % "fail: {drop: 5%}, labels: [a]",
    CHECK % "method: adwin, params: {delta: 0}",
    CHECK % "method: adwin, params: {dleta: 1}",
    CHECK.replace("accuracy", "acuracy") % "fail: {drop: 5%}",
]


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_refused_by_both(text, tmp_path):
    """An editor marks what `inferwatch` would refuse."""
    assert not validator("monitor-file").is_valid(monitor_file(text))
    assert not loads(text, tmp_path)


def test_the_full_file_is_taken_by_both(tmp_path):
    """Every key, once: read by `inferwatch`, valid for an editor."""
    assert loads(FULL, tmp_path)
    assert validator("monitor-file").is_valid(monitor_file(FULL))
    keys = {key for check in monitor_file(FULL)["checks"] for key in check}
    assert keys == set(checks.KEYS)


word = st.text(alphabet="0123456789.mshdwpkKMGiB%+-eE ", max_size=8)


@given(
    word
    | st.from_regex(script.UNITS["duration"]["pattern"])
    | st.from_regex(script.UNITS["size"]["pattern"])
    | st.from_regex(script.UNITS["amount"]["pattern"]),
)
def test_the_patterns_of_units_are_the_parsers(text):
    """A duration, size or amount is one for the schema exactly where `config.units` reads it."""
    if not text.isascii() or text != text.strip("\n"):
        return
    for name, parse in (
        ("duration", units.duration_ms),
        ("size", units.size_bytes),
        ("amount", units.amount),
    ):
        is_one = validator("monitor-file", name).is_valid(text)
        assert is_one is (parse(text) is not None), (name, text)


def test_numbers_are_amounts():
    """A limit may be a plain number."""
    amount = validator("monitor-file", "amount")
    assert amount.is_valid(0.25) and amount.is_valid(-3) and not amount.is_valid(True)
