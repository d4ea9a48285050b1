"""Series of models: bounded whatever comes, put together beyond the cap, gone with their model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from inferwatch.telemetry.catalogue import BY_NAME, LATENCIES_S, OTHER, declared
from inferwatch.telemetry.exposition import expose
from inferwatch.telemetry.models import (
    CLASSES_MAX,
    FEATURES_MAX,
    LATENCY,
    VERSIONS_MAX,
    ModelSeries,
)
from inferwatch.telemetry.worker import Metrics


class Dropped(list[str]):
    """Reasons in the order in which they were told."""

    def __call__(self, reason: str) -> None:
        self.append(reason)


def shown(series: ModelSeries, metric: str) -> dict[tuple[str, ...], float]:
    """Values of a metric by its labels."""
    return {labels: value for name, labels, value in series.gauges() if name == metric}


def test_more_models_than_the_cap_share_one_series():
    """G10: with 50 models and a cap of 10 each metric has 11 series at most, and each is right."""
    metrics = Metrics(models_max=10)
    for number in range(50):
        name = f"team/m{number}"
        metrics.series.replace(0, name, "model_rows", {(): float(number)})
        metrics.series.replace(0, name, "watermark_timestamp_seconds", {(): 100.0 + number})
        metrics.series.replace(0, name, "quality", {("1", "fast", "accuracy"): 0.9})
        metrics.series.drift(0, name, ("1", "fast"), {("psi", "amount"): float(number)})
        metrics.series.observe(0, name, "1", np.array([0.1]))
    text = expose(metrics.registry, "")[1].decode()
    samples = {
        family.name: [one for one in family.samples if one.name == family.name]
        for family in text_string_to_metric_families(text)
    }
    by_model = {
        name: {sample.labels["model"]: sample.value for sample in found}
        for name, found in samples.items()
        if found and "model" in found[0].labels
    }
    assert {len(found) for found in by_model.values()} == {10, 11}
    assert by_model["inferwatch_model_rows"][OTHER] == sum(range(10, 50))
    assert by_model["inferwatch_watermark_timestamp_seconds"][OTHER] == 110
    assert by_model["inferwatch_drift_score"][OTHER] == 49
    assert OTHER not in by_model["inferwatch_quality"]  # an accuracy of many models means nothing
    assert 'inferwatch_series_dropped_total{reason="models"} 40.0' in text
    assert f'inferwatch_{LATENCY}_count{{model="{OTHER}",version="{OTHER}"}} 40.0' in text


@pytest.mark.parametrize(
    "metric", [one for one in declared("worker") if "model" in one.labels], ids=lambda one: one.name
)
def test_labels_are_given_in_the_order_of_the_catalogue(metric):
    """The model first: whoever forgets a model finds its series by it."""
    assert metric.labels[0] == "model" and BY_NAME[metric.name] is metric


def test_of_a_model_the_newest_versions_have_series():
    """The one that is silent longest goes, with all that it had; the reason is counted."""
    dropped = Dropped()
    series = ModelSeries(dropped=dropped)
    for number in range(VERSIONS_MAX + 2):
        version = f"v{number}"
        series.version(0, "m", version)
        series.replace(0, "m", "quality", {(version, "fast", "accuracy"): 1.0}, (version, "fast"))
        series.observe(0, "m", version, np.array([1.0]))
        series.version(0, "m", "v0")  # goes on
    names = {labels[1] for labels in shown(series, "quality")}
    assert names == {"v0", *(f"v{number}" for number in range(3, VERSIONS_MAX + 2))}
    assert {labels[1] for _, labels, *_ in series.histograms()} == names
    assert dropped == ["versions"] * 2


def test_of_a_window_the_features_that_moved_most_have_series():
    """Twenty of each method, and the most of the rest in one."""
    dropped = Dropped()
    series = ModelSeries(dropped=dropped)
    figures = {
        (method, f"f{number}"): float(number) for number in range(200) for method in ("psi", "ks")
    }
    series.drift(0, "m", ("1", "fast"), figures)
    found = shown(series, "drift_score")
    assert len(found) == 2 * (FEATURES_MAX + 1)
    assert found[("m", "1", "fast", "psi", "f199")] == 199
    assert found[("m", "1", "fast", "ks", OTHER)] == 199 - FEATURES_MAX
    assert dropped == ["features", "features"]
    series.drift(0, "m", ("1", "fast"), {("psi", "amount"): 1.0})
    assert shown(series, "drift_score") == {("m", "1", "fast", "psi", "amount"): 1.0}


def test_a_window_replaces_its_own_figures_only():
    """Figures that are unknown now are gone; another window's and another version's stay."""
    series = ModelSeries()
    for version, window in (("1", "fast"), ("1", "slow"), ("2", "fast")):
        series.replace(0, "m", "quality", {(version, window, "accuracy"): 0.5}, (version, window))
    series.replace(0, "m", "quality", {("1", "fast", "recall"): 0.7}, ("1", "fast"))
    assert shown(series, "quality") == {
        ("m", "1", "slow", "accuracy"): 0.5,
        ("m", "2", "fast", "accuracy"): 0.5,
        ("m", "1", "fast", "recall"): 0.7,
    }


def told(series: ModelSeries, start: int, coverage: float, **figures: float) -> None:
    """A window of the model "m" with what labels say of it."""
    series.quality(0, "m", ("1", "fast"), start, figures, coverage, float(start))


def test_quality_is_of_the_newest_window_whose_labels_have_come():
    """Windows close before their labels come, and labels of an older one may come last."""
    series = ModelSeries()
    told(series, 10, 0.0)
    assert shown(series, "quality") == {}
    assert shown(series, "label_coverage_ratio") == {("m", "1", "fast"): 0.0}
    told(series, 20, 0.0)
    told(series, 10, 0.9, accuracy=0.7, recall=0.6)
    told(series, 30, 0.0)  # closes; its labels are to come
    expected = {("m", "1", "fast", "accuracy"): 0.7, ("m", "1", "fast", "recall"): 0.6}
    assert shown(series, "quality") == expected
    told(series, 30, 0.8, accuracy=0.5)
    told(series, 20, 1.0, accuracy=0.9)
    assert shown(series, "quality") == {("m", "1", "fast", "accuracy"): 0.5}
    assert shown(series, "label_coverage_ratio") == {("m", "1", "fast"): 0.8}
    assert shown(series, "quality_timestamp_seconds") == {("m", "1", "fast"): 30.0}


def test_of_a_window_the_classes_with_most_labels_have_series():
    """Twenty of them with all their figures; those of the next window take their places."""
    dropped = Dropped()
    series = ModelSeries(dropped=dropped)
    figures = {
        (f"c{number}", figure): float(number)
        for number in range(CLASSES_MAX + 9)
        for figure in ("recall", "support")
    }
    series.quality(0, "m", ("1", "fast"), 10, {"accuracy": 0.9}, 1.0, 10.0, figures)
    found = shown(series, "class_quality")
    assert len(found) == 2 * CLASSES_MAX
    assert {labels[3] for labels in found} == {f"c{n + 9}" for n in range(CLASSES_MAX)}
    assert found[("m", "1", "fast", "c28", "recall")] == 28
    assert dropped == ["classes"]
    series.quality(0, "m", ("1", "fast"), 5, {"accuracy": 0.9}, 1.0, 5.0, {("c1", "recall"): 1.0})
    assert shown(series, "class_quality") == found  # of an older window
    told(series, 20, 0.9, accuracy=0.8)
    assert shown(series, "class_quality") == {}


def test_a_model_goes_with_its_partition():
    """Another worker tells of it now; the place that it leaves is taken by the next model."""
    series = ModelSeries(models_max=1)
    series.replace(0, "a", "model_rows", {(): 1.0})
    series.replace(1, "b", "model_rows", {(): 2.0})
    assert shown(series, "model_rows") == {("a",): 1.0, (OTHER,): 2.0}
    series.keep([1])
    assert shown(series, "model_rows") == {("b",): 2.0}


LATENCIES_MS = st.floats(0, 2e5, width=32) | st.sampled_from([1000 * edge for edge in LATENCIES_S])


@given(st.lists(st.lists(LATENCIES_MS | st.just(float("nan")), max_size=20), max_size=5))
def test_latencies_are_counted_as_the_library_counts(batches):
    """Buckets, count and sum are those of prometheus_client's histogram on the same values."""
    from prometheus_client import CollectorRegistry, Histogram

    registry, series = CollectorRegistry(), ModelSeries()
    expected = Histogram("h", "h", buckets=LATENCIES_S, registry=registry)
    for batch in batches:
        series.observe(0, "m", "1", np.array(batch, float))
        for value in batch:
            if value == value:
                expected.observe(value / 1000)
    [family] = registry.collect()
    samples = {one.labels.get("le", one.name): one.value for one in family.samples}
    found = list(series.histograms())
    if not found:
        assert samples["h_count"] == 0
        return
    [(_, labels, buckets, total)] = found
    assert labels == ("m", "1")
    assert dict(buckets) == {le: value for le, value in samples.items() if le[:2] != "h_"}
    assert total == pytest.approx(samples["h_sum"])
