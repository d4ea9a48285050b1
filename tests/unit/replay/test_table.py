"""Tables: what pandas reads is what is folded, in whatever format, and refusals are sentences."""

import json
import math
import warnings
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.config.mapping import Mapping
from inferwatch.core.columns import Columns, answers
from inferwatch.errors import UsageError
from inferwatch.records.columns import Numbers
from inferwatch.records.decode import decode
from inferwatch.records.events import Tick
from inferwatch.records.raw import JSON, RawRecord, headers
from inferwatch.records.rows import Rows, Truths, Words
from inferwatch.replay import table
from inferwatch.sdk import pack

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
FULL = Mapping(
    model="team/model",
    prediction_id="id",
    timestamp="at",
    prediction="answer",
    proba="score",
    label="truth",
    label_delay_ms=10 * 60_000,
    entity_id="who",
    latency_ms="took",
    error="failed",
    llm={"input_tokens": "tokens", "finish_reason": "ended"},
    numeric=["x", "y"],
    categories=["word"],
    segments=["branch"],
)
WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    ".jsonl.gz": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    ".ndjson": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


def frame(n: int, seed: int = 1) -> pd.DataFrame:
    """A table of everything, with gaps where there may be some."""
    draw = np.random.default_rng(seed)
    gaps = draw.random((6, n)) < 0.2
    x = np.round(draw.normal(size=n) * 64) / 64  # a number that every format can write
    words = np.array(["a", "b b", "é"], object)
    return pd.DataFrame(
        {
            "id": [f"r{row}" for row in range(n)],
            "at": START_MS + np.arange(n) * 60_000,
            "answer": draw.integers(0, 3, n),
            "score": draw.integers(0, 65, n) / 64,
            "truth": np.where(gaps[0], None, draw.integers(0, 3, n).astype(object)),
            "who": [f"u{row % 7}" for row in range(n)],
            "took": np.where(gaps[1], np.nan, draw.integers(1, 99, n)),
            "tokens": np.where(gaps[2], np.nan, draw.integers(1, 9_000, n)),
            "ended": np.where(gaps[1], None, "length"),
            "failed": np.where(gaps[2], "Timeout", None),
            "x": np.where(gaps[3], np.nan, x),
            "y": draw.integers(-5, 5, n),
            "word": np.where(gaps[4], None, words[draw.integers(0, 3, n)]),
            "branch": np.where(gaps[5], None, words[draw.integers(0, 2, n)]),
        }
    )


def written(found: pd.DataFrame, folder: Path, ending: str = ".csv") -> Path:
    """The table as a file."""
    path = folder / f"t{ending}"
    if ending.startswith((".j", ".n")):
        found = found.assign(truth=found["truth"].astype(float)) if "truth" in found else found
    if ending == ".parquet" and "truth" in found:
        found = found.assign(truth=found["truth"].astype("Int64"))
    WRITERS[ending](found, path)
    return path


def listed(words: Words) -> list[str | None]:
    """Words of a column, None where there is none."""
    return [None if code < 0 else words.words[code] for code in words.codes.tolist()]


def columns(batches: list[table.Batch]) -> dict[str, list]:
    """All rows of all batches by what they are."""
    rows = [batch.rows for batch in batches]
    found = {
        "id": [id_ for part in rows for id_ in part.ids],
        "at": [at for part in rows for at in part.time_ms.tolist()],
        "answer": [value for part in rows for value in part.prediction.tolist()],
        "score": [value for part in rows for value in part.scores[0].tolist()],
        "who": [value for part in rows for value in part.entity],
        "took": [value for part in rows for value in part.latency_ms.tolist()],
        "tokens": [value for part in rows for value in part.llm.numbers[0].tolist()],
        "ended": [value for part in rows for value in listed(part.llm.finish_reason)],
        "failed": [value for part in rows for value in listed(part.error)],
        "x": [value for part in rows for value in part.numeric[0].tolist()],
        "y": [value for part in rows for value in part.numeric[1].tolist()],
        "word": [value for part in rows for value in listed(part.categories["word"])],
        "branch": [value for part in rows for value in listed(part.segments["branch"])],
    }
    assert all(part.numeric_names == ("x", "y") for part in rows)
    return found


@pytest.mark.parametrize("ending", table.SUFFIXES)
@pytest.mark.parametrize("n", [1, 500, 1_237])
def test_every_format_gives_what_pandas_has(tmp_path, ending, n):
    """Ids, times, numbers and words of every row, in order, missing where they are missing."""
    source = frame(n)
    batches = list(table.read(written(source, tmp_path, ending), FULL))
    assert [batch.rows.n for batch in batches] == [500] * (n // 500) + [n % 500] * (n % 500 > 0)
    found = columns(batches)
    for name, values in found.items():
        expected = source[name].astype(object).where(source[name].notna(), None).tolist()
        mine = [None if value != value else value for value in values]
        assert mine == expected, name
    labels = {
        id_: value
        for batch in batches
        for id_, value in zip(batch.labels.ids, batch.labels.label.tolist(), strict=True)
    }
    known = source[source["truth"].notna()]
    assert labels == dict(zip(known["id"], known["truth"].astype(float), strict=True))
    come = [at for batch in batches for at in batch.label_ms.tolist()]
    assert come == (known["at"] + FULL.label_delay_ms).tolist()
    assert come == [at for batch in batches for at in batch.labels.time_ms.tolist()]


def test_the_way_a_reader_cuts_its_blocks_does_not_show(tmp_path, monkeypatch):
    """A CSV of megabytes comes in blocks; batches are of 500 rows all the same."""
    source = frame(2_600)
    path = written(source, tmp_path)
    whole = columns(list(table.read(path, FULL)))
    opened = table.pa.csv.open_csv
    small = table.pa.csv.ReadOptions(block_size=10_000)
    monkeypatch.setattr(
        table.pa.csv, "open_csv", lambda stream, **more: opened(stream, read_options=small, **more)
    )
    batches = list(table.read(path, FULL))
    assert [batch.rows.n for batch in batches] == [500] * 5 + [100]
    assert columns(batches)["id"] == whole["id"]


times = st.lists(st.integers(0, 10_000), min_size=1, max_size=1_600)


@settings(max_examples=30)
@given(times, st.integers(0, 3_000), st.integers(0, 100))
def test_records_come_as_a_topic_would_have_them(minutes, delay, grace):
    """Record time never falls, a label waits for its time, and one tick closes what is open."""
    ids = [str(row) for row in range(len(minutes))]
    batches = [
        made_batch(ids[at : at + 500], minutes[at : at + 500], delay)
        for at in range(0, len(ids), 500)
    ]
    found = list(table.records(iter(batches), grace))
    assert [raw.offset for raw, _ in found] == list(range(len(found)))
    assert [raw.time_ms for raw, _ in found] == sorted(raw.time_ms for raw, _ in found)
    rows = [(raw, one.record) for raw, one in found if isinstance(one.record, Rows)]
    newest = START_MS
    for raw, record in rows:
        newest = max(newest, int(record.time_ms.max()))
        assert raw.time_ms == newest
    assert [id_ for _, record in rows for id_ in record.ids] == ids
    labels = [(raw, one.record) for raw, one in found if isinstance(one.record, Truths)]
    assert sorted(id_ for _, record in labels for id_ in record.ids) == sorted(ids)
    for raw, record in labels:
        after_all_rows = raw.offset > rows[-1][0].offset
        assert after_all_rows or int(record.time_ms.max()) <= raw.time_ms
    last, tick = found[-1]
    assert tick.record == Tick(closing=True) and last.time_ms == newest + grace
    assert sum(isinstance(one.record, Tick) for _, one in found) == 1


def test_a_batch_whose_labels_come_late_holds_up_no_other():
    """One far label, as a typing error makes it: those of the batches behind come at their time."""
    late, *others = (made_batch([str(at)], [at], 1) for at in range(5))
    late.label_ms[0] += 10**9
    found = [one.record for _, one in table.records(iter([late, *others]), 0)]
    labelled = [record.ids[0] for record in found if isinstance(record, Truths)]
    assert labelled == ["1", "2", "3", "4", "0"]
    assert found.index(late.labels) == len(found) - 2
    (first,) = (at for at, one in enumerate(found) if isinstance(one, Truths) and one.ids[0] == "1")
    assert isinstance(found[first + 1], Rows)


def test_rows_that_no_topic_would_hold_are_rejects(tmp_path):
    """An infinite answer, score, latency or figure of llm: as the decoder has it. A feature may be
    infinite, and what is only missing rejects nothing.
    """
    whole = frame(12).astype({"answer": float, "tokens": float})
    for row, column in enumerate(["answer", "score", "took", "tokens", "x"]):
        whole.loc[row, column] = -math.inf
    whole.to_parquet(tmp_path / "t.parquet", index=False)
    (_, found), *_ = table.records(table.read(tmp_path / "t.parquet", FULL), 0)
    assert list(found.record.ids) == [f"r{row}" for row in range(4, 12)]
    assert found.record.numeric[0, 0] == -math.inf and found.rows_in == 12
    assert {(one.reason, one.row, one.detail.split(" is ")[0]) for one in found.rejects} == {
        ("non_finite", 0, "prediction"),
        ("non_finite", 1, "a score"),
        ("non_finite", 2, "latency_ms"),
        ("non_finite", 3, "a figure of llm"),
    }


def made_batch(ids: list[str], minutes: list[int], delay: int) -> table.Batch:
    """Rows of these times, labelled `delay` minutes later."""
    at = START_MS + np.array(minutes, np.int64) * 60_000
    empty = {"emitter": "", "seq": -1, "emitted": 0, "dropped": 0, "n": len(ids)}
    rows = Rows(
        model="team/model",
        version="1",
        time_ms=at,
        ids=ids,
        numeric_names=(),
        categories={},
        numeric=np.empty((0, len(ids)), np.float32),
        prediction=None,
        score_names=(),
        scores=np.empty((0, len(ids))),
        latency_ms=None,
        error=None,
        segments={},
        **empty,
    )
    labels = Truths(
        model="team/model",
        version="1",
        time_ms=at + delay * 60_000,
        ids=ids,
        label=np.zeros(len(ids)),
        **empty,
    )
    return table.Batch(rows, labels, labels.time_ms)


# ── single columns ───────────────────────────────────────────────────────────────────────────────


def read(folder: Path, found: dict[str, list], **more) -> list[table.Batch]:
    """The batches of a CSV of a few rows; `id` and `at` are added where they lack."""
    n = len(next(iter(found.values())))
    least = {"id": [f"r{row}" for row in range(n)], "at": [START_MS + row for row in range(n)]}
    path = folder / "t.csv"
    pd.DataFrame(least | found).to_csv(path, index=False)
    mapping = Mapping(model="team/model", prediction_id="id", timestamp="at", **more)
    return list(table.read(path, mapping))


@pytest.mark.parametrize(
    "at",
    [
        ["2023-11-14 22:13:20", "2023-11-14 22:13:21.5"],
        ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21.500Z"],
        ["2023-11-14T23:13:20+01:00", "2023-11-14T23:13:21.500+01:00"],
        [1_700_000_000_000, 1_700_000_001_500],
    ],
)
def test_times_are_read_as_they_are_written(tmp_path, at):
    """ISO 8601, with a zone or as UTC, and whole milliseconds are the same moment."""
    [batch] = read(tmp_path, {"at": at})
    assert batch.rows.time_ms.tolist() == [1_700_000_000_000, 1_700_000_001_500]


def test_a_feature_beyond_float32_is_infinite_and_the_terminal_hears_nothing(tmp_path):
    """As one that a live row sends."""
    found = {"id": ["1", "2"], "at": [START_MS] * 2, "x": [1e300, 1.5], "y": [-1e39, 3.4e38]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (batch,) = read(tmp_path, found, numeric=["x", "y"])
    expected = [[math.inf, 1.5], [-math.inf, 3.4e38]]
    np.testing.assert_array_equal(batch.rows.numeric, np.float32(expected))


def test_columns_that_are_named_nowhere_are_features(tmp_path):
    """Without `features` numbers are numeric, and everything else is words."""
    found = {"age": [1, 2], "price": [1.5, None], "city": ["a", "b"], "new": [True, False]}
    [batch] = read(tmp_path, found | {"answer": [0, 1]}, prediction="answer")
    assert batch.rows.numeric_names == ("age", "price")
    assert {name: listed(column) for name, column in batch.rows.categories.items()} == {
        "city": ["a", "b"],
        "new": ["true", "false"],
    }


def test_categories_may_look_like_numbers(tmp_path):
    """A postcode is a word where the mapping says so, zeros and all."""
    [batch] = read(tmp_path, {"code": ["01067", "80331"]}, categories=["code"])
    assert listed(batch.rows.categories["code"]) == ["01067", "80331"]


def test_only_rows_with_a_label_need_its_time(tmp_path):
    """`label_time` is empty where nothing is known yet, and rules over `label_delay`."""
    found = {"truth": [1, None, 0], "told": [START_MS + 5, None, START_MS + 9]}
    found["told"] = pd.array(found["told"], "Int64")
    [batch] = read(tmp_path, found, label="truth", label_time="told", label_delay_ms=DAY_MS)
    assert batch.labels.ids == ["r0", "r2"]
    assert batch.labels.time_ms.tolist() == [START_MS + 5, START_MS + 9]
    with pytest.raises(UsageError, match="column 'told' has rows without a time"):
        read(tmp_path, found | {"truth": [1, 1, 0]}, label="truth", label_time="told")


def test_a_truth_value_is_the_same_class_through_every_door(tmp_path):
    """SDK, JSON event and table: what a live model is told, a replay is told too."""
    [batch] = read(tmp_path, {"answer": [True, False]}, prediction="answer")
    sent = pack.answers([True, False])
    assert isinstance(sent, Numbers)
    events = [json_event(value) for value in (True, False)]
    doors = [
        class_names(batch.rows.prediction, 2),
        class_names(np.frombuffer(sent.data, np.float64), 2),
        [name for event in events for name in class_names(event.prediction, 1)],
    ]
    assert doors == [["1", "0"]] * 3


def json_event(prediction) -> Rows:
    """A single event as a server without the SDK sends it."""
    body = {
        "model": "team/model",
        "version": "1",
        "prediction_id": "1",
        "timestamp": START_MS,
        "prediction": prediction,
    }
    described = headers("inference", id="1", source="s", time="", content_type=JSON)
    raw = RawRecord(
        "events.v1", 0, 0, START_MS, b"team/model", json.dumps(body).encode(), described
    )
    return decode(raw).record


@pytest.mark.parametrize("ending", table.SUFFIXES)
def test_rows_of_several_versions_keep_their_order(tmp_path, ending):
    """A batch ends where the version changes, its labels with it; no row moves."""
    source = frame(1_237)
    source["v"] = np.where(np.arange(1_237) % 100 < 90, "1.10", "2")
    mapping = msgspec.structs.replace(FULL, version_column="v")
    batches = list(table.read(written(source, tmp_path, ending), mapping))
    found = columns(batches)
    assert found["id"] == source["id"].tolist()
    versions = [batch.rows.version for batch in batches for _ in range(batch.rows.n)]
    assert versions == source["v"].tolist()
    assert all(batch.labels.version == batch.rows.version for batch in batches)
    assert max(batch.rows.n for batch in batches) == 90


def class_names(prediction, n: int) -> list[str]:
    """Answers as a binary model's fold names them."""
    known = Columns(task="binary")
    codes, _ = answers(known, prediction, n)
    return [known.classes[code] for code in codes.tolist()]


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("found", "more", "says"),
    [
        ({"x": [1]}, {"label": "truth"}, "column 'truth' is missing; the table has id, at, x"),
        ({"x": ["a"]}, {"numeric": ["x"]}, "column 'x' is not numeric: invalid value 'a'"),
        ({"score": ["high"]}, {"proba": "score"}, "column 'score' is not numeric"),
        ({"n": ["many"]}, {"llm": {"cost": "n"}}, "column 'n' is not numeric"),
        ({"took": ["2020-01-01"]}, {"latency_ms": "took"}, "column 'took' is not numeric"),
        ({"at": ["soon"]}, {}, "column 'at' is no time; use ISO 8601 or whole milliseconds"),
        ({"at": [1.7e9 + 0.5]}, {}, "column 'at' is no time; use ISO 8601 or whole milliseconds"),
        ({"at": [1_700_000_000]}, {}, "column 'at' holds 1700000000, no time in milliseconds"),
        ({"at": [1_700_000_000_000_000]}, {}, "no time in milliseconds"),
        ({"at": [-5]}, {}, "column 'at' holds -5, no time in milliseconds"),
        ({"at": ["2020-01-01", None]}, {}, "column 'at' has rows without a time"),
        ({"at": pd.array([START_MS, None], "Int64")}, {}, "column 'at' has rows without a time"),
        ({"id": ["a", None]}, {}, "column 'id' has rows without an id"),
        ({"v": ["1", None]}, {"version_column": "v"}, "column 'v' has rows without a version"),
        ({"x": [1]}, {"version_column": "v"}, "column 'v' is missing; the table has id, at, x"),
    ],
)
def test_a_wrong_column_is_a_sentence(tmp_path, found, more, says):
    """The file, the column and what is wrong with it."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, found, **more)
    assert str(caught.value).startswith(f"{tmp_path / 't.csv'}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_an_empty_text_is_neither_id_nor_version(tmp_path, ending):
    """As on the topic, where such a batch is a dead letter; in a CSV it is no text at all."""
    found = frame(3).assign(branch="1")
    for column, says in (("id", "rows without an id"), ("branch", "rows without a version")):
        wrong = found.assign(**{column: ["a", "", "c"]})
        mapping = msgspec.structs.replace(FULL, version_column="branch", segments=[])
        with pytest.raises(UsageError, match=says):
            list(table.read(written(wrong, tmp_path, ending), mapping))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"id,at,x,x\n1,1700000000000,1,2\n", "column 'x' is there twice"),
        ("t.csv", b"id,at\n1\n", "Expected 2 columns, got 1"),
        ("t.csv", b"", "Empty CSV file"),
        ("t.csv.gz", b"no gzip", ""),
        ("t.parquet", b"no parquet", "magic bytes"),
        ("t.jsonl", b'{"id": "1", "at": 1700000000000\n', "JSON parse error"),
        ("t.jsonl", b"null\n", "a line is `null`; each must be an object"),
        ("t.jsonl", b'\xef\xbb\xbfnull\n{"id": "1"}\n', "a line is `null`"),
        ("t.jsonl", b'{"id": "1", "at": 1}\n' * 60_000 + b" null\n" * 300_000, "is `null`"),
        (
            "t.jsonl",
            b'{"id": "1", "at": 1700000000000, "x": [1]}\n',
            "column 'x' holds list<item: int64>, no words",
        ),
        ("t.jsonl", b'{"id": "1", "at": {"t": 1}}\n', "column 'at' is no time"),
        ("t.xlsx", b"", "unknown format; use one of .csv, .csv.gz, .parquet"),
    ],
)
def test_a_wrong_file_is_a_sentence(tmp_path, name, content, says):
    """Whatever the bytes, one line that names the file."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        list(table.read(path, Mapping(model="a/b", prediction_id="id", timestamp="at")))
    assert str(caught.value).startswith(f"{path}: ") and says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    """And so is a folder."""
    for path, why in ((tmp_path / "none.csv", "no such file"), (tmp_path, "is a folder, no file")):
        with pytest.raises(UsageError, match=why):
            list(table.read(path, FULL))
