"""`inferwatch score`: a table, a document for programs, and mistakes told in a sentence."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inferwatch.cli.main import main
from inferwatch.errors import Exit

START_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
windows: {w: {size: 10s}}
checks:
  - {alert: Wrong, metric: error_rate, fail: {above: 0.5}}
  - {alert: Never, metric: feature.amuont.mean, fail: {above: 5}, mode: observe}
"""
MAPPING = "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\nerror: error\n"
INCIDENTS = "model,from,to,name\nteam/*,2023-11-14T22:14:20Z,2023-11-14T22:14:40Z,all wrong\n"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The replay of 200 seconds, of which those from 60 to 80 and from 120 to 130 are wrong."""
    folder = tmp_path_factory.mktemp("score")
    wrong = {*range(60, 80), *range(120, 130)}
    rows = "".join(
        f"r{n},{START_MS + n * 1_000},1,{'timeout' if n in wrong else ''}\n" for n in range(200)
    )
    (folder / "t.csv").write_text("id,at,answer,error\n" + rows)
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "m.yaml").write_text(MONITORS)
    table, monitors, out = (str(folder / name) for name in ("t.csv", "m.yaml", "report"))
    assert main(["replay", table, "--monitors", monitors, "--out", out]) == Exit.DONE
    return Path(out)


def score(report, folder, capsys, text=INCIDENTS, *more, code=Exit.DONE):
    """What the command prints of the incidents in `text`."""
    path = folder / "i.csv"
    path.write_text(text)
    capsys.readouterr()
    assert main(["score", str(report), "--incidents", str(path), *more]) == code
    return capsys.readouterr()


def test_rules_and_incidents_are_tables(report, tmp_path, capsys):
    """One incident found, one false alarm, and a check that was never judged."""
    said = score(report, tmp_path, capsys)
    assert said.err == ""
    lines = [line.split() for line in said.out.splitlines()]
    assert said.out.startswith("1 incident, 0.0 weeks watched outside\n")
    assert lines[3][:5] == ["Never", "team/model", "0", "of", "1"]
    assert lines[4][:5] == ["Wrong", "team/model", "1", "of", "1"]
    assert lines[4][7:11] == ["2", "1", "0", "1"]
    assert lines[5][:6] == ["all", "that", "tell", "1", "of", "1"]
    assert "never judged: Never of team/model: no feature 'amuont'" in said.out
    assert "all wrong  team/model  2023-11-14 22:14  2023-11-14 22:14  Wrong" in said.out


def test_programs_read_one_document(report, tmp_path, capsys):
    """The same counts, and delays in milliseconds."""
    found = json.loads(score(report, tmp_path, capsys, INCIDENTS, "--format", "json").out)
    wrong = next(one for one in found["rules"] if one["alert"] == "Wrong")
    assert (wrong["found"], wrong["right"], wrong["false"]) == (1, 1, 1)
    [incident] = found["incidents"]
    assert incident["name"] == "all wrong" and incident["place"].endswith("i.csv:2")
    assert incident["found"] == [{"alert": "Wrong", "delay_ms": wrong["delay_worst_ms"]}]
    graced = json.loads(
        score(report, tmp_path, capsys, INCIDENTS, "--grace", "1m", "--format", "json").out
    )
    assert graced["together"]["false"] == 0


def test_a_page_shows_the_tables_and_each_firing(report, tmp_path, capsys):
    """Well-formed, of one file, names escaped; each firing by what it was, each incident."""
    path = tmp_path / "page.html"
    text = INCIDENTS.replace("all wrong", "<b>all</b> & wrong")
    said = score(report, tmp_path, capsys, text, "--html", str(path))
    assert said.out.startswith("1 incident")
    page = path.read_text()
    found = ElementTree.fromstring(page.removeprefix("<!doctype html>\n"))
    marks = [one.attrib["class"] for one in found.iter("rect")]
    assert marks == ["incident", "right", "false"]
    assert all(0 < float(one.attrib["width"]) < 1_000 for one in found.iter("rect"))
    cells = [one.text for one in found.iter("td")]
    assert {"Wrong", "1 of 1", "<b>all</b> & wrong"} <= set(cells)
    assert "http" not in page and "src=" not in page
    lost = str(tmp_path / "no" / "page.html")
    said = score(report, tmp_path, capsys, text, "--html", lost, code=Exit.USAGE)
    assert "page.html cannot be written: " in said.err
    if Path("/dev/full").exists():
        said = score(report, tmp_path, capsys, text, "--html", "/dev/full", code=Exit.STORAGE)
        assert "No space left on device: '/dev/full'" in said.err


def test_what_is_not_scored_is_named(report, tmp_path, capsys):
    """Beside what is; and where nothing is left, it is a mistake."""
    typo = "team/modle,2023-11-14T22:14:20Z,,\n"
    said = score(report, tmp_path, capsys, INCIDENTS + typo)
    assert said.err == (
        f"inferwatch: {tmp_path / 'i.csv'}:3: not scored: 'team/modle' is no model of {report} "
        "(did you mean 'team/model'?)\n"
    )
    slips = "model,from,version,segment\n*,2023-11-14T22:14:20Z,%s,%s\n*,2023-11-14T22:14:20Z,,\n"
    said = score(report, tmp_path, capsys, slips % ("v9", ""))
    assert f"i.csv:2: not scored: no window of {report} is of version 'v9'\n" in said.err
    said = score(report, tmp_path, capsys, slips % ("", "a=b"))
    assert f"only alerts on all rows can find it: no window of {report} is of seg" in said.err
    wrung = "model,from,alert\n*,2023-11-14T22:14:20Z,Wrung\n*,2023-11-14T22:14:20Z,Wr*\n"
    said = score(report, tmp_path, capsys, wrung)
    assert said.err == (
        f"inferwatch: {tmp_path / 'i.csv'}:2: no rule should find it: "
        f"'Wrung' is no alert of {report}\n"
    )
    said = score(report, tmp_path, capsys, "model,from,to,name\n" + typo, code=Exit.USAGE)
    assert said.out == "" and "i.csv:2: 'team/modle' is no model" in said.err
