"""What changes with each record is told as prometheus_client's own counters would tell it."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from inferwatch.telemetry.catalogue import BY_NAME, DELAYS_S
from inferwatch.telemetry.each import EachRecord
from inferwatch.telemetry.exposition import expose
from inferwatch.telemetry.families import exemplar

OPEN = "application/openmetrics-text; version=1.0.0"
DELAYS = st.floats(-5, 200) | st.sampled_from(DELAYS_S)
LETTERS = st.text("abc-0123456789", max_size=130)  # names beyond 128 have no exemplar


def told(registry, name):
    """Samples of a family: name, labels, value and the exemplar without its time."""
    text = expose(registry, OPEN)[1].decode()
    [found] = [one for one in text_string_to_metric_families(text) if one.name == name]
    return [
        (one.name, one.labels, one.value, one.exemplar and (one.exemplar[:2]))
        for one in found.samples
    ]


@given(st.lists(st.tuples(LETTERS, DELAYS), max_size=20))
def test_delays_are_those_of_the_librarys_histogram(records):
    """Bucket for bucket, with the newest record of each as its exemplar; the future counts as 0."""
    each, registry, own = EachRecord(), CollectorRegistry(), CollectorRegistry()
    own.register(each)
    metric = BY_NAME["event_delay_seconds"]
    peer = Histogram(
        metric.full_name, metric.help, registry=registry, unit="seconds", buckets=DELAYS_S
    )
    for name, delay_s in records:
        each.folded(0, name, 100.0 - delay_s, 100.0)
        peer.observe(max(0.0, 100.0 - (100.0 - delay_s)), exemplar(record=name))
    assert told(own, metric.full_name) == told(registry, metric.full_name)


def test_a_partition_has_the_time_of_its_last_record():
    """In Unix seconds, by number."""
    each, registry = EachRecord(), CollectorRegistry()
    registry.register(each)
    for partition, now_s in ((3, 50.0), (1, 60.0), (3, 70.5)):
        each.folded(partition, "a-0-1", 40.0, now_s)
    assert {
        labels["partition"]: value
        for _, labels, value, _ in told(registry, "inferwatch_progress_timestamp_seconds")
    } == {"3": 70.5, "1": 60.0}
