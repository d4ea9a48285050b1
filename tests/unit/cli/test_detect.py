"""`inferwatch detect` finds over a file what the detector finds over its values; errors say why."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest

from inferwatch.cli.main import main
from inferwatch.detectors import make
from inferwatch.errors import Exit


@pytest.fixture
def values():
    """A level that rises at row 1,000, with a far value."""
    found = np.random.default_rng(3).normal(size=2_000) + np.where(np.arange(2_000) < 1_000, 0, 2)
    found[400] = 30.0
    return found


def rows(capsys):
    """The findings that were printed."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_kind_of_file_gives_the_same(tmp_path, values, capsys, monkeypatch):
    """CSV, compressed CSV, Parquet, NPY and standard input: the detector's own indices."""
    frame = pd.DataFrame({"name": ["x"] * len(values), "amount": values})
    frame.to_csv(tmp_path / "a.csv", index=False)
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        frame.to_csv(file, index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", values)
    lines = "\n".join(map(repr, values.tolist())).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    expected = make("mad", window=200).update_many(values)
    assert 400 in expected
    for file in ("a.csv", "a.csv.gz", "a.parquet", "a.npy", "-"):
        path = file if file == "-" else str(tmp_path / file)
        assert main(["detect", "mad", "--param", "window=200", path]) == Exit.DONE
        found = rows(capsys)
        assert [one["row"] for one in found] == expected
        assert all(one["value"] == values[one["row"]] and one["score"] > 6 for one in found)


@pytest.mark.parametrize("name", [b"value\n", b'"my_value"\r\n', b""])
def test_standard_input_may_begin_with_the_columns_name(values, capsys, monkeypatch, name):
    """The head of a CSV of one column is no row; NaN in the first line is one."""
    lines = name + b"nan\n" + "\n".join(map(repr, values.tolist())).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["detect", "mad", "--param", "window=200", "-"]) == Exit.DONE
    expected = make("mad", window=200).update_many(values)
    assert [one["row"] for one in rows(capsys)] == [row + 1 for row in expected]


def test_a_scale_is_for_detectors_of_shares(tmp_path, values, capsys):
    """`--scale` clips and maps to 0…1; the value told is the file's own."""
    np.save(tmp_path / "a.npy", values)
    assert main(["detect", "adwin", "--scale=-5,5", str(tmp_path / "a.npy")]) == Exit.DONE
    found = rows(capsys)
    scaled = (np.clip(values, -5, 5) + 5) / 10
    assert [one["row"] for one in found] == make("adwin").update_many(scaled)
    assert [one["value"] for one in found] == [values[one["row"]] for one in found]


def test_rows_of_several_columns_are_found(tmp_path, capsys):
    """`hst` sees the named columns in their order, each by its range; told are the file's."""
    level = np.random.default_rng(1).random(2_000)
    spread = np.random.default_rng(2).random((2_000, 2)) * 0.1
    frame = pd.DataFrame({"n": 1, "high": level + spread[:, 0], "low": -9 * (level + spread[:, 1])})
    frame.loc[1_500, ["high", "low"]] = 0.9, -0.9
    frame.loc[1_600, "high"] = np.nan
    rows_given = frame[["low", "high"]].to_numpy()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", rows_given)
    made = make("hst", height=6)
    expected = made.update_many((rows_given - [-10.0, 0.0]) / [10.0, 1.2])
    assert 1_500 in expected and 1_600 not in expected
    for file in ("a.csv", "a.parquet", "a.npy"):
        named = [] if file == "a.npy" else ["--column", "low", "--column", "high"]
        arguments = ["detect", "hst", "--param", "height=6", "--scale=-10,0", "--scale", "0,1.2"]
        assert main([*arguments, *named, str(tmp_path / file)]) == Exit.DONE
        found = rows(capsys)
        assert [one["row"] for one in found] == expected
        assert [one["value"] for one in found] == rows_given[expected].tolist()


@pytest.mark.parametrize("start", ["", "7", "true"])
def test_the_first_rows_do_not_decide_what_a_column_holds(tmp_path, capsys, start):
    """A column that starts empty, or whole, for longer than is looked at first, may go on 3.5."""
    lines = [f"{start},{'a' * 40}\n"] * 40_000 + ["3.5,b\n", "4.5,b\n"] * 50 + ["900.5,b\n"]
    (tmp_path / "a.csv").write_text("x,note\n" + "".join(lines))
    arguments = ["detect", "zscore", "--column", "x", str(tmp_path / "a.csv")]
    if start == "true":
        assert main(arguments) == Exit.USAGE
        assert "column 'x': In CSV column #0: Row #40002" in capsys.readouterr().err
        return
    assert main(arguments) == Exit.DONE
    assert rows(capsys)[-1]["row"] == 40_100


def test_integers_beyond_a_double_are_read(tmp_path, capsys):
    """Nanoseconds since 1970 lose their last digits, and are no error."""
    values = 1_700_000_000_000_000_001 + np.arange(300) % 7 * 10**9
    values[200] += 10**15
    pd.DataFrame({"t": values}).to_parquet(tmp_path / "a.parquet")
    assert main(["detect", "mad", str(tmp_path / "a.parquet")]) == Exit.DONE
    assert [one["row"] for one in rows(capsys)] == [200]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["detect", "mad", "no.csv"], Exit.USAGE, "no such file"),
        (["detect", "nosuch", "a.csv"], Exit.USAGE, "no method nosuch"),
        (
            ["detect", "zscore", "--param", "thresold=8", "a.csv"],
            Exit.USAGE,
            "zscore has no parameter thresold (did you mean threshold? it takes window, ",
        ),
        (["detect", "mad", "--param", "qqq=3", "a.csv"], Exit.USAGE, "parameter qqq (it takes "),
        (["detect", "psi", "--column", "x", "a.csv"], Exit.USAGE, "psi is for checks of monitor"),
        (["detect", "isolation_forest", "a.csv"], Exit.USAGE, "run `inferwatch replay`"),
        (["detect", "eddm", "--column", "x", "a.csv"], Exit.USAGE, "row 1 is 3: eddm reads errors"),
        (["detect", "ddm", "--column", "x", "a.csv"], Exit.USAGE, "with --scale"),
        (["detect", "mad", "--param", "window", "a.csv"], Exit.USAGE, "NAME=VALUE"),
        (["detect", "mad", "--scale", "3", "a.csv"], Exit.USAGE, "MIN,MAX"),
        (["detect", "mad", "a.csv"], Exit.USAGE, "name one with --column"),
        (["detect", "mad", "--column", "z", "a.csv"], Exit.USAGE, "no column 'z'; it has x, y, w"),
        (["detect", "mad", "--column", "w", "a.csv"], Exit.USAGE, "a.csv: column 'w'"),
        (["detect", "mad", "--column", "w", "a.csv"], Exit.USAGE, "Row #2"),
        (["detect", "mad", "--column", "w", "a.parquet"], Exit.USAGE, "string, not numbers"),
        (["detect", "mad", "--column", "d", "d.csv"], Exit.USAGE, "several columns are called 'd'"),
        (["detect", "mad", "--column", "x", "-"], Exit.USAGE, "leave --column out"),
        (["detect", "hst", "--column", "x", "a.npy"], Exit.USAGE, "leave --column out"),
        (["detect", "mad", "a.npy"], Exit.USAGE, "save one column of numbers"),
        (["detect", "hst", "none.npy"], Exit.USAGE, "save numbers, [n] or [n, F]"),
        (["detect", "mad", "--column", "x", "--column", "y", "a.csv"], Exit.USAGE, "one column"),
        (["detect", "hst", "--column", "x", "--column", "x", "a.csv"], Exit.USAGE, "given twice"),
        (
            ["detect", "hst", *["--scale", "0,1"] * 3, "a.npy"],
            Exit.USAGE,
            "3 ranges for 2 columns",
        ),
        (
            ["detect", "mad", *["--scale", "0,1"] * 2, "--column", "x", "a.csv"],
            Exit.USAGE,
            "1 col",
        ),
        (["detect", "mad", "--scale", "0,inf", "a.csv"], Exit.USAGE, "MIN,MAX"),
    ],
)
def test_a_mistake_is_told(tmp_path, monkeypatch, capsys, arguments, code, said):
    """What is wrong, where, and what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x,y,w\n1,2,a\n3,4,b\n")
    (tmp_path / "d.csv").write_text("d,d\n1,2\n")
    pd.read_csv("a.csv").to_parquet("a.parquet")
    np.save("a.npy", np.ones((3, 2)))
    np.save("none.npy", np.ones((3, 0)))
    assert main(arguments) == code
    assert said in capsys.readouterr().err


def test_an_empty_line_of_a_single_column_is_a_row(tmp_path, values, capsys):
    """Rows after it keep their numbers, as they do from standard input."""
    lines = ["amount", *map(repr, values.tolist())]
    lines[101] = ""
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    assert main(["detect", "mad", str(tmp_path / "a.csv")]) == Exit.DONE
    missing = values.copy()
    missing[100] = np.nan
    assert [one["row"] for one in rows(capsys)] == make("mad").update_many(missing)


def test_errors_are_read_and_losses_where_they_are_meant(tmp_path, capsys):
    """0, 1 and missing pass for `eddm`; a loss of 0.5 for `ddm`, and what a scale made one."""
    np.save(tmp_path / "a.npy", np.array([0.0, 1.0, np.nan]))
    np.save(tmp_path / "b.npy", np.array([0.5, 1.0, np.nan]))
    np.save(tmp_path / "c.npy", np.array([50.0, 1.0]))
    for arguments in (["eddm", "a.npy"], ["ddm", "b.npy"], ["ddm", "c.npy", "--scale", "0,100"]):
        path = str(tmp_path / arguments[1])
        assert main(["detect", arguments[0], path, *arguments[2:]]) == Exit.DONE
    assert main(["detect", "eddm", str(tmp_path / "b.npy")]) == Exit.USAGE
    assert "row 0 is 0.5" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_on_a_terminal_the_findings_are_counted(tmp_path, values, capsys, monkeypatch, terminal):
    """Nothing found is no silence there; programs read lines of JSON and nothing else."""
    np.save(tmp_path / "a.npy", values)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert main(["detect", "mad", "--param", "threshold=1000", str(tmp_path / "a.npy")]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "0 found in 2,000 rows\n" if terminal else "")


class Pipe(io.RawIOBase):
    """A writer that waits for an answer: each piece comes when all before it were looked at."""

    def __init__(self, pieces):
        self.pieces, self.given = list(pieces), 0

    def readable(self):
        """Yes."""
        return True

    def readinto(self, buffer):
        """One piece a read, as a pipe gives what is there."""
        if self.given == len(self.pieces):
            return 0
        piece = self.pieces[self.given]
        self.given += 1
        buffer[: len(piece)] = piece
        return len(piece)


def test_standard_input_is_answered_as_it_comes(monkeypatch):
    """A finding is told before the next piece is read, and a line may lie in two pieces."""
    pieces = [b"1\n2\n" * 100 + b"9", b"00\n", b"1\n\n1\n", b"-7e2"]
    pipe = Pipe(pieces)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(pipe)))
    told = []
    monkeypatch.setattr("builtins.print", lambda line, **_: told.append((pipe.given, line)))
    arguments = ["detect", "zscore", "--param", "debounce=1", "-"]
    assert main(arguments) == Exit.DONE
    assert [(given, json.loads(line)["row"]) for given, line in told] == [(2, 200), (4, 204)]
