"""What a table's columns are taken for: numbers, words, errors."""

from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from inferwatch.config.mapping import Mapping
from inferwatch.errors import UsageError
from inferwatch.replay import table

START_MS = 1_700_000_000_000


def csv(found: pd.DataFrame, folder: Path) -> Path:
    """The table in a file."""
    found.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def parquet(found: pd.DataFrame, folder: Path) -> Path:
    """The same, with types."""
    found.to_parquet(folder / "t.parquet", index=False)
    return folder / "t.parquet"


def test_what_a_csv_holds_shows_in_all_its_rows(tmp_path):
    """Two megabytes without an error, a label or a fraction, then one of each; and what is no
    number is named.
    """
    n = 40_000
    found = pd.DataFrame(
        {
            "id": [f"row-{row:040}" for row in range(n)],
            "at": START_MS + np.arange(n),
            "answer": [1] * (n - 1) + [2.5],
            "truth": [None] * (n - 1) + ["7"],
            "failed": [None] * (n - 1) + ["Timeout"],
            "ended": [None] * (n - 1) + ["length"],
            "x": [1] * (n - 1) + [0.5],
            "word": [None] * (n - 1) + ["é"],
        }
    )
    mapping = Mapping(
        model="m",
        prediction_id="id",
        timestamp="at",
        prediction="answer",
        label="truth",
        error="failed",
        llm={"finish_reason": "ended"},
    )
    last = list(table.read(csv(found, tmp_path), mapping))[-1]
    assert last.rows.prediction[-1] == 2.5
    assert last.rows.numeric_names == ("x",)
    assert last.rows.numeric[0, -1] == 0.5
    assert last.rows.error.words == ("Timeout",)
    assert last.rows.llm.finish_reason.words == ("length",)
    assert last.rows.categories["word"].words == ("é",)
    assert last.labels.label.tolist() == [7.0]
    found["x"] = found["x"].astype(object)
    found.loc[n - 1, "x"] = "old"
    with pytest.raises(UsageError, match="column 'x' is not numeric: invalid value 'old'"):
        list(table.read(csv(found, tmp_path), msgspec.structs.replace(mapping, numeric=["x"])))


@pytest.mark.parametrize("write", [csv, parquet])
def test_of_truth_values_the_true_ones_are_errors(tmp_path, write):
    """False is no word for an answer that failed."""
    rows = {"id": ["a", "b", "c"], "at": [START_MS] * 3, "failed": [True, False, None]}
    mapping = Mapping(model="m", prediction_id="id", timestamp="at", error="failed")
    (batch,) = table.read(write(pd.DataFrame(rows), tmp_path), mapping)
    assert batch.rows.error.words == ("true",)
    assert batch.rows.error.codes.tolist() == [0, -1, -1]


def test_decimals_are_numbers(tmp_path):
    """As databases export them: an answer, a label and a feature that nobody named as numeric."""
    money = [Decimal("1.50"), Decimal("2.25"), None]
    ids, at = ["a", "b", "c"], [START_MS] * 3
    found = pd.DataFrame({"id": ids, "at": at, "answer": money, "truth": money, "x": money})
    mapping = Mapping(
        model="m", prediction_id="id", timestamp="at", prediction="answer", label="truth"
    )
    (batch,) = table.read(parquet(found, tmp_path), mapping)
    np.testing.assert_equal(batch.rows.prediction, [1.5, 2.25, np.nan])
    np.testing.assert_equal(batch.labels.label, [1.5, 2.25])
    assert batch.rows.numeric_names == ("x",) and not batch.rows.categories
    np.testing.assert_equal(batch.rows.numeric, [[1.5, 2.25, np.nan]])
