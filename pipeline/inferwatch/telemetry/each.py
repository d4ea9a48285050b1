"""What changes with every record that is folded: plain numbers, made into families at a scrape.

A counter or histogram of prometheus_client costs some microseconds a change, a batch of 500 rows
hardly more. Written by the event loop, read by the thread that answers scrapes: each number is read
at once, so that a scrape is at most a record behind.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from inferwatch.telemetry.catalogue import DELAYS_S
from inferwatch.telemetry.families import exemplar, family

NAMES = ("in_total", "ok_total", "event_delay_seconds", "progress_timestamp_seconds")
EDGES = [*map(str, map(float, DELAYS_S)), "+Inf"]


class EachRecord(Collector):
    """Rows read and folded, how late records are folded, and when a partition's last one was."""

    def __init__(self) -> None:
        self.rows, self.ok = 0, 0
        self.progress_s: dict[int, float] = {}  # Unix time, by partition
        self._delays = [0] * len(EDGES)
        self._delays_s = 0.0
        self._newest: list[tuple[str, float, float] | None] = [None] * len(EDGES)

    def folded(self, partition: int, record: str, written_s: float, now_s: float) -> None:
        """The record of that name, written at that Unix time, is folded now. Cost: 1 µs."""
        delay_s = max(0.0, now_s - written_s)
        at = bisect_left(DELAYS_S, delay_s)
        self._delays[at] += 1
        self._delays_s += delay_s
        self._newest[at] = record, delay_s, now_s
        self.progress_s[partition] = now_s

    def describe(self) -> Iterable[Metric]:
        """The families, without a sample."""
        return map(family, NAMES)

    def collect(self) -> Iterable[Metric]:
        """The families as of now."""
        rows, ok, delays, progress = self.describe()
        rows.add_metric((), self.rows)
        ok.add_metric((), self.ok)
        upto, examples = accumulate(list(self._delays)), map(_example, self._newest)
        buckets = list(zip(EDGES, upto, examples, strict=True))
        delays.add_metric((), buckets, self._delays_s)
        for number, time_s in list(self.progress_s.items()):
            progress.add_metric((str(number),), time_s)
        return rows, ok, delays, progress


def _example(newest: tuple[str, float, float] | None) -> Exemplar | None:
    """The record behind a bucket."""
    if newest is None:
        return None
    record, delay_s, time_s = newest
    named = exemplar(record=record)
    return named and Exemplar(named, delay_s, time_s)
