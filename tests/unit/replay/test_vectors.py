"""Columns of vectors: what a table's lists hold is what rows have, whatever wrote the lists."""

import json
import math

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inferwatch.config.mapping import Mapping
from inferwatch.errors import UsageError
from inferwatch.records.raw import EMBEDDING_DIM_MAX
from inferwatch.replay import table

MAPPING = Mapping(model="team/model", prediction_id="id", timestamp="at", embedding="v")
START_MS = 1_700_000_000_000
LISTS = [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.large_list(pa.float32())]


def columns(n, **more):
    """Ids and times of n rows, and other columns."""
    return {"id": [f"r{row}" for row in range(n)], "at": [START_MS] * n, **more}


def parquet(folder, vectors, kind, **more):
    """A file of rows with these vectors."""
    path = folder / "t.parquet"
    given = columns(len(vectors), **more) | {"v": pa.array(vectors, kind)}
    pq.write_table(pa.table(given), path)
    return path


def lines(folder, vectors, **more):
    """The same as JSON lines."""
    path = folder / "t.jsonl"
    given = columns(len(vectors), **more) | {"v": vectors}
    rows = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def read(path, **more):
    """The rows of the batches."""
    mapping = msgspec.structs.replace(MAPPING, **more)
    return [batch.rows for batch in table.read(path, mapping)]


def told(rows):
    """The vector of each row, None where it has none."""
    found = []
    for part in rows:
        block = [None] * part.n if part.embedding is None else part.embedding.tolist()
        found += [None if one is None or math.isnan(one[0]) else one for one in block]
    return found


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_parquet_are_vectors(tmp_path, kind):
    """Single and double precision, long lists; no list, an empty one and a gap within are none."""
    vectors = [[1.0, -0.5], None, [], [3.0, None], [math.inf, 1.0], [5.0, 6.0]]
    (rows,) = read(parquet(tmp_path, vectors, kind))
    assert told([rows]) == [[1.0, -0.5], None, None, None, None, [5.0, 6.0]]
    assert rows.embedding.dtype == np.float32


def test_lists_of_one_size_are_vectors(tmp_path):
    """As numpy's users write them; a row without one keeps its place."""
    vectors = [[1.0, 2.0], None, [3.0, 4.0]]
    assert told(read(parquet(tmp_path, vectors, pa.list_(pa.float32(), 2)))) == vectors


def test_arrays_of_json_lines_are_vectors(tmp_path):
    """Whole numbers too."""
    vectors = [[1, -0.5, 2e-3], None, [4, 5, 6]]
    assert told(read(lines(tmp_path, vectors))) == [
        [1.0, -0.5, float(np.float32(2e-3))],
        None,
        [4.0, 5.0, 6.0],
    ]
    assert told(read(lines(tmp_path, [[1, 2], [3, 4]]))) == [[1.0, 2.0], [3.0, 4.0]]


def test_a_number_beyond_float32_takes_its_vector_away(tmp_path):
    """As it does on the wire, and the terminal hears nothing of it."""
    found = read(parquet(tmp_path, [[1e300, 1.0], [1.0, 2.0]], pa.list_(pa.float64())))
    assert told(found) == [None, [1.0, 2.0]]


def test_a_batch_has_vectors_of_one_size_and_rows_of_one_version(tmp_path):
    """It ends where either changes; rows without a vector stay where they are."""
    sizes = [0, 2, 0, 2, 3, 0, 3, 3, 2]
    vectors = [[float(row)] * size or None for row, size in enumerate(sizes)]
    versions = ["1"] * 7 + ["2"] * 2
    path = parquet(tmp_path, vectors, pa.list_(pa.float32()), version=versions)
    found = read(path, version_column="version")
    assert [(rows.n, rows.version) for rows in found] == [(4, "1"), (3, "1"), (1, "2"), (1, "2")]
    assert told(found) == vectors


def test_long_tables_have_all_their_vectors(tmp_path):
    """Across batches of 500 and blocks of thousands."""
    vectors = np.random.default_rng(0).normal(size=(11_234, 3)).astype("f4")
    found = read(parquet(tmp_path, list(vectors), pa.list_(pa.float32())))
    np.testing.assert_array_equal(np.concatenate([rows.embedding for rows in found]), vectors)


def test_a_table_without_any_vector_is_read(tmp_path):
    """A column of nothing but gaps has no type; its rows have no vector."""
    assert [rows.embedding for rows in read(lines(tmp_path, [None, None]))] == [None]


@pytest.mark.parametrize(
    ("vectors", "kind", "said"),
    [
        ([1.0, 2.0], pa.float32(), "column 'v' holds float, no vectors"),
        (["[1.0]"], pa.string(), "column 'v' holds string, no vectors"),
        ([["a"]], pa.list_(pa.string()), "column 'v' holds list<element: string>, no numbers"),
        ([[[1.0]]], pa.list_(pa.list_(pa.float32())), "no numbers"),
        (
            [[1.0] * (EMBEDDING_DIM_MAX + 1)],
            pa.list_(pa.float32()),
            f"column 'v' has a vector of {EMBEDDING_DIM_MAX + 1} numbers, at most",
        ),
    ],
)
def test_what_is_no_column_of_vectors_is_said(tmp_path, vectors, kind, said):
    """With the column's name and what it holds."""
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        read(parquet(tmp_path, vectors, kind))
