"""`inferwatch replay`: a report, or one clear sentence and an exit code."""

import json
from pathlib import Path

import pytest

from inferwatch.cli.amounts import time_ms
from inferwatch.cli.main import main
from inferwatch.errors import Exit
from inferwatch.replay import log

EXAMPLE = Path(__file__).parents[3] / "examples" / "car-loan"
MAPPING = "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\n"
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
windows: {w: {rows: 50}}
checks:
  - {alert: Busy, metric: rows, fail: {above: 10}}
"""
BAD = "apiVersion: inferwatch/v1\nmatch: {model: a}\nchecks:\n  - alert: A\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A table of 120 rows, its mapping and a monitor file, in the working directory."""
    for name in ("BOOTSTRAP_SERVERS", "CLIENT_PROPERTIES", "PREFIX"):
        monkeypatch.delenv(f"INFERWATCH_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"r{n},{1_700_000_000_000 + n},{n % 2}\n" for n in range(120))
    Path("t.csv").write_text("id,at,answer\n" + rows)
    Path("mapping.yaml").write_text(MAPPING)
    Path("m.yaml").write_text(MONITORS)
    return tmp_path


def lines(name: str) -> list[dict]:
    """Records of a file of the report."""
    return [json.loads(line) for line in Path("report", name).read_bytes().splitlines()]


def test_a_table_becomes_a_report(folder, capsys):
    """Windows and alerts in files, counts and digest on the screen."""
    assert main(["replay", "t.csv", "--monitors", "m.yaml", "--out", "report"]) == Exit.DONE
    said = capsys.readouterr().out.splitlines()
    summary = json.loads(Path("report/summary.json").read_text())
    assert said[0].startswith("121 rows: 121 ok, 0 rejected, 0 repeated · ")
    assert said[1:] == [
        "2 windows, 1 alert transitions",
        "     1  Busy unknown → firing",
        f"digest {summary['digest']}",
        "written to report",
    ]
    assert [record["window"]["start"] for record in lines("windows.jsonl")] == [0, 50]
    assert [record["alert"] for record in lines("alerts.jsonl")] == ["Busy"]
    assert lines("dead.jsonl") == []


def test_a_column_that_vanishes_half_way_is_told_once(folder, capsys):
    """On the screen, and with all there is to say of it in a file of its own."""
    rows = [f"r{n},{1_700_000_000_000 + n},{n % 2},{'' if n >= 50 else n}\n" for n in range(120)]
    Path("t.csv").write_text("id,at,answer,amount\n" + "".join(rows))
    Path("m.yaml").write_text(MONITORS + "reference: {min_rows: 50}\n")
    assert main(["replay", "t.csv", "--monitors", "m.yaml", "--out", "report"]) == Exit.DONE
    said = capsys.readouterr().out.splitlines()
    at = said.index("columns that changed:")
    assert said[at + 1] == "  2023-11-14 22:13 UTC  version 1  gone: amount"
    (record,) = lines("schema.jsonl")
    assert record["changes"][0]["since_ms"] == 1_700_000_000_050
    assert json.loads(Path("report/summary.json").read_text())["schema_changes"] == 1


@pytest.mark.parametrize(
    ("hours", "late"),
    [
        ([0, 1, 2, 3], None),
        ([3, 2, 1, 0], 72),  # the newest first: no window of the others ever opens
        ([0, 3, 1, 2], 48),  # and where one closes behind them
    ],
)
def test_a_table_in_another_order_than_its_times_is_told(folder, capsys, hours, late):
    """How many rows no window of time has counted, and what to do."""
    Path("m.yaml").write_text(MONITORS.replace("rows: 50", "size: 1h"))
    rows = [
        f"r{hour}-{n},{1_700_000_000_000 + hour * 3_600_000 + n},{n % 2}\n"
        for hour in hours
        for n in range(24)
    ]
    Path("t.csv").write_text("id,at,answer\n" + "".join(rows))
    assert main(["replay", "t.csv", "--monitors", "m.yaml", "--out", "report"]) == Exit.DONE
    said = capsys.readouterr().out
    summary = json.loads(Path("report/summary.json").read_text())
    assert summary["late"] == ({"team/model": {"w": late}} if late else {})
    told = f"  rows of team/model that came behind the end of their windows: {late} of 'w'\n"
    assert (told in said) == ("sort it by its times" in said) == (late is not None)


def test_the_same_table_has_the_same_digest(folder, capsys):
    """Twice the same command; without rules the default set, which is another."""
    digests = []
    for more in (["--monitors", "m.yaml"], ["--monitors", "m.yaml"], []):
        assert main(["replay", "t.csv", *more, "--out", "report"]) == Exit.DONE
        digests.append(capsys.readouterr().out.splitlines()[-2])
    assert digests[0] == digests[1] != digests[2]


def test_a_table_without_a_mapping_gets_one_to_fill_in(folder, capsys):
    """With its columns in the place of the words it is one; an option of a file that is not there
    is a slip of another kind.
    """
    Path("mapping.yaml").unlink()
    assert main(["replay", "t.csv", "--out", "report"]) == Exit.USAGE
    said, draft = capsys.readouterr().err.split("\n\n")
    assert said.startswith("inferwatch: mapping.yaml: no such file; say with --mapping")
    for key, column in (("prediction_id", "id"), ("timestamp", "at"), ("# prediction", "answer")):
        draft = draft.replace(f"{key}: COLUMN", f"{key.removeprefix('# ')}: {column}")
    Path("mapping.yaml").write_text(draft)
    assert main(["replay", "t.csv", "--out", "report"]) == Exit.DONE


def test_a_monitor_file_that_watches_nothing_is_named(folder, capsys):
    """It and its glob, and what watches the models instead; a file that watches is not named."""
    other = MONITORS.replace("team/*", "other/*")
    Path("other.yaml").write_text(other)
    assert main(["replay", "t.csv", "--monitors", "other.yaml", "--out", "report"]) == Exit.DONE
    assert capsys.readouterr().err == (
        "inferwatch: other.yaml: 'other/*' matches no model of this log; "
        "watched by the default set: team/model\n"
    )
    assert main(["replay", "t.csv", "--monitors", "other.yaml", "m.yaml", "--out", "report"]) == 0
    assert capsys.readouterr().err == (
        "inferwatch: other.yaml: 'other/*' matches no model of this log\n"
    )


REFUSED = {
    "no such table": (["none.csv"], Exit.USAGE, "none.csv: no such file; SOURCE is a table"),
    "unknown format": (["m.yaml"], Exit.USAGE, "m.yaml: unknown format; use one of .csv"),
    "a column missing": (
        ["t.csv", "--mapping", "label.yaml"],
        Exit.USAGE,
        "t.csv: column 'truth' is missing; the table has id, at, answer",
    ),
    "no rows": (["empty.csv"], Exit.USAGE, "empty.csv has no rows"),
    "no mapping": (
        ["t.csv", "--mapping", "none.yaml"],
        Exit.USAGE,
        "none.yaml: no such file; say with --mapping what the columns mean",
    ),
    "a file where the folder should be": (
        ["t.csv", "--out", "t.csv"],
        Exit.USAGE,
        "t.csv cannot be written: File exists",
    ),
    "a folder below a file": (
        ["t.csv", "--out", "t.csv/deep"],
        Exit.USAGE,
        "t.csv/deep cannot be written: Not a directory",
    ),
    "no broker named": (["topic"], Exit.USAGE, "no broker is named; use --bootstrap-server"),
    "no broker": (
        ["topic", "--bootstrap-server", "127.0.0.1:1"],
        Exit.UNAVAILABLE,
        "no broker answers at 127.0.0.1:1",
    ),
    "a broken monitor file": (
        ["t.csv", "--monitors", "bad.yaml"],
        Exit.CONFIG,
        "bad.yaml:4: checks[0]: 'metric' is missing",
    ),
    "a broken mapping": (
        ["t.csv", "--mapping", "bad.yaml"],
        Exit.CONFIG,
        "bad.yaml:1: apiVersion: unknown key",
    ),
    "a profile without columns": (
        ["topic", "--bootstrap-server", "EMBEDDED", "--profile", "profile.json"],
        Exit.CONFIG,
        "profile.json: has no columns beside it (put profile.values.npz there)",
    ),
    "another prefix": (
        ["topic", "--bootstrap-server", "EMBEDDED", "--prefix", "other."],
        Exit.CONFIG,
        "there is no topic other.events.v1",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_replayed_is_one_sentence(
    folder, request, monkeypatch, capsys, arguments, code, says
):
    """Nothing is printed but that, and a report that was there before is not touched."""
    monkeypatch.setattr(log, "PATIENCE_S", 0.5)
    Path("label.yaml").write_text(MAPPING + "label: truth\n")
    Path("empty.csv").write_text("id,at,answer\n")
    Path("bad.yaml").write_text(BAD)
    Path("profile.json").write_bytes((EXAMPLE / "profile.json").read_bytes())
    Path("report").mkdir()
    Path("report/windows.jsonl").write_text("earlier\n")
    if "EMBEDDED" in arguments:
        servers = request.getfixturevalue("embedded_broker")
        arguments = [servers if word == "EMBEDDED" else word for word in arguments]
    assert main(["replay", "--out", "report", *arguments]) == code
    said = capsys.readouterr()
    assert said.err.startswith("inferwatch: ") and says in said.err
    assert said.err.count("\n") == 1 and said.out == ""
    assert Path("report/windows.jsonl").read_text() == "earlier\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_and_leaves_no_summary(folder, capsys):
    """What is in the folder is no report, and says so by what it lacks."""
    Path("report").mkdir()
    Path("report/windows.jsonl").symlink_to("/dev/full")
    Path("report/summary.json").write_text("{}")
    code = main(["replay", "t.csv", "--monitors", "m.yaml", "--out", "report"])
    assert code == Exit.STORAGE
    assert capsys.readouterr().err == "inferwatch: report: No space left on device\n"
    assert not Path("report/summary.json").exists()


def test_times_of_a_range_are_iso_8601(folder, capsys):
    """With a zone or without, where it is UTC; anything else is exit 2 with an example."""
    assert time_ms("2023-11-14T22:13:20Z") == 1_700_000_000_000
    assert time_ms("2023-11-14T23:13:20+01:00") == 1_700_000_000_000
    assert time_ms("2023-11-14") == 1_699_920_000_000
    with pytest.raises(SystemExit) as ended:
        main(["replay", "topic", "--out", "report", "--since", "yesterday"])
    assert ended.value.code == Exit.USAGE
    assert "'yesterday' is no time; write 2026-01-31T12:00Z" in capsys.readouterr().err
