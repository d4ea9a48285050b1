"""The processes' metrics: the catalogue's and no others, named by the rules, series from 0."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families

from inferwatch.config.defaults import default_definition
from inferwatch.core.fold import Partition
from inferwatch.errors import Reason
from inferwatch.records.decode import decode
from inferwatch.runtime.status import Status
from inferwatch.telemetry import sdk
from inferwatch.telemetry.catalogue import BY_NAME, CATALOGUE, NAMESPACE, declared
from inferwatch.telemetry.exposition import expose
from inferwatch.telemetry.families import exemplar
from inferwatch.telemetry.metrics import BridgeMetrics, NotifierMetrics
from inferwatch.telemetry.worker import Metrics
from inferwatch.testing.builders import raw_inference

ROOT = Path(__file__).parents[3]
OPEN = "application/openmetrics-text; version=1.0.0"
LABELS = {
    *("reason", "kind", "outcome", "severity", "channel", "alertname", "metric", "method"),
    *("partition", "model", "version", "window", "feature", "class"),
}


def of_sdk() -> CollectorRegistry:
    """A model server's registry with the SDK's counters."""
    registry = CollectorRegistry()
    sdk.register(registry)
    return registry


REGISTRIES = {
    "worker": lambda: Metrics().registry,
    "notifier": lambda: NotifierMetrics(["console", "oncall"]).registry,
    "bridge": lambda: BridgeMetrics().registry,
    "sdk": of_sdk,
}
every_process = pytest.mark.parametrize("process", REGISTRIES)
every_metric = pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)


def families(registry):
    """What a scrape reads, by name."""
    text = expose(registry, "")[1].decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


@every_process
def test_a_process_has_the_metrics_that_are_declared_for_it(process):
    """Name, kind and meaning of what a scrape shows are the catalogue's, and nothing else is."""
    shown = {
        (family.name, family.type, family.documentation)
        for family in families(REGISTRIES[process]()).values()
    }
    assert shown == {
        (metric.full_name.removesuffix("_total"), metric.kind, metric.help)
        for metric in declared(process)
    }


@every_metric
def test_a_name_follows_the_rules(metric):
    """Words in lower case, `_total` on counters only, the unit last, base units, known labels."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not re.search(r"_(ms|millis|minutes|mb|percent)(_|$)", metric.name)
    if metric.unit in ("seconds", "bytes", "ratio"):
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    if "timestamp" in metric.name:
        assert metric.name.endswith("_timestamp_seconds") and metric.kind == "gauge"
    assert metric.help and metric.by and set(metric.labels) <= LABELS
    assert list(metric.buckets) == sorted(metric.buckets)
    assert bool(metric.buckets) == (metric.kind == "histogram")


def test_no_metric_is_declared_twice():
    """A name means one thing, and no sample's name is another's."""
    series = [name for metric in CATALOGUE for name in metric.series()]
    assert len(series) == len(set(series)) and len(BY_NAME) == len(CATALOGUE)


def foreign(path: str, text: str) -> list[str]:
    """Lines that reach prometheus_client from outside of telemetry/."""
    if "inferwatch/telemetry/" in path:
        return []
    names = [
        (node.lineno, name)
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]
    return [f"{path}:{line}" for line, name in names if name.startswith("prometheus_client")]


def test_metrics_are_made_in_telemetry_only():
    """Nobody else imports the library that makes them; an import elsewhere would be found."""
    assert foreign("pipeline/inferwatch/runtime/x.py", "from prometheus_client import Counter\n")
    assert foreign("pipeline/inferwatch/sdk/x.py", "def f():\n    import prometheus_client as p\n")
    files = [path for folder in ("pipeline", "scripts") for path in (ROOT / folder).rglob("*.py")]
    assert not [line for path in files for line in foreign(str(path), path.read_text())]


@every_process
def test_a_scrape_is_valid_in_both_formats(process):
    """Prometheus' text and OpenMetrics, with nothing that was generated for nobody."""
    registry = REGISTRIES[process]()
    kind, body = expose(registry, OPEN)
    assert kind.startswith("application/openmetrics-text") and b"_created" not in body
    units = {family.name: family.unit for family in parse_open(body.decode())}
    assert units and all(name.endswith(unit) for name, unit in units.items())


def test_closed_lists_are_there_from_the_start():
    """A rate over a series that appears with its first event would miss that event."""
    found = families(Metrics().registry)
    for metric in declared("worker"):
        if metric.values:
            samples = found[metric.full_name.removesuffix("_total")].samples
            assert {sample.labels[metric.labels[0]] for sample in samples} == set(metric.values)
    assert set(BY_NAME["rejected_total"].values) == {reason.value for reason in Reason}
    channels = families(NotifierMetrics(["console", "oncall"]).registry)
    samples = channels["inferwatch_notifications"].samples
    assert {tuple(sorted(sample.labels.values())) for sample in samples} == {
        (channel, outcome) for channel in ("console", "oncall") for outcome in ("rejected", "sent")
    }
    for family in (*found.values(), *channels.values()):
        assert all(sample.value == 0 for sample in family.samples)


def test_a_start_is_told():
    """Which release runs, and since when."""
    metrics = Metrics()
    metrics.began("1.2.3")
    found = families(metrics.registry)
    [build] = found["inferwatch_build_info"].samples
    assert (build.labels, build.value) == ({"version": "1.2.3"}, 1)
    assert found["inferwatch_start_timestamp_seconds"].samples[0].value > 1_700_000_000


def test_two_processes_in_one_do_not_share_counters():
    """Each has a registry of its own; nothing is in the library's global one."""
    first, second = Metrics(), Metrics()
    first.rebalances.inc(5)
    assert families(second.registry)["inferwatch_rebalances"].samples[0].value == 0
    assert not any(name.startswith(NAMESPACE) for name in REGISTRY._names_to_collectors)


def test_models_are_counted_over_all_partitions():
    """Not only those of the partition that was folded last."""
    found = Status(Metrics())
    for number, models in ((0, ["a/1", "a/2"]), (1, ["b/1"])):
        partition = Partition(number)
        for offset, model in enumerate(models):
            raw = raw_inference(model=model, offset=offset, partition=number)
            decoded = decode(raw)
            partition.define(model, default_definition(), offset)
            found.folded(partition, [(raw, decoded)], partition.fold_all([(raw, decoded)]))
    [sample] = families(found.metrics.registry)["inferwatch_models"].samples
    assert sample.value == 3


def test_the_bridge_counts_what_it_counted_once():
    """Counters follow the bridge's own figures, and a repeat of the same figures adds nothing."""
    metrics = BridgeMetrics()
    for rows in (3, 3, 10):
        metrics.count({"rows": rows, "lost": 1})
    found = families(metrics.registry)
    assert found["inferwatch_bridge_rows"].samples[0].value == 10
    assert found["inferwatch_bridge_lost"].samples[0].value == 1


def test_an_exemplar_that_is_too_long_is_left_out():
    """OpenMetrics allows 128 characters; an id beyond that costs the exemplar, not the count."""
    assert exemplar(record="x" * 122) == {"record": "x" * 122}
    assert exemplar(record="x" * 123) is None
