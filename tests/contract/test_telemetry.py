"""What Prometheus, Alertmanager and Grafana are given: valid, generated, of our metrics only."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import promql_parser
import pytest
from promql_parser import AggregateExpr, BinaryExpr, MatrixSelector, VectorSelector
from ruamel.yaml import YAML

from inferwatch.telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/rules/inferwatch.yml"
RULE_TESTS = DEPLOY / "prometheus/tests/inferwatch.yml"


def script(name: str):
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # scripts import one another by their file's name
    spec.loader.exec_module(module)
    return module


script("panels")
dashboards = script("dashboards")
generator = script("telemetry")
read_yaml = YAML(typ="safe", pure=True).load
RULE_LIST = [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]
BOARDS = {path.name: json.loads(path.read_text()) for path in DEPLOY.glob("grafana/dashboards/*")}
QUERIES = {f"rule {rule['alert']}": rule["expr"] for rule in RULE_LIST} | {
    f"{name} {panel['title']} {target['refId']}": target["expr"]
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
}

# what Prometheus itself adds to a sample, and series that it makes
SCRAPED = {"job", "instance"}
OF_PROMETHEUS = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
LABELS = OF_PROMETHEUS | {
    series: set(metric.labels) | ({"le"} if series.endswith("_bucket") else set())
    for metric in CATALOGUE
    for series in metric.series()
}


def tool(name: str) -> str:
    """Path of a command of Debian's; missing means failed in CI, and a loud skip elsewhere."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"CI needs {name}"
        pytest.skip(f"not proved here: that {name} accepts our files, because it is not installed")
    return found


def wrong(query: str) -> list[str]:
    """Metrics of a query that are not ours, and labels that they do not have."""
    found: list[str] = []
    seen: list[set[str]] = []

    def labels_of(selector) -> None:
        known = LABELS.get(selector.name)
        if known is None:
            found.append(f"no metric {selector.name}")
            return
        seen.append(known | SCRAPED)
        found.extend(
            f"{selector.name} has no label {matcher.name}"
            for matcher in selector.matchers.matchers
            if matcher.name not in known | SCRAPED
        )

    def named(expression) -> None:
        if isinstance(expression, AggregateExpr) and expression.modifier is not None:
            used.update(expression.modifier.labels)
        if isinstance(expression, BinaryExpr) and expression.modifier is not None:
            if expression.modifier.matching is not None:
                used.update(expression.modifier.matching.labels)
            used.update(expression.modifier.group_labels or [])

    def visit(expression) -> None:
        if isinstance(expression, MatrixSelector):
            labels_of(expression.vector_selector)
        elif isinstance(expression, VectorSelector):
            labels_of(expression)
        named(expression)

    used: set[str] = set()
    promql_parser.walk(promql_parser.parse(plain(query)), visit)
    anywhere = set().union(*seen) if seen else set()
    return [*dict.fromkeys(found), *(f"no label {name}" for name in sorted(used - anywhere))]


def plain(query: str) -> str:
    """A panel's query with Grafana's variables filled in."""
    return query.replace("$__rate_interval", "1m").replace("$model", "team/model")


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_is_valid_and_of_metrics_and_labels_that_there_are(query):
    """Parsed, not searched: every name in the tree is in the catalogue, every label is its own."""
    assert wrong(query) == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("inferwatch_lag", ["no metric inferwatch_lag"]),
        ("rate(inferwatch_in[5m])", ["no metric inferwatch_in"]),
        ('inferwatch_lag_records{model="a"}', ["inferwatch_lag_records has no label model"]),
        ("sum by (model) (inferwatch_lag_records)", ["no label model"]),
        ("up == on (channel) inferwatch_lag_records", ["no label channel"]),
        ("sum(inferwatch_event_delay_seconds)", ["no metric inferwatch_event_delay_seconds"]),
    ],
)
def test_a_wrong_name_would_be_found(query, says):
    """The check sees a metric or label that nobody has, wherever it stands."""
    assert wrong(query) == says


def test_what_is_generated_is_committed(tmp_path):
    """Page and dashboards are today's; the generator's check sees a change and a stray file."""
    assert list(generator.differences()) == []
    for name, text in generator.files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert generator.main(["--check"], tmp_path) == 0
    (tmp_path / "deploy/grafana/dashboards/old.json").write_text("{}")
    (tmp_path / "docs/metrics.md").write_text("x")
    assert len(list(generator.differences(tmp_path))) == 2
    assert generator.main(["--check"], tmp_path) == 1


def test_the_page_of_metrics_tells_the_caps():
    """How many models, versions and features have series is what the code allows."""
    from inferwatch.telemetry import catalogue, models

    page = (ROOT / "docs/metrics.md").read_text()
    for said in (
        f"the first {catalogue.MODELS_MAX} (",
        f"the {models.VERSIONS_MAX} versions",
        f"the {models.FEATURES_MAX} features",
        f'model="{catalogue.OTHER}"',
    ):
        assert said in page


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_their_rows_and_overlap_nowhere(name):
    """Fixed ids, one place each, the data source that is provisioned."""
    panels = BOARDS[name]["panels"]
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < dashboards.COLUMNS
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    sources = read_yaml(DEPLOY / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in panels} == {sources[0]["uid"]}


def test_prometheus_accepts_config_and_rules():
    """promtool checks the configuration, and through it the rules."""
    checked = run(tool("promtool"), "check", "config", DEPLOY / "prometheus/prometheus.yml")
    assert f"SUCCESS: {len(RULE_LIST)} rules found" in checked


def test_each_rule_fires_and_resolves():
    """promtool runs every rule over series that make it fire and then stop."""
    assert "SUCCESS" in run(tool("promtool"), "test", "rules", RULE_TESTS)
    tested = {}
    for test in read_yaml(RULE_TESTS)["tests"]:
        for point in test["alert_rule_test"]:
            fires = bool(point.get("exp_alerts"))
            tested.setdefault(point["alertname"], []).append(fires)
    always = {"Watchdog": [True]}
    assert tested == {rule["alert"]: [True, False] for rule in RULE_LIST} | always


def test_alertmanager_accepts_its_config():
    """amtool checks it, and a watchdog goes where it is listened for."""
    config = DEPLOY / "alertmanager/alertmanager.yml"
    assert "SUCCESS" in run(tool("amtool"), "check-config", config)
    routed = [
        run(tool("amtool"), "config", "routes", "test", f"--config.file={config}", labels).strip()
        for labels in ("alertname=Watchdog", "alertname=RecallDrop")
    ]
    assert routed == ["dead-man", "on-call"]


def run(*command: object) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("rule", RULE_LIST, ids=lambda rule: rule["alert"])
def test_a_rule_has_a_severity_and_a_runbook(rule):
    """Its runbook says what it means, what to look at and what to do."""
    assert rule["labels"]["severity"] in ("none", "info", "warning", "critical")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / page).read_text()
    _, heading, after = text.partition(f"\n### {rule['alert']}\n")
    assert heading and anchor == rule["alert"].lower()
    section = re.split(r"^#{2,3} ", after, maxsplit=1, flags=re.MULTILINE)[0]
    assert "\n- Look at: " in section and "\n- Do: " in section


def test_no_runbook_is_without_its_rule():
    """The page speaks of the rules that there are."""
    text = (ROOT / "docs/operating.md").read_text()
    runbooks = text.partition("\n## Runbooks\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", runbooks, re.MULTILINE) == [
        rule["alert"] for rule in RULE_LIST
    ]


def test_jobs_are_those_that_rules_and_panels_ask_for():
    """A job by another name would leave rules silent; the bridge and servers are yours to add."""
    config = read_yaml(DEPLOY / "prometheus/prometheus.yml")
    jobs = {one["job_name"] for one in config["scrape_configs"]}
    asked = set(re.findall(r'job="([\w-]+)"', " ".join(QUERIES.values())))
    assert asked - jobs == {"inferwatch-bridge"}
