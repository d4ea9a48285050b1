"""What a seed's producers send, and what their models are watched by: small, and of every kind."""

from collections.abc import Iterator, Mapping
from random import Random

import msgspec
import numpy as np

from inferwatch.core.reference import Values
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.raw import JSON, RawRecord, headers
from inferwatch.testing.builders import TIME_MS, raw_inference, raw_labels

START_MS = TIME_MS // 60_000 * 60_000
MINUTE_MS = 60_000
ROWS = 90


class SimRules:
    """Monitor files of one release; a later one moves a limit.

    `flavour` picks windows and checks: together the flavours hold every kind, each alone is cheap;
    "inspected" and "ranked" are no part of the draw, so that seeds keep theirs.
    """

    def __init__(self, flavour: str, release: int = 0) -> None:
        self._definition = _definition(flavour, release)

    def definition(self, model: str) -> Definition:
        """The same for every model."""
        return self._definition

    def values(self) -> Mapping[str, Values]:
        """No exact windows, no columns."""
        return {}


FLAVOURS = ("time", "rows", "labels", "segments")


def _definition(flavour: str, release: int) -> Definition:
    moved = 0.02 * release
    fast = Window(name="fast", size_ms=MINUTE_MS, grace_ms=5_000)
    hopping = Window(name="slow", size_ms=3 * MINUTE_MS, step_ms=MINUTE_MS, grace_ms=5_000)
    batch = Window(name="batch", rows=150)
    errors = Check(
        alert="Errors",
        metric="error_rate",
        window="fast",
        fail=Limit(direction="above", value=0.2 + moved, clear=0.1),
        times=(1, 2),
        for_ms=MINUTE_MS,
    )
    silent = Check(alert="Silent", metric="traffic", method="absent", for_ms=2 * MINUTE_MS)
    drift = Check(
        alert="Drift",
        metric="feature.*",
        method="psi",
        window="batch",
        fail=Limit(direction="above", value=0.4 + moved, clear=0.4),
    )
    shift = Check(
        alert="ErrorShift",
        metric="error",
        method="adwin",
        warn=Limit(direction="above", value=0.0, clear=0.0),
        keep_firing_for_ms=MINUTE_MS,
    )
    accuracy = Check(
        alert="AccuracyLow",
        metric="accuracy",
        window="batch",
        segment_by=["country"] if flavour == "segments" else [],
        need=Need(labels=5, coverage=0.5),
        fail=Limit(direction="below", value=0.75 + moved, clear=0.75 + moved),
    )
    odd = Check(
        alert="Odd",
        metric="features",
        method="one_class_svm",
        window="batch",
        need=Need(rows=100),
        fail=Limit(direction="above", value=0.05 + moved, clear=0.05 + moved),
    )
    strange = msgspec.structs.replace(
        odd, alert="Strange", metric="figures", fail=Limit(direction="above", value=0.9, clear=0.9)
    )
    where = msgspec.structs.replace(
        odd, alert="Where", metric="errors", method="error_slice", need=Need(rows=100, coverage=0.5)
    )
    low = Limit(direction="below", value=0.93 + moved, clear=0.93 + moved)
    first = msgspec.structs.replace(accuracy, alert="FirstHit", metric="mrr", fail=low)
    order = msgspec.structs.replace(first, alert="OrderLost", metric="ndcg@5", window="fast")
    windows, checks = {
        "time": ([fast, hopping], [errors, silent]),
        "rows": ([batch], [drift, silent]),
        "labels": ([batch], [accuracy, shift]),
        "segments": ([batch], [accuracy, shift, silent]),
        "inspected": ([batch], [odd, strange, drift, accuracy, where]),
        "ranked": ([fast, batch], [order, first, silent]),
    }[flavour]
    return Definition(
        model=ModelFacts(
            task="ranking" if flavour == "ranked" else "binary",
            label_delay_ms=2 * MINUTE_MS,
            label_wait_ms=2 * MINUTE_MS,
            label_horizon_ms=4 * MINUTE_MS,
            segments=["country"] if flavour == "segments" else [],
            segments_max=3,
            restate_every_ms=MINUTE_MS,
        ),
        reference=Reference(min_rows=256 if flavour == "inspected" else 128),
        windows=windows,
        checks=checks,
    )


class Sent(msgspec.Struct):
    """Rows that producers sent and that must be in the models in the end, by model."""

    rows: dict[str, int] = {}


def traffic(
    chance: Random, models: int, records: int, span_ms: int, sent: Sent, *, ranked: bool = False
) -> Iterator[tuple[int, RawRecord]]:
    """Records with their times after the start: batches and labels, repeats, singles, rubbish.

    Of a ranking the rows are items of queries, and some labels are corrected later.
    """
    numbers = np.random.default_rng(chance.getrandbits(32))
    names = [f"team/m{number}" for number in range(models)]
    seqs = dict.fromkeys(names, 0)
    owed: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
    last: RawRecord | None = None
    for position in range(records):
        at_ms = span_ms * position // records
        name = chance.choice(names)
        kind = chance.random()
        if kind < 0.25 and owed[name]:
            known = [owed[name].pop(0) for _ in range(min(len(owed[name]), ROWS))]
            last = _labels(chance, name, seqs[name], START_MS + at_ms, known)
            seqs[name] += 1
        elif kind < 0.30:
            yield at_ms, _single(name, position, START_MS + at_ms)
            sent.rows[name] = sent.rows.get(name, 0) + 1
            continue
        elif kind < 0.34:
            yield at_ms, _rubbish(chance, name)
            continue
        elif kind < 0.40 and last is not None:
            yield at_ms, last
            continue
        else:
            trouble = 0.4 < position / records < 0.7
            queries = _queries(numbers, seqs[name]) if ranked else None
            last, labels = _rows(numbers, name, seqs[name], START_MS + at_ms, trouble, queries)
            seqs[name] += 1
            owed[name] += labels
            if ranked:
                owed[name] += [(id_, 2 - worth) for id_, worth in labels[::9]]
            sent.rows[name] = sent.rows.get(name, 0) + ROWS
        yield at_ms, last


def _queries(numbers: np.random.Generator, seq: int) -> list[str]:
    """The query of each row: of three items, some of them a batch or two late; names come again."""
    batch = np.maximum(0, seq - numbers.choice([0, 0, 0, 0, 1, 2], ROWS))
    return [f"q{number}" for number in ((30 * batch + np.arange(ROWS) // 3) % 300).tolist()]


def _rows(
    numbers: np.random.Generator,
    name: str,
    seq: int,
    now_ms: int,
    trouble: bool,
    queries: list[str] | None = None,
) -> tuple[RawRecord, list[tuple[str, int]]]:
    amount = numbers.normal(2.0 if trouble else 0.0, 1.0, ROWS)
    answer = (amount > 0).astype(int)
    wrong = numbers.random(ROWS) < (0.4 if trouble else 0.1)
    ids = [f"{seq}-{row}" for row in range(ROWS)]
    truth = np.where(wrong, 1 - answer, answer).tolist()
    failed = numbers.random(ROWS) < (0.4 if trouble else 0.02)
    raw = raw_inference(
        n=ROWS,
        model=name,
        offset=-1,
        emitter=f"{name}@a",
        seq=seq,
        record_time_ms=now_ms,
        time_ms=(now_ms - numbers.integers(0, 8_000, ROWS)).tolist(),
        ids=ids,
        numeric={"amount": amount.tolist(), "age": numbers.normal(40, 9, ROWS).tolist()},
        prediction=answer.tolist(),
        score=(1 / (1 + np.exp(-amount))).tolist(),
        error=["Timeout" if flag else None for flag in failed.tolist()],
        segments={"country": numbers.choice(["DE", "FR", "IT", "PL"], ROWS).tolist()},
        entity=queries,
    )
    return raw, list(zip(ids, truth, strict=True))


def _labels(
    chance: Random, name: str, seq: int, now_ms: int, known: list[tuple[str, int]]
) -> RawRecord:
    chance.shuffle(known)
    return raw_labels(
        model=name,
        offset=-1,
        emitter=f"{name}@a",
        seq=seq,
        record_time_ms=now_ms,
        time_ms=[now_ms - 1] * len(known),
        ids=[id_ for id_, _ in known],
        label=[truth for _, truth in known],
    )


def _single(name: str, number: int, now_ms: int) -> RawRecord:
    body = {
        "model": name,
        "version": "1",
        "prediction_id": f"single-{number}",
        "timestamp": now_ms,
        "features": {"age": 41.0},
        "prediction": 1,
    }
    described = headers("inference", id=f"s{number}", source="t", time="", content_type=JSON)
    return RawRecord("", 0, -1, now_ms, name.encode(), msgspec.json.encode(body), described)


def _rubbish(chance: Random, name: str) -> RawRecord:
    described = headers("inference", id="r", source="t", time="", content_type=JSON)
    return RawRecord("", 0, -1, 0, name.encode(), chance.randbytes(20), described)
