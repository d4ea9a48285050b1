"""What holds for any stream: cuts, batches, repeats, orders, garbage and processes never show."""

import hashlib
import os
import subprocess
import sys
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode, take
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Window
from inferwatch.records.rows import Rows
from inferwatch.replay.digest import Digest
from inferwatch.testing import folding, rankings, streams
from inferwatch.testing.builders import raw_tick
from inferwatch.testing.folding import placeless

OF_ANY = pytest.mark.parametrize(
    "source", [streams, rankings], ids=lambda one: one.__name__.rsplit(".", 1)[-1]
)
"""What holds for the fleet's streams and for those of rankings."""


def state_bytes(partition):
    """Every model's state as a checkpoint would write it."""
    return {name: snapshot.cut(model) for name, model in partition.models.items()}


def restored(partition, state):
    """A partition as its next owner would find it."""
    found = Partition(partition.number)
    for pieces in state.values():
        found.restore(pieces)
    return found


def outputs_of(seed, records, **options):
    """Partition and outputs of a whole stream."""
    partition = Partition(0)
    raw = streams.placed(streams.stream(seed, records=records, **options))
    return partition, folding.fold(partition, raw, streams.definition)


def test_a_stream_exercises_what_it_promises():
    """A stream makes every check that can fire fire, so that the properties below say something."""
    _, outputs = outputs_of(2, 150)
    alerts = folding.alert_records(outputs)
    fired = {record.alert for record in alerts if record.condition == "firing"}
    assert fired >= {
        *("AccuracyDrop", "AccuracyLow", "AucLow", "WorseErrors"),
        *("AmountShape", "FeatureDrift", "FeatureShift", "ManyDrifted"),
        *("Errors", "FewRows", "Missing", "Silent", "SlowAnswers", "Unseen"),
    }
    conditions = {record.condition for record in alerts}
    assert conditions == {"ok", "pending", "firing", "no_data", "unknown"}
    reasons = {record.reason for record in alerts}
    assert reasons >= {"limit_passed", "recovered", "severity_raised", "data_gone", "data_back"}


def test_rankings_exercise_what_they_promise():
    """Queries are worth something in every window, fewer while the order is turned round, and each
    check fires and ends.
    """
    moves, revised = set(), 0
    for seed in range(4):
        outputs = folding.fold(
            Partition(0), streams.placed(rankings.stream(seed)), rankings.definition
        )
        moves |= {(one.alert, one.condition) for one in folding.alert_records(outputs)}
        revised += sum(one.revision > 1 for one in folding.window_records(outputs))
    checks = {one.alert for one in rankings.definition(rankings.MODEL).checks} - {"Silent"}
    assert moves >= {(name, condition) for name in checks for condition in ("firing", "ok")}
    assert revised > 100


@OF_ANY
def test_a_state_cut_after_any_record_goes_on_as_if_it_had_not_been(source):
    """Written and read again after every record: same outputs, same bytes of state, each time.

    `chain` is cut after every record. `once` is never cut after its start: one is started from
    each of a few places, so that what is not in the state cannot stay hidden either.
    """
    records = streams.placed(source.stream(1, records=60))
    whole, state, once = Partition(0), {}, {}
    for place, raw in enumerate(records):
        chain = restored(whole, state)
        if place % 20 == 9:
            once[place] = restored(whole, state)
        expected = folding.fold(whole, [raw], source.definition)
        assert folding.fold(chain, [raw], source.definition) == expected
        for started, partition in once.items():
            found = folding.fold(partition, [raw], source.definition)
            assert found == expected, f"cut before {started}, at {place}"
        state = state_bytes(whole)
        assert state_bytes(chain) == state, f"at {place}"
    for started, partition in once.items():
        assert state_bytes(partition) == state, f"cut before {started}"


def test_records_that_were_folded_before_the_cut_change_nothing():
    """A restored model skips every record at or below its offset and counts it as a repeat."""
    records = streams.placed(streams.stream(3, records=60))
    whole = Partition(0)
    folding.fold(whole, records[:50], streams.definition)
    state = state_bytes(whole)
    again = restored(whole, state)
    assert folding.fold(again, records[:50], streams.definition) == []
    assert state_bytes(again) == state
    assert again.counts.duplicate["offset"] > 0 and again.counts.conserved()
    expected = folding.fold(whole, records[50:], streams.definition)
    assert folding.fold(again, records[50:], streams.definition) == expected


def rebatched(records, rows_max, draw):
    """The same rows in other batches, the counters with the last piece of each. Labels as they are.

    Repeated batches are left out, because the pieces of a repeat are no repeats of pieces.
    """
    found, seen = [], set()
    for raw in records:
        decoded = decode(raw)
        rows = decoded.record
        if not isinstance(rows, Rows) or not rows.emitter:
            found.append((raw, decoded))
            continue
        if (rows.emitter, rows.seq) in seen:
            continue
        seen.add((rows.emitter, rows.seq))
        first = 0
        while first < rows.n:
            end = min(rows.n, first + draw.randint(1, rows_max))
            keep = (np.arange(rows.n) >= first) & (np.arange(rows.n) < end)
            counters = {} if end == rows.n else {"emitted": 0, "dropped": 0}
            piece = msgspec.structs.replace(
                take(rows, keep), seq=rows.seq * 1_000 + first, **counters
            )
            found.append((raw, msgspec.structs.replace(decoded, record=piece, rows_in=piece.n)))
            first = end
    return found


def folded_batches(batches, definition_of):
    """Outputs by kind and id, without the fields that name records."""
    partition, found = Partition(0), {}
    for offset, (raw, decoded) in enumerate(batches):
        placed = msgspec.structs.replace(raw, offset=offset)
        name = partition.undefined(decoded)
        if name is not None:
            partition.define(name, definition_of(name), offset)
        for output in partition.fold(placed, decoded):
            content = placeless(msgspec.json.decode(output.value))
            assert found.setdefault((output.kind, output.id), content) == content
    return found


@pytest.mark.parametrize(("seed", "rows_max"), [(2, 1), (9, 1), (14, 3)])
def test_the_way_rows_were_batched_does_not_show(seed, rows_max):
    """Batches of one row, or of a few, give the windows and alerts of the batches as they were.

    Ids and every byte but the offsets: late rows, label figures, what is learnt, online detections.
    Not claimed of batches of labels: when a restatement is due is asked after each of them.
    """
    records = streams.stream(seed, records=70)
    expected = folded_batches(rebatched(records, 1_000, Random(0)), streams.definition)
    found = folded_batches(rebatched(records, rows_max, Random(seed)), streams.definition)
    assert found.keys() == expected.keys()
    assert found == expected


def first_words(outputs):
    """All outputs but windows that were published again."""
    return {key: fields for key, fields in outputs.items() if not fields.get("revision")}


def last_figures(outputs):
    """What the newest revision of each window says of labels, but how mature they are."""
    found = {}
    for (kind, _), fields in outputs.items():
        if kind == "window":
            window = fields["window"]
            place = fields["version"], window["name"], window["start"], fields.get("segment")
            parts = [fields.get(name, {}) for name in ("metrics", "intervals", "unknown")]
            kept = [{name: part[name] for name in part if name != "maturity"} for part in parts]
            found[place] = [fields["rows"], fields.get("labels"), *kept]
    return found


@pytest.mark.parametrize(("seed", "rows_max"), [(2, 1), (9, 1), (14, 3), (17, 2)])
def test_the_way_a_ranking_was_batched_does_not_show_in_the_end(seed, rows_max):
    """Alerts, windows as they closed and their newest revisions: items may stand in any batches.

    Not claimed of the revisions between: an item that comes later takes a query back that a closed
    window has counted, and when that is published is asked after each batch, as with labels.
    """
    records = rankings.stream(seed, records=70)
    at_ms = records[-1].time_ms
    records += [raw_tick(offset=-1, time_ms=at_ms + wait * 60_000) for wait in (1, 5, 9, 20)]
    expected = folded_batches(rebatched(records, 1_000, Random(0)), rankings.definition)
    found = folded_batches(rebatched(records, rows_max, Random(seed)), rankings.definition)
    assert first_words(found) == first_words(expected)
    assert last_figures(found) == last_figures(expected)
    assert sum("mrr" in figures[2] for figures in last_figures(found).values()) > 20


def labelled(task, metric):
    """A window of time and one of rows, both of which read labels."""
    limit = Limit(direction="above", value=9.0, clear=9.0)
    return Definition(
        model=ModelFacts(task=task, segments=["country"], restate_every_ms=60_000),
        windows=[Window(name="fast", size_ms=60_000), Window(name="batch", rows=20, exact=True)],
        checks=[
            Check(alert=window, metric=metric, window=window, warn=limit)
            for window in ("fast", "batch")
        ],
    )


class History:
    """Predictions of three minutes and what labels said of them: early, late, doubled, corrected.

    `truth` is the batch answer: of each id the label with the latest time of its own.
    """

    def __init__(self, seed, task):
        draw = self.draw = Random(seed)
        self.task, self.n = task, 60
        self.ids = [f"id{row}" for row in range(self.n)]
        self.time_ms = sorted(draw.randrange(180_000) for _ in self.ids)
        self.score = [draw.random() for _ in self.ids]
        self.country = [draw.choice(["DE", "FR", None]) for _ in self.ids]
        self.prediction = [self.value() for _ in self.ids]
        labels = []
        for id_ in self.ids:
            for at_ms in sorted(draw.sample(range(1_000_000), draw.choice([0, 1, 1, 1, 2, 3]))):
                labels.append((id_, at_ms, self.value()))
        self.truth = {id_: value for id_, _, value in labels}
        self.labels = labels + draw.sample(labels, 15)
        draw.shuffle(self.labels)

    def value(self):
        """A prediction or a label."""
        return (
            self.draw.gauss(10, 3) if self.task == "regression" else float(self.draw.random() > 0.4)
        )

    def fold(self, definition):
        """Log of ten-row batches with the batches of labels between, before and behind them."""
        log = folding.Log(definition)
        parts = [self.labels[at : at + 9] for at in range(0, len(self.labels), 9)]
        places = [self.draw.randrange(-1, 9) for _ in parts]
        for place in range(-1, 9):
            if 0 <= place < 6:
                self._rows(log, slice(place * 10, place * 10 + 10))
            for part in (part for part, at in zip(parts, places, strict=True) if at == place):
                record_ms = 200_000 + 1_000 * place
                log.labels(
                    [id_ for id_, _, _ in part],
                    [value for _, _, value in part],
                    record_ms,
                    time_ms=[at_ms for _, at_ms, _ in part],
                )
        log.tick(400_000)
        log.tick(500_000)
        return log

    def _rows(self, log, some):
        log.rows(
            len(self.ids[some]),
            self.time_ms[some],
            record_ms=200_000,
            ids=self.ids[some],
            prediction=self.prediction[some],
            score=self.score[some] if self.task == "binary" else None,
            segments={"country": self.country[some]},
        )

    def rows_of(self, record, start_ms):
        """Numbers of the labelled rows of a window and segment."""
        span, country = record.window, record.segment.removeprefix("country=")
        return [
            row
            for row in range(self.n)
            if (not country or self.country[row] == country)
            and self.ids[row] in self.truth
            and span.start <= (row if span.rows else start_ms + self.time_ms[row]) < span.end
        ]


def last_revisions(log):
    """The newest record of each window and segment."""
    found = {}
    for record in folding.window_records(log.outputs):
        found[record.window, record.segment] = record
    return found


@pytest.mark.parametrize("seed", range(6))
def test_labels_in_any_order_end_in_the_batch_answer_of_a_binary_model(seed):
    """Early, late, doubled and corrected labels: the last revision equals scikit-learn's answer."""
    history = History(seed, "binary")
    log = history.fold(labelled("binary", "accuracy"))
    compared = 0
    for record in last_revisions(log).values():
        rows = history.rows_of(record, log.start_ms)
        truth = [history.truth[history.ids[row]] for row in rows]
        guess, score = (
            [values[row] for row in rows] for values in (history.prediction, history.score)
        )
        assert record.labels == len(rows)
        if (record.coverage or 0.0) < 0.8 or len(set(truth)) < 2 or not any(guess):
            continue
        expected = {
            "accuracy": metrics.accuracy_score(truth, guess),
            "recall": metrics.recall_score(truth, guess),
            "precision": metrics.precision_score(truth, guess),
            "f1": metrics.f1_score(truth, guess),
        }
        if record.window.rows:
            expected |= {
                "auc": metrics.roc_auc_score(truth, score),
                "average_precision": metrics.average_precision_score(truth, score),
                "log_loss": metrics.log_loss(truth, score),
                "brier": metrics.brier_score_loss(truth, score),
            }
        assert {name: record.metrics[name] for name in expected} == pytest.approx(expected)
        compared += 1
    assert compared


@pytest.mark.parametrize("seed", range(4))
def test_labels_in_any_order_end_in_the_batch_answer_of_a_regression(seed):
    """A correction takes its old error back: MAE, RMSE and R² are scikit-learn's in the end."""
    history = History(seed, "regression")
    log = history.fold(labelled("regression", "mae"))
    compared = 0
    for record in last_revisions(log).values():
        rows = history.rows_of(record, log.start_ms)
        assert record.labels == len(rows)
        if (record.coverage or 0.0) < 0.8 or len(rows) < 2:
            continue
        truth = [history.truth[history.ids[row]] for row in rows]
        guess = [history.prediction[row] for row in rows]
        expected = {
            "mae": metrics.mean_absolute_error(truth, guess),
            "rmse": metrics.root_mean_squared_error(truth, guess),
            "r2": metrics.r2_score(truth, guess),
        }
        assert {name: record.metrics[name] for name in expected} == pytest.approx(expected)
        compared += 1
    assert compared


PLAIN = Definition(windows=[Window(name="fast", size_ms=60_000)])
VALID = streams.stream(6, records=40)


@st.composite
def dirty_logs(draw):
    """A log of valid, repeated and broken records, in any mixture."""
    found = []
    for raw in draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=12)):
        body, kind = raw.value or b"", draw(st.sampled_from(["", "", "flip", "cut", "key", "junk"]))
        at = draw(st.integers(0, max(len(body) - 1, 0)))
        if kind == "flip":
            flipped = bytes([body[at] ^ draw(st.integers(1, 255))]) if body else b""
            raw = msgspec.structs.replace(raw, value=body[:at] + flipped + body[at + 1 :])
        elif kind == "cut":
            raw = msgspec.structs.replace(raw, value=body[:at])
        elif kind == "key":
            raw = msgspec.structs.replace(raw, key=b"some/other")
        elif kind == "junk":
            raw = msgspec.structs.replace(raw, value=draw(st.binary(max_size=20)), headers={})
        found.append(raw)
    return streams.placed(found)


@settings(max_examples=60, deadline=None)
@given(dirty_logs(), st.integers(0, 12))
def test_every_row_is_accounted_for(log, again_from):
    """in = ok + rejected + duplicate after any record, also of records that come a second time."""
    partition, rows_in, dead = Partition(0), 0, []
    for raw in [*log, *log[again_from:]]:
        decoded = decode(raw)
        rows_in += decoded.rows_in
        outputs = folding.fold(partition, [raw], lambda _: PLAIN)
        dead += [output for output in outputs if output.kind == "dead"]
        assert partition.counts.conserved()
        assert len([output for output in outputs if output.kind == "dead"]) == len(decoded.rejects)
    assert partition.counts.in_ == rows_in
    rows_dead = sum(int(output.headers["__inferwatch.errors.rows"]) for output in dead)
    assert rows_dead == sum(partition.counts.rejected.values())
    digest = Digest()
    for output in dead:
        digest.add_output(output)


@OF_ANY
def test_equal_ids_mean_equal_bytes_across_crashes_and_repeats(source):
    """Owners that start anew from an older checkpoint give each output again, byte for byte."""
    records = streams.placed(source.stream(8, records=70))
    partition, digest, checkpoints, draw = Partition(0), Digest(), [({}, 0)], Random(8)
    place, crashes, repeats = 0, 0, 0
    while place < len(records):
        for output in folding.fold(partition, [records[place]], source.definition):
            repeats += not digest.add_output(output)
        place += 1
        if draw.random() < 0.1:
            checkpoints.append((state_bytes(partition), place))
        if draw.random() < 0.06:
            state, place = draw.choice(checkpoints[-2:])
            partition, crashes = restored(partition, state), crashes + 1
    assert crashes > 1 and repeats > 10
    once = Digest()
    for output in folding.fold(Partition(0), records, source.definition):
        assert once.add_output(output), "an id was given to two outputs of one run"
    assert digest.hex() == once.hex()


def run_digest():
    """Outputs and state of one run as a line of text."""
    partition, outputs = outputs_of(4, 60)
    digest = Digest()
    for output in outputs:
        digest.add_output(output)
    state = hashlib.sha256()
    for name, pieces in state_bytes(partition).items():
        for piece, data in pieces.items():
            state.update(f"{name} {piece} ".encode() + data)
    order = hashlib.sha256(b"".join(output.value for output in outputs))
    return f"{digest.hex()} {order.hexdigest()} {state.hexdigest()}"


def test_the_hash_seed_of_a_process_does_not_show():
    """PYTHONHASHSEED 0, 1 and this process's own give the same outputs, order and state bytes."""
    expected = run_digest()
    for seed in ("0", "1"):
        found = subprocess.run(
            [sys.executable, __file__],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        )
        assert found.stdout.strip() == expected


if __name__ == "__main__":
    print(run_digest())
