"""`inferwatch tune`: a table or lines of limits, and slips that are told before the replay."""

import json
from pathlib import Path

import pytest

from inferwatch.cli.main import main
from inferwatch.errors import Exit

START_MS = 1_700_000_000_000
FILES = {
    "mapping.yaml": "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\n"
    "error: error\n",
    "m.yaml": 'apiVersion: inferwatch/v1\nmatch: {model: "team/*"}\nwindows: {w: {size: 10s}}\n'
    "checks:\n  - {alert: Wrong, metric: error_rate, fail: {above: 0.6}}\n"
    "  - {alert: Silent, metric: traffic, method: absent, for: 10m}\n",
    "i.csv": "model,from,to\nteam/model,2023-11-14T22:14:20Z,2023-11-14T22:14:40Z\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """200 seconds: from 60 to 80 all is wrong, from 120 to 130 half."""
    monkeypatch.chdir(tmp_path)
    wrong = {*range(60, 80), *range(120, 130, 2)}
    rows = "".join(
        f"r{n},{START_MS + n * 1_000},1,{'timeout' if n in wrong else ''}\n" for n in range(200)
    )
    for name, text in {**FILES, "t.csv": "id,at,answer,error\n" + rows}.items():
        Path(name).write_text(text)
    return tmp_path


WORDS = ["tune", "t.csv", "--monitors", "m.yaml", "--out", "out", "--alert", "Wrong"]


def test_each_limit_is_a_line(folder, capsys):
    """Its own first; a lower one has the false alarm, however it is written; none comes twice."""
    words = [*WORDS, "--incidents", "i.csv", "--limits", "0.3", "30%", "0.9", "0.3"]
    assert main(words) == Exit.DONE
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["LIMIT", "MODEL", "FOUND"]
    assert [line.split()[0] for line in lines] == ["its", "0.3", "30%", "0.9"]
    assert [line.split()[-2] for line in lines] == ["0", "1", "1", "0"]
    assert all("1 of 1" in line for line in lines)


def test_programs_read_a_line_a_limit(folder, capsys):
    """Without incidents all that fires is false; grace may take some in."""
    assert main([*WORDS, "--limits", "0.3", "--format", "json"]) == Exit.DONE
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["limit"], one["score"]["false"]) for one in found] == [("", 1), ("0.3", 2)]
    words = [*WORDS, "--limits", "0.3", "--incidents", "i.csv", "--grace", "1m"]
    assert main([*words, "--format", "json"]) == Exit.DONE
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["score"]["false"] for one in found] == [0, 0]


def test_incidents_that_are_not_scored_are_told(folder, capsys):
    """As `score` tells them: beside what is scored, or as a mistake where nothing is."""
    typo = "team/modle,2023-11-14T22:14:20Z,\n"
    words = [*WORDS, "--incidents", "i.csv", "--limits", "0.3"]
    Path("i.csv").write_text(FILES["i.csv"] + typo)
    assert main(words) == Exit.DONE
    assert "i.csv:3: not scored: 'team/modle' is no model of out" in capsys.readouterr().err
    Path("i.csv").write_text("model,from,to\n" + typo)
    assert main(words) == Exit.USAGE
    assert (
        "i.csv:2: 'team/modle' is no model of out (did you mean 'team/model'?), and no"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("alert", "limit", "says"),
    [
        (
            "wrong",
            "0.3",
            "--alert wrong is no check of --monitors; did you mean 'Wrong'? allowed: ",
        ),
        ("Wrong", "2", "--limits 2: 'error_rate' is from 0 to 1, so `above: 2` never fires"),
        ("Silent", "2", "Silent has no limit to try others in the place of"),
    ],
)
def test_a_slip_is_told_before_the_replay(folder, capsys, alert, limit, says):
    """Exit 2, and no folder is written."""
    assert main([*WORDS[:-1], alert, "--limits", limit]) == Exit.USAGE
    assert capsys.readouterr().err.startswith(f"inferwatch: {says}")
    assert not Path("out").exists()


def test_rules_must_be_named(folder, capsys):
    """A topic's recorded rules change on the way, the default set has none of yours."""
    words = [word for word in WORDS if word not in ("--monitors", "m.yaml")]
    assert main([*words, "--limits", "0.3"]) == Exit.USAGE
    assert "--monitors is needed" in capsys.readouterr().err


def test_a_file_that_matches_no_model_is_told(folder, capsys):
    """Its check was tried on nothing; a table of no line would not say why."""
    Path("m.yaml").write_text(FILES["m.yaml"].replace("team/*", "taem/*"))
    assert main([*WORDS, "--limits", "0.3"]) == Exit.DONE
    said = capsys.readouterr()
    assert said.out == "no model has it\n"
    assert said.err.endswith(
        "m.yaml: 'taem/*' matches no model of this log; watched by the default set: team/model\n"
    )
