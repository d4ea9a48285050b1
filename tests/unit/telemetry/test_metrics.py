"""The declared metrics: names by Prometheus' rules, bounded labels, series from zero on."""

import re

import pytest
from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from inferwatch.core.fold import Partition
from inferwatch.errors import Reason
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.runtime.status import Status
from inferwatch.telemetry.metrics import DELAYS_S, KINDS, Metrics, NotifierMetrics
from inferwatch.testing.builders import raw_inference

BOTH = [lambda: Metrics(), lambda: NotifierMetrics(["console", "oncall"])]
LABELS = {"reason", "kind", "outcome", "partition", "model", "alertname", "channel", "le"}


def families(registry):
    """What a scrape reads, by name."""
    text = generate_latest(registry).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize("make", BOTH)
def test_names_follow_the_rules(make):
    """One prefix, base units, `_total` on counters, points in time say so, and all have help."""
    for family in families(make().registry).values():
        assert re.fullmatch(r"inferwatch_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|millis|minutes|mb|percent)(_|$)", family.name)
        if "timestamp" in family.name:
            assert family.name.endswith("_timestamp_seconds") and family.type == "gauge"
        for sample in family.samples:
            assert set(sample.labels) <= LABELS
            if family.type == "counter":
                assert sample.name == f"{family.name}_total"


@pytest.mark.parametrize("make", BOTH)
def test_a_scrape_is_valid_in_both_formats(make):
    """Prometheus' text and OpenMetrics, with nothing that was generated for nobody."""
    registry = make().registry
    assert openmetrics(registry).endswith(b"# EOF\n")
    assert b"_created" not in generate_latest(registry)


def test_closed_lists_are_there_from_the_start():
    """A rate over a series that appears with its first event would miss that event."""
    found = families(Metrics().registry)
    reasons = {sample.labels["reason"] for sample in found["inferwatch_rejected"].samples}
    assert reasons == {reason.value for reason in Reason}
    for name, kinds in KINDS.items():
        [label] = {
            label for sample in found[f"inferwatch_{name}"].samples for label in sample.labels
        }
        values = {sample.labels[label] for sample in found[f"inferwatch_{name}"].samples}
        assert values == set(kinds)
    channels = families(NotifierMetrics(["console", "oncall"]).registry)
    samples = channels["inferwatch_notifications"].samples
    assert {tuple(sorted(sample.labels.values())) for sample in samples} == {
        (channel, outcome) for channel in ("console", "oncall") for outcome in ("rejected", "sent")
    }
    for family in (*found.values(), *channels.values()):
        assert all(sample.value == 0 for sample in family.samples)


def test_two_processes_in_one_do_not_share_counters():
    """Each has a registry of its own; nothing is in the library's global one."""
    first, second = Metrics(), Metrics()
    first.in_rows.inc(5)
    assert families(second.registry)["inferwatch_in"].samples[0].value == 0
    assert not any(name.startswith("inferwatch") for name in REGISTRY._names_to_collectors)


def test_models_are_counted_over_all_partitions():
    """Not only those of the partition that was folded last."""
    found = Status(Metrics())
    for number, models in ((0, ["a/1", "a/2"]), (1, ["b/1"])):
        partition = Partition(number)
        for offset, model in enumerate(models):
            raw = raw_inference(model=model, offset=offset, partition=number)
            decoded = decode(raw)
            partition.define(model, Definition(), offset)
            found.folded(partition, raw, decoded, partition.fold(raw, decoded))
    [sample] = families(found.metrics.registry)["inferwatch_models"].samples
    assert sample.value == 3


def test_buckets_reach_from_a_hundredth_to_a_minute():
    """In steps of 1, 2, 5, as the delays of a healthy and of a stuck worker need."""
    assert list(DELAYS_S) == sorted(DELAYS_S)
    assert (DELAYS_S[0], DELAYS_S[-1]) == (0.01, 60)
