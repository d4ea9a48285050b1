"""`inferwatch compare`: tables and an exit code for CI, a document for programs."""

import json

import pytest

from inferwatch.cli.main import main
from inferwatch.errors import Exit

START_MS = 1_700_000_000_000
MAPPING = "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\nerror: error\n"
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
windows: {w: {size: 10s}}
checks:
  - {alert: Wrong, metric: error_rate, fail: {above: LIMIT}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Replays of 200 seconds, of which some are all wrong and some half: by a low and a high limit,
    and by the low one of rows of which one is another.
    """
    folder = tmp_path_factory.mktemp("compare")
    (folder / "mapping.yaml").write_text(MAPPING)
    wrong = {*range(60, 80), *range(120, 130, 2)}
    for table, more in (("t", set()), ("u", {185})):
        rows = "".join(
            f"r{n},{START_MS + n * 1_000},1,{'timeout' if n in wrong | more else ''}\n"
            for n in range(200)
        )
        (folder / f"{table}.csv").write_text("id,at,answer,error\n" + rows)
    for out, table, limit in (("low", "t", 0.3), ("high", "t", 0.7), ("other", "u", 0.3)):
        (folder / "m.yaml").write_text(MONITORS.replace("LIMIT", str(limit)))
        named = [str(folder / name) for name in (f"{table}.csv", "m.yaml", out)]
        assert main(["replay", named[0], "--monitors", named[1], "--out", named[2]]) == Exit.DONE
    return folder


def compared(folder, capsys, a, b, *more, code=Exit.DONE):
    """What the command prints."""
    capsys.readouterr()
    assert main(["compare", str(folder / a), str(folder / b), *more]) == code
    return capsys.readouterr().out


def test_a_replay_is_like_itself(folder, capsys):
    """Exit 0, and a line that says so."""
    said = compared(folder, capsys, "low", "low").splitlines()
    assert said[0] == f"A {folder / 'low'}"
    assert said[-1] == "no difference"
    assert said[4].split()[:6] == ["Wrong", "team/model", "2", "0", "0", "0"]


def test_a_firing_in_one_alone_is_a_finding(folder, capsys):
    """Exit 1; when it fired stands in A's columns or in B's, and no window is another."""
    said = compared(folder, capsys, "low", "high", code=Exit.FINDINGS)
    assert "Wrong  team/model  1     0      1       0" in said
    assert "2023-11-14 22:15  2023-11-14 22:15" in said
    assert "19 windows in both, 0 of them with other figures; 0 only in A, 0 only in B" in said
    mirrored = compared(folder, capsys, "high", "low", code=Exit.FINDINGS)
    assert "Wrong  team/model  1     0      0       1" in mirrored


def test_another_figure_is_a_finding(folder, capsys):
    """Exit 1; the window and its figures are named."""
    said = compared(folder, capsys, "low", "other", code=Exit.FINDINGS)
    assert "19 windows in both, 1 of them with other figures" in said
    assert "  team/model v1 w 2023-11-14 22:16–2023-11-14 22:16: " in said
    assert "no difference" not in said


def test_programs_read_one_document(folder, capsys):
    """Firings with both sides, null where there is none."""
    told = compared(folder, capsys, "low", "high", "--format", "json", code=Exit.FINDINGS)
    found = json.loads(told)
    assert found["rules"][0]["only_a"] == 1 and found["windows"]["same"] == 19
    assert [one["b"] is None for one in found["firings"]] == [False, True]


def test_replays_of_other_models_are_told(folder, capsys):
    """What fires in either fires in one alone, which says nothing of the rules."""
    (folder / "mapping.yaml").write_text(MAPPING.replace("team/model", "team/other"))
    out = str(folder / "apart")
    assert main(["replay", str(folder / "t.csv"), "--out", out]) == Exit.DONE
    capsys.readouterr()
    assert main(["compare", str(folder / "low"), out]) == Exit.FINDINGS
    said = capsys.readouterr().err
    assert said == f"inferwatch: no model is in both {folder / 'low'} and {out}\n"


def test_a_folder_that_is_no_replay_is_a_sentence(folder, capsys):
    """Exit 2, which is neither like nor unlike."""
    assert main(["compare", str(folder / "low"), str(folder)]) == Exit.USAGE
    assert "holds no whole replay" in capsys.readouterr().err
