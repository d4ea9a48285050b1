"""What is told about the watched models: bounded, and gone with the models.

A worker may own thousands of models, and each has versions, windows and features; a scrape must not
grow with their product. Three caps, each counted by reason where it bites: so many models have
series of their own and the rest share `__other__`; of a model the newest versions, of a window the
features that moved most.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import latencies
from inferwatch.telemetry.catalogue import BY_NAME, LATENCIES_S, MODELS_MAX, OTHER

VERSIONS_MAX = 5
FEATURES_MAX = 20
CLASSES_MAX = 20
TOGETHER = {"sum": sum, "least": min, "most": max}
EDGES_MS = np.array([1000 * edge_s for edge_s in LATENCIES_S])
LATENCY = "prediction_latency_seconds"

Labels = tuple[str, ...]
Buckets = list[tuple[str, float]]


class _Model:
    """One model's figures: by metric, by the values of all labels but the first."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.figures: dict[str, dict[Labels, float]] = {}
        self.latencies: dict[str, NDArray[np.float64]] = {}  # by version: buckets, then the sum
        self.versions: dict[str, None] = {}
        self.labelled: dict[Labels, int] = {}  # by version and window: where the one shown starts


class ModelSeries:
    """Figures by model; written by the event loop, read by the thread that answers scrapes.

    Memory: about 200 bytes a series; `inferwatch plan` tells how many there will be.

    :param models_max: models with series of their own, the first that came.
    :param dropped: told the reason whenever something finds no series of its own.
    """

    def __init__(
        self, models_max: int = MODELS_MAX, dropped: Callable[[str], None] = lambda _: None
    ) -> None:
        self._models_max, self._dropped = models_max, dropped
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}

    # ── told by the event loop ───────────────────────────────────────────────────────────────────

    def replace(
        self,
        partition: int,
        model: str,
        metric: str,
        figures: Mapping[Labels, float],
        within: Labels = (),
    ) -> None:
        """These are a model's figures of `metric` now, and no others that begin with `within`."""
        with self._lock:
            found = self._model(partition, model).figures.setdefault(metric, {})
            for labels in [one for one in found if one[: len(within)] == within]:
                del found[labels]
            found.update(figures)

    def drift(
        self, partition: int, model: str, within: Labels, figures: Mapping[Labels, float]
    ) -> None:
        """Scores of a window's features under `within` (version, window), by (method, feature).

        Beyond 20 features of a method the most of the rest stands under `__other__`.
        """
        kept: dict[Labels, float] = {}
        for method in dict.fromkeys(labels[0] for labels in figures):
            mine = [item for item in figures.items() if item[0][0] == method]
            mine.sort(key=lambda item: (-item[1], item[0]))
            kept |= {within + labels: value for labels, value in mine[:FEATURES_MAX]}
            if len(mine) > FEATURES_MAX:
                kept[(*within, method, OTHER)] = mine[FEATURES_MAX][1]
                self._dropped("features")
        self.replace(partition, model, "drift_score", kept, within)

    def quality(
        self,
        partition: int,
        model: str,
        within: Labels,
        start: int,
        figures: Mapping[str, float],
        coverage: float,
        time_s: float | None,
        classes: Mapping[Labels, float] | None = None,
    ) -> None:
        """Figures on labels of the window that starts at `start`, under `within` (version, window).

        Labels come late and in any order of windows: shown is the newest window that has figures.
        `classes` are those of single classes, by (class, figure): of the 20 with most labels.
        """
        with self._lock:
            shown = self._model(partition, model).labelled
            if within in shown and (not figures or start < shown[within]):
                return
            if figures:
                shown[within] = start
        named = {(*within, name): value for name, value in figures.items()}
        self.replace(partition, model, "quality", named, within)
        self._classes(partition, model, within, classes or {})
        self.replace(partition, model, "label_coverage_ratio", {within: coverage}, within)
        if figures and time_s is not None:
            self.replace(partition, model, "quality_timestamp_seconds", {within: time_s}, within)

    def _classes(
        self, partition: int, model: str, within: Labels, figures: Mapping[Labels, float]
    ) -> None:
        names = dict.fromkeys(labels[0] for labels in figures)
        most = sorted(names, key=lambda name: (-figures.get((name, "support"), 0.0), name))
        if len(most) > CLASSES_MAX:
            self._dropped("classes")
        kept = {
            (*within, *labels): value
            for labels, value in figures.items()
            if labels[0] in most[:CLASSES_MAX]
        }
        self.replace(partition, model, "class_quality", kept, within)

    def version(self, partition: int, model: str, version: str) -> None:
        """A window of the version has closed: beyond 5 the series of the longest silent one go."""
        with self._lock:
            mine = self._model(partition, model)
            mine.versions.pop(version, None)
            mine.versions[version] = None
            if len(mine.versions) <= VERSIONS_MAX:
                return
            gone = next(iter(mine.versions))
            del mine.versions[gone]
            mine.latencies.pop(gone, None)
            mine.labelled = {at: start for at, start in mine.labelled.items() if at[0] != gone}
            for metric, figures in mine.figures.items():
                if "version" in BY_NAME[metric].labels:
                    for labels in [one for one in figures if one[0] == gone]:
                        del figures[labels]
        self._dropped("versions")

    def observe(
        self, partition: int, model: str, version: str, latency_ms: NDArray[np.float64]
    ) -> None:
        """Latencies of rows, NaN where missing. Cost: about 2 µs, and 3 ns a row."""
        with self._lock:
            mine = self._model(partition, model).latencies
            if version not in mine and len(mine) >= VERSIONS_MAX:
                mine.pop(next(iter(mine)))
            if version not in mine:
                mine[version] = np.zeros(len(EDGES_MS) + 2)
            latencies.count(latency_ms, EDGES_MS, mine[version])

    def keep(self, partitions: Collection[int]) -> None:
        """Forget the models of every other partition: another worker tells of them now."""
        with self._lock:
            self._models = {
                name: model for name, model in self._models.items() if model.partition in partitions
            }

    def _model(self, partition: int, name: str) -> _Model:
        model = self._models.get(name)
        if model is None:
            if len(self._models) >= self._models_max:
                self._dropped("models")
            model = self._models[name] = _Model(partition)
        return model

    # ── asked at a scrape ────────────────────────────────────────────────────────────────────────

    def gauges(self) -> Iterator[tuple[str, Labels, float]]:
        """(metric, values of its labels, value): by model, and the rest put together."""
        rest: dict[tuple[str, Labels], list[float]] = {}
        for place, (name, model) in enumerate(self._now()):
            for metric, labels, value in model:
                if place < self._models_max:
                    yield metric, (name, *labels), value
                elif BY_NAME[metric].rest:
                    rest.setdefault((metric, _merged(metric, labels)), []).append(value)
        for (metric, labels), values in rest.items():
            yield metric, labels, TOGETHER[BY_NAME[metric].rest](values)

    def _now(self) -> list[tuple[str, list[tuple[str, Labels, float]]]]:
        """Every model with its figures, as of one moment."""
        with self._lock:
            return [
                (
                    name,
                    [
                        (metric, labels, value)
                        for metric, figures in model.figures.items()
                        for labels, value in figures.items()
                    ],
                )
                for name, model in self._models.items()
            ]

    def histograms(self) -> Iterator[tuple[str, Labels, Buckets, float]]:
        """(metric, values of its labels, cumulated buckets, sum): by model, and the rest added."""
        found: dict[Labels, NDArray[np.float64]] = {}
        with self._lock:
            for place, (name, model) in enumerate(self._models.items()):
                for version, counts in model.latencies.items():
                    named = place < self._models_max
                    labels = (name, version) if named else (OTHER, OTHER)
                    found[labels] = found.get(labels, 0.0) + counts
        edges = [*map(str, map(float, LATENCIES_S)), "+Inf"]
        for labels, counts in found.items():
            upto: Sequence[float] = np.cumsum(counts[:-1]).tolist()
            yield LATENCY, labels, list(zip(edges, upto, strict=True)), float(counts[-1])


def _merged(metric: str, labels: Labels) -> Labels:
    """Values of the labels of models put together: what has too many values is `__other__`."""
    capped = ("version", "feature", "alertname")
    names = BY_NAME[metric].labels[1:]
    return (
        OTHER,
        *(OTHER if name in capped else value for name, value in zip(names, labels, strict=True)),
    )
