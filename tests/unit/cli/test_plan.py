"""`inferwatch plan`: what was expected stands beside what it will cost."""

import msgspec
import pytest

from inferwatch.cli.main import main
from inferwatch.config.estimate import Load
from inferwatch.errors import Exit


def test_what_was_expected_is_printed(capsys):
    """A cost without its load means nothing: that which was given, and what stands for the rest."""
    assert main(["plan", "--rows-per-s", "2500", "--features", "60"]) == Exit.DONE
    assert (
        "expected of each model, where options say nothing else: 2,500 rows a second, "
        "60 features, 10 values of segments, 2 versions at a time, "
        "10 classes where there are several\n" in capsys.readouterr().out
    )


def test_what_was_understood_is_printed(tmp_path, capsys):
    """Each check in words under its monitor, and what is seldom meant; none of it in JSON."""
    path = tmp_path / "m.yaml"
    path.write_text(
        'apiVersion: inferwatch/v1\nmatch: {model: "risk/*"}\nmodel: {task: binary}\n'
        "windows: {slow: {size: 1h}}\nchecks:\n"
        "  - {alert: Recall, metric: recall, when: {labels: 200}, fail: {drop: 5%}}\n"
        "  - {alert: Busy, metric: rows, warn: {above: 9000}}\n"
    )
    assert main(["plan", str(path)]) == Exit.DONE
    assert capsys.readouterr().out.splitlines()[:6] == [
        "monitors: 1; checks: 2",
        "risk/*",
        "  Recall: recall in slow: critical if it drops by more than 5% of the reference's; "
        "with 200 labels",
        "    note: Recall is judged at 200 labels, though more of its window's may come: "
        "add `coverage: 80%` to wait for them",
        "  Busy: rows in slow: warning if above 9,000",
        "",
    ]
    assert main(["plan", str(path), "--format", "json"]) == Exit.DONE
    assert "Recall" not in capsys.readouterr().out


def test_several_files_are_planned_together(tmp_path, capsys):
    """As a worker takes them; what is noted of one stands under it."""
    paths = [tmp_path / f"{name}.yaml" for name in ("a", "b")]
    for path in paths:
        path.write_text(
            f'apiVersion: inferwatch/v1\nmatch: {{model: "risk/{path.stem}"}}\nchecks:\n'
            "  - {alert: Apart, metric: features, method: lof, window: hour}\n"
        )
    assert main(["plan", *map(str, paths), "--features", "1311"]) == Exit.DONE
    said = capsys.readouterr().out.splitlines()
    assert (said[0], said[1], said[4]) == ("monitors: 2; checks: 2", "risk/a", "risk/b")
    for note in (said[3], said[6]):
        assert note.startswith("    note: Apart will always be unknown: inspectors read at most")


def test_what_is_not_joined_is_said_and_what_mends_it(tmp_path, capsys):
    """With the `pending_max` that is named all predictions are joined, and nothing is noted."""
    path = tmp_path / "m.yaml"
    text = 'apiVersion: inferwatch/v1\nmatch: {model: "risk/*"}\nmodel: {label_delay: 14d%s}\n'
    path.write_text(text % "")
    assert main(["plan", str(path)]) == Exit.DONE
    [note] = [line for line in capsys.readouterr().out.splitlines() if line[:5] == "note:"]
    assert note.startswith("note: 3.7% of the predictions of risk/* are joined with their labels")
    path.write_text(text % f", {note.split('`')[1]}")
    assert main(["plan", str(path)]) == Exit.DONE
    assert "note:" not in capsys.readouterr().out


def test_what_rows_carry_is_printed_and_costs(capsys):
    """Wide categories, embeddings, entities and calls of language models: more state, and said
    beside it.
    """
    wide = ["--categories", "3", "--embedding", "768", "--entities", "--llm"]
    totals = []
    for given in ([], wide):
        assert main(["plan", "--format", "json", *given]) == Exit.DONE
        totals.append(msgspec.json.decode(capsys.readouterr().out)["total_bytes"])
    assert totals[0] < totals[1]
    assert main(["plan", *wide]) == Exit.DONE
    said = ", 3 categories of more than 1,000 words, embeddings of 768 numbers, entities, calls of"
    told = capsys.readouterr().out
    assert f"{said} language models\n" in told
    assert "  note: no check looks at embeddings; in a monitor file of its own" in told


def test_help_says_what_stands_for_an_option_that_is_left_out(capsys):
    """Each default, which is that of `Load`."""
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    said = capsys.readouterr().out
    for option, value in (
        ("--rows-per-s N", Load().rows_per_s),
        ("--features N", Load().features),
        ("--segments N", Load().segments),
        ("--versions N", Load().versions),
        ("--classes N", Load().classes),
        ("--categories N", Load().categories),
        ("--embedding N", Load().embedding),
        ("--models N", 1),
    ):
        (line,) = (line for line in said.splitlines() if line.strip().startswith(option))
        assert line.endswith(f"; {value:g}")


@pytest.mark.parametrize(
    ("option", "number"),
    [
        *(("--rows-per-s", rate) for rate in ("0", "-1", "nan", "inf", "many")),
        ("--models", "0"),
        ("--versions", "0"),
        ("--features", "-3"),
        ("--embedding", "1.5"),
    ],
)
def test_a_number_that_is_none_is_refused(capsys, option, number):
    """What is no number of rows or models costs nothing that could be told; its option is named."""
    with pytest.raises(SystemExit) as ended:
        main(["plan", option, number])
    assert ended.value.code == Exit.USAGE
    assert f"argument {option}: '{number}' is no " in capsys.readouterr().err
    assert main(["plan", "--features", "0", "--segments", "0"]) == Exit.DONE
