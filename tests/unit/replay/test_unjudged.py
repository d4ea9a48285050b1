"""Checks that nothing was ever judged by are told, with the reason; all others are not."""

from pathlib import Path

import pytest

from inferwatch.config import mapping, monitors
from inferwatch.core.model import ModelState
from inferwatch.replay import driver, table, unjudged

MAPPING = "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\nlabel: truth\n"
HEAD = 'apiVersion: inferwatch/v1\nmatch: {model: "*"}\nmodel: {task: binary}\n'
HEAD += "reference: {min_rows: 50}\nwindows: {w: {rows: 50}, all: {size: 1m}}\nchecks:\n"
CHECKS = {
    "Rows": ("{window: w, metric: rows, fail: {above: 10}}", ""),
    "Age": ("{window: w, metric: feature.age.missing, fail: {below: 0.9}}", ""),
    "Early": ("{window: w, metric: latency.p99, fail: {above: 1ms}}", ""),
    "Typo": (
        "{window: w, metric: feature.agee.missing, fail: {below: 0.9}}",
        "no feature 'agee'; did you mean 'age'?",
    ),
    "TypoByRow": ("{metric: feature.zzz, method: adwin}", "no feature 'zzz'"),
    "Words": ("{metric: feature.country, method: adwin}", "no number that it reads"),
    "Cpu": ("{window: w, metric: cpu, fail: {below: 0.9}}", "not measured"),
    "Labels": (
        "{window: all, metric: accuracy, when: {labels: 250}, fail: {below: 0.99}}",
        "no window has the labels",
    ),
    "Many": (
        "{window: all, metric: error_rate, when: {rows: 250}, fail: {below: 0.5}}",
        "200 rows of 250",
    ),
    "Silent": ("{metric: traffic, method: absent, for: 10m}", ""),
}


def replayed(folder: Path, names: list[str]) -> tuple[driver.Summary, set[str]]:
    """Four windows of rows, of which only the first have latencies, and a minute of all; and what
    fired.
    """
    rows = "".join(
        f"r{n},{1_700_000_000_000 + n},{n % 2},1,{n},{'DE' if n % 3 else 'FR'},"
        f"{9 if n < 100 else ''}\n"
        for n in range(200)
    )
    (folder / "t.csv").write_text("id,at,answer,truth,age,country,took\n" + rows)
    (folder / "mapping.yaml").write_text(MAPPING + "latency_ms: took\n")
    lines = "".join(
        f"  - {CHECKS[name][0].replace('{', f'{{alert: {name}, ', 1)}\n" for name in names
    )
    (folder / "m.yaml").write_text(HEAD + lines)
    loaded = monitors.load([folder / "m.yaml"])
    batches = table.read(folder / "t.csv", mapping.read(folder / "mapping.yaml"))
    rows = table.records(batches, 120_000)
    summary = driver.run(rows, loaded.definition, {}, lambda *_: None)
    kinds = {name.split()[0] for name in summary.transitions}
    return summary, kinds


def test_what_was_never_judged_is_told_with_its_reason(tmp_path):
    """Each check fires once it is judged: those that did not are named, and but for the check on
    silence no other, also where its figure was there in the first windows only.
    """
    summary, fired = replayed(tmp_path, list(CHECKS))
    told = summary.unjudged["team/model"]
    assert fired == CHECKS.keys() - told.keys() - {"Silent"}
    assert told.keys() == {name for name, (_, why) in CHECKS.items() if why}
    for name, why in told.items():
        assert why.startswith(CHECKS[name][1])


@pytest.mark.parametrize("name", ["Rows", "Silent"])
def test_a_model_whose_checks_all_spoke_is_not_named(tmp_path, name):
    """There is nothing to say of it."""
    assert replayed(tmp_path, [name])[0].unjudged == {}


@pytest.mark.parametrize(("retired", "told"), [([], {"Rows", "Typo"}), (["1"], {"Typo"})])
def test_what_a_retired_version_was_judged_by_is_not_denied(tmp_path, retired, told):
    """Its alerts are forgotten with it; a feature that never came is still told."""
    lines = "".join(f"  - {{alert: {name}, {CHECKS[name][0][1:]}\n" for name in ("Rows", "Typo"))
    (tmp_path / "m.yaml").write_text(HEAD + lines)
    definition = monitors.load([tmp_path / "m.yaml"]).definition("team/model")
    state = ModelState(name="team/model", definition=definition, retired=retired)
    assert unjudged.reasons(state).keys() == told
