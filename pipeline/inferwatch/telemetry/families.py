"""From a declaration in the catalogue to what prometheus_client knows."""

from collections.abc import Collection
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from inferwatch.telemetry import catalogue
from inferwatch.telemetry.catalogue import Process, declared

disable_created_metrics()  # a second series a counter that nobody reads

EXEMPLAR_MAX = 128  # characters of names and values together, by OpenMetrics
TYPES = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
FAMILIES = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def exemplar(**ids: str) -> dict[str, str] | None:
    """The id behind a count, for OpenMetrics; None where it is longer than the format allows."""
    size = sum(len(name) + len(value) for name, value in ids.items())
    return ids if size <= EXEMPLAR_MAX else None


def made(
    process: Process, registry: CollectorRegistry, put_together: Collection[str] = ()
) -> dict[str, Any]:
    """The process's metrics in `registry`, by name; not those that are put together at a scrape,
    as those of models are.

    Closed lists start at 0: a rate over a series that appears with its first event would miss it.
    """
    found = {}
    for metric in declared(process):
        if "model" in metric.labels or metric.name in put_together:
            continue
        more = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
        of = TYPES[metric.kind](
            metric.full_name,
            metric.help,
            metric.labels,
            registry=registry,
            unit=unit(metric),
            **more,
        )
        for value in metric.values:
            of.labels(value)
        found[metric.name] = of
    return found


def unit(metric: catalogue.Metric) -> str:
    """The unit that OpenMetrics tells: it must be the last word of the name."""
    named = metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    return metric.unit if metric.unit and named else ""


def family(name: str) -> Any:
    """A metric that is put together when it is scraped; samples are added by the caller."""
    metric = catalogue.BY_NAME[name]
    return FAMILIES[metric.kind](
        metric.full_name, metric.help, labels=metric.labels, unit=unit(metric)
    )
