"""`inferwatch detect` finds over a file what the detector finds over its values; errors say why."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest

from inferwatch.cli.main import main
from inferwatch.detectors import make, methods
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
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(repr, values.tolist()))))
    expected = make("mad", window=200).update_many(values)
    assert 400 in expected
    for file in ("a.csv", "a.csv.gz", "a.parquet", "a.npy", "-"):
        path = file if file == "-" else str(tmp_path / file)
        assert main(["detect", "mad", "--param", "window=200", path]) == Exit.DONE
        found = rows(capsys)
        assert [one["row"] for one in found] == expected
        assert all(one["value"] == values[one["row"]] and one["score"] > 6 for one in found)


def test_a_scale_is_for_detectors_of_shares(tmp_path, values, capsys):
    """`--scale` clips and maps to 0…1; the value told is the file's own."""
    np.save(tmp_path / "a.npy", values)
    assert main(["detect", "adwin", "--scale=-5,5", str(tmp_path / "a.npy")]) == Exit.DONE
    found = rows(capsys)
    scaled = (np.clip(values, -5, 5) + 5) / 10
    assert [one["row"] for one in found] == make("adwin").update_many(scaled)
    assert [one["value"] for one in found] == [values[one["row"]] for one in found]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["detect", "mad", "no.csv"], Exit.USAGE, "no such file"),
        (["detect", "nosuch", "a.csv"], Exit.CONFIG, "no method nosuch"),
        (["detect", "mad", "--param", "widow=3", "a.csv"], Exit.CONFIG, "widow"),
        (["detect", "mad", "--param", "window", "a.csv"], Exit.CONFIG, "NAME=VALUE"),
        (["detect", "mad", "--scale", "3", "a.csv"], Exit.CONFIG, "MIN,MAX"),
        (["detect", "mad", "a.csv"], Exit.USAGE, "name one with --column"),
        (["detect", "mad", "--column", "z", "a.csv"], Exit.USAGE, "no column 'z'; it has x, y, w"),
        (["detect", "mad", "--column", "w", "a.csv"], Exit.USAGE, "holds string, not numbers"),
    ],
)
def test_a_mistake_is_told(tmp_path, monkeypatch, capsys, arguments, code, said):
    """What is wrong, where, and what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x,y,w\n1,2,a\n3,4,b\n")
    assert main(arguments) == code
    assert said in capsys.readouterr().err


def test_methods_are_told(capsys):
    """One line each, as a table and as JSON."""
    assert main(["methods"]) == Exit.DONE
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[1:]] == sorted(methods())
    assert main(["methods", "--format", "json"]) == Exit.DONE
    assert [one["name"] for one in rows(capsys)] == sorted(methods())
