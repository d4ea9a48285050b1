"""`inferwatch reference`: what is compared with what, and an operator's word on it."""

import json

import pytest

from inferwatch.cli import states, windows
from inferwatch.cli.main import main
from inferwatch.errors import Exit
from inferwatch.records.decode import decode
from inferwatch.records.events import ReferenceChange
from inferwatch.records.outputs import ComparedWith, Span, WindowRecord
from inferwatch.replay import append

T0 = 1_700_000_000_000
SERVER = ["--bootstrap-server", "kafka:9092"]
LEARNT = ComparedWith(kind="learnt", name="first 5000 rows", rows=5_000, from_ms=T0, to_ms=T0 + 1)
LEARNING = ComparedWith(
    kind="learning",
    rows=1_200,
    from_ms=T0,
    to_ms=T0 + 1_200_000,
    min_rows=5_000,
    min_span_ms=3_600_000,
    author="ada",
    comment="a new market",
    changed_ms=T0,
)
PROFILE = ComparedWith(kind="profile", name="training", rows=9, from_ms=T0, to_ms=T0 + 1)


def window(version, reference, **more):
    """The newest window of a version."""
    return WindowRecord(
        id=version,
        model="team/a",
        version=version,
        window=Span(name="w", start=T0, end=T0 + 60_000),
        reference=reference,
        **more,
    )


@pytest.fixture
def run(monkeypatch, capsys):
    """What the command prints about these windows, its code, and what it puts into the log."""

    def ran(*arguments, found=None, code=Exit.DONE, state=None):
        sent = []
        monkeypatch.setattr(states, "read", lambda there, model: state)
        found = [window("1", LEARNT), window("2", LEARNING)] if found is None else found
        monkeypatch.setattr(
            windows,
            "read",
            lambda there, model="": (one for one in found if model in ("", one.model)),
        )
        monkeypatch.setattr(append, "send", lambda there, records: sent.extend(records))
        assert main(["reference", *arguments, *SERVER]) == code
        return capsys.readouterr(), sent

    return ran


def test_each_version_says_what_it_is_compared_with(run):
    """Rows and span, of one that learns so far and asked for; who reset it, and why."""
    said, sent = run("show", "team/a")
    heads, first, second = said.out.splitlines()
    assert heads.split()[:3] == ["VERSION", "REFERENCE", "ROWS"]
    assert first.split()[:3] == ["1", "learnt", "5,000"]
    assert "1,200 of 5,000, 0:20:00 of 1:00:00" in second
    assert "ada" in second and second.endswith("a new market") and sent == []
    said, _ = run("show", "team/a", found=[window("1", PROFILE)])
    assert said.out.splitlines()[1].split()[1:4] == ["profile", "training", "9"]


def test_limits_that_checks_have_found_are_shown(run):
    """Of the newest windows, each definition's and segment's, with two digits more than enough."""
    found = [
        window("1", LEARNT, limits={"Drift a": 0.5}),
        window("1", LEARNT, limits={"Drift a": 0.123456, "Drift b": 0.25}),
        window("1", None, limits={"Local a": 0.75}, segment="country=DE"),
        window("2", LEARNING),
    ]
    said, _ = run("show", "team/a", found=found)
    assert said.out.splitlines()[3:] == [
        "calibrated limits of 1: Drift a 0.123, Drift b 0.25, Local a country=DE 0.75"
    ]
    said, _ = run("show", "team/a", "--format", "json", found=found)
    assert json.loads(said.out.splitlines()[0])["limits"]["Drift a"] == 0.123456


def test_one_that_cannot_move_along_says_so(run):
    """Since when, how many rows there were, how many are asked for, and what to do."""
    held = ComparedWith(kind="rolling", rows=9, to_ms=T0, held_ms=T0, held_rows=40, min_rows=5_000)
    said, _ = run("show", "team/a", found=[window("1", held), window("2", LEARNT)])
    (line,) = said.out.splitlines()[3:]
    assert line.startswith("1 has not moved along since 2023-11-14 22:13 UTC: its last span had 40")
    assert "40 of 5,000 rows" in line and "min_rows" in line


def test_programs_read_a_line_a_version(run):
    """The fields of the window's record, with the version."""
    said, _ = run("show", "team/a", "--version", "2", "--format", "json")
    (line,) = said.out.splitlines()
    found = json.loads(line)
    assert (found["version"], found["kind"], found["min_rows"]) == ("2", "learning", 5_000)


@pytest.mark.parametrize("action", ["accept", "reset"])
def test_a_word_is_a_record_that_the_fold_reads(run, action):
    """By the model's key, with who, why and when."""
    words = ("--version", "2", "--author", "ada", "--comment", "a new market")
    said, (raw,) = run(action, "team/a", *words)
    assert said.out.startswith(f"{action} is in the log of team/a")
    decoded = decode(raw)
    assert decoded.rejects == () and raw.key == b"team/a"
    change = decoded.record
    assert isinstance(change, ReferenceChange) and change.time_ms > T0
    assert (change.action, change.version) == (action, "2")
    assert (change.author, change.comment) == ("ada", "a new market")


def test_a_word_about_nothing_is_not_sent(run):
    """A model or version that has no window, and a profile, which is not learnt."""
    said, sent = run("reset", "team/a", found=[], code=Exit.USAGE)
    assert "there is no model team/a: no window and no" in said.err and sent == []
    said, sent = run("accept", "team/a", "--version", "9", code=Exit.USAGE)
    assert "no window of version 9 of team/a" in said.err and sent == []
    said, sent = run("accept", "team/b", code=Exit.USAGE)
    assert "there is no model team/b: " in said.err and sent == []
    assert said.err.endswith("; did you mean 'team/a'?\n")
    said, _ = run("show", "payments/other", code=Exit.USAGE)
    assert "did you mean" not in said.err and "see `inferwatch models`" in said.err
    said, sent = run("show", "team/new", state=object(), code=Exit.USAGE)
    assert "no window of team/new has closed yet; the first of the default ones takes" in said.err
    said, sent = run("reset", "team/a", found=[window("1", PROFILE)], code=Exit.USAGE)
    assert "compared with the profile 'training'" in said.err and sent == []
