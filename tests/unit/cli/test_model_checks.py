"""`inferwatch models MODEL`: which of its checks were never judged, by its newest checkpoint."""

import json
import re

import numpy as np
import pytest

from inferwatch.cli import states, windows
from inferwatch.cli.main import main
from inferwatch.core import snapshot
from inferwatch.errors import Exit
from inferwatch.records.definition import Check, Definition, Limit, Need, Window
from inferwatch.records.raw import RawRecord
from inferwatch.replay import unjudged
from inferwatch.runtime import checkpoint
from inferwatch.testing.folding import Log

MODEL = "team/model"


def check(alert: str, metric: str, need: int = 0) -> Check:
    """A check of the one window that there is."""
    limit = Limit(direction="above", value=9.0, clear=9.0)
    return Check(alert=alert, metric=metric, window="w", fail=limit, need=Need(rows=need))


CHECKS = [check("Rows", "rows"), check("Many", "rows", 50), check("Typo", "feature.agee.missing")]
WINDOW = Window(name="w", size_ms=60_000, step_ms=60_000)


def folded(*versions: str, rows: int = 20, checks: list[Check] = CHECKS) -> Log:
    """A model with one closed window a version."""
    log = Log(Definition(windows=[WINDOW], checks=checks))
    for number, version in enumerate(versions):
        log.rows(rows, number * 1_000, version=version, numeric={"age": [1.0] * rows})
    log.tick(600_000)
    return log


def written(log: Log, name: str = MODEL, writer: str = "w") -> list[tuple[bytes, bytes | None]]:
    """Its checkpoint as records."""
    model = log.partition.models[MODEL]
    cut = checkpoint.cut(name, model.offset, snapshot.cut(model), None, writer)
    marker = checkpoint.marker_record(model.offset, {name: model.offset}, writer)
    return [*cut.chunks, cut.record, marker]


class Topic:
    """Records in the place of a topic of one partition."""

    def __init__(self, records) -> None:
        self.records = records

    def __call__(self, connection, name):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Nothing is open."""

    def partitions(self):
        return [0]

    def ends(self, partition):
        return 0, len(self.records)

    def read(self, partition, start, end):
        for offset, (key, value) in enumerate(self.records):
            yield RawRecord("topic", partition, offset, 0, key, value, {})


@pytest.fixture
def show(monkeypatch, capsys):
    """What the command prints about a model, by its windows and a state topic."""

    def shown(log: Log, records, *options: str, name: str = MODEL, code: Exit = Exit.DONE):
        published = [(b"k", output.value) for output in log.outputs if output.kind == "window"]
        monkeypatch.setattr(windows, "LogReader", Topic(published))
        monkeypatch.setattr(states, "LogReader", Topic(records))
        assert main(["models", name, "--bootstrap-server", "kafka:9092", *options]) == code
        return capsys.readouterr()

    return shown


def test_what_was_never_judged_is_told_with_its_reason(show):
    """Below the lines of the model; who was judged is counted only."""
    log = folded("1")
    assert show(log, written(log)).out.split("\n\n")[1].splitlines() == [
        "version 1: 3 checks, 2 never judged:",
        "  Many  20 rows of 50",
        "  Typo  no feature 'agee'; did you mean 'age'?",
    ]
    log = folded("1", checks=CHECKS[:1])
    assert show(log, written(log)).out.endswith("\nversion 1: 1 check, each was judged\n")


def test_each_version_is_told_by_itself_while_it_lives(show):
    """What another version was judged by is no comfort; a retired one has no alerts any more."""
    log = Log(Definition(windows=[WINDOW], checks=CHECKS[:2]))
    for number, (version, rows) in enumerate({"1": 60, "2": 20, "3": 60}.items()):
        log.rows(rows, number * 1_000, version=version)
    log.tick(600_000)
    log.partition.models[MODEL].state.retired.append("3")
    lines = show(log, written(log)).out.splitlines()
    assert "version 1: 2 checks, each was judged" in lines
    assert "version 2: 2 checks, 1 never judged:" in lines
    assert not any(line.startswith("version 3") for line in lines)


def test_lines_for_programs_hold_the_same(show):
    """Nothing in those of a version that the checkpoint does not have."""
    log = folded("1", "2")
    log.partition.models[MODEL].state.seen.pop("2")
    first, second = map(json.loads, show(log, written(log), "--format", "json").out.splitlines())
    assert (first["checks"], list(first["unjudged"])) == (3, ["Many", "Typo"])
    assert (second["checks"], second["unjudged"]) == (None, None)


def test_the_newest_checkpoint_of_the_model_alone_speaks(show):
    """Whoever wrote it; other models of the partition and records of no model are passed over."""
    old, new = folded("1"), folded("1", rows=60)
    other = folded("1", checks=[])
    new.tick(700_000)
    records = [*written(new, writer="b"), *written(other, "team/other"), *written(old, writer="a")]
    records += [(b"k|7|w", b"skip"), (b"a|w", b"rubbish")]
    assert "version 1: 3 checks, 1 never judged:\n" in show(old, records).out


def test_a_model_without_a_checkpoint_has_its_lines_all_the_same(show):
    """A damaged one is told; of a name that nobody sends the likely one is."""
    log = folded("1")
    assert len(show(log, []).out.splitlines()) == 2
    records = written(log)
    records[-2] = (records[-2][0], b"rubbish of more than sixteen bytes")
    said = show(log, records)
    assert len(said.out.splitlines()) == 2 and "the checkpoint of team/model: a root" in said.err


def test_a_name_that_no_model_has_is_a_mistake(show):
    """In lines for programs too, which would say nothing; one that has no window yet is there."""
    log = folded("1")
    for options in ((), ("--format", "json")):
        said = show(log, [], *options, name="team/modl", code=Exit.USAGE)
        assert said.out == "" and said.err == (
            "inferwatch: there is no model team/modl: no window and no checkpoint is of it; "
            "did you mean 'team/model'?\n"
        )
    records = written(log, "team/new")
    log.outputs.clear()
    said = show(log, records, name="team/new")
    assert said.out.startswith("no window has closed yet; the first of the default ones takes a m")
    assert "version 1: 3 checks" in said.out
    records[-2] = (records[-2][0], b"rubbish of more than sixteen bytes")
    said = show(log, records, name="team/new", code=Exit.USAGE)
    assert "no window of team/new has closed yet" in said.err
    said = show(log, [], name="team/x", code=Exit.USAGE)
    assert said.err.endswith("is of it; no model has any yet\n")


def test_embeddings_that_no_check_looks_at_are_told(show):
    """With the lines that would; without embeddings, or with such a check, nothing is."""
    unseen = "no check looks at embeddings; under `checks:` in its monitor file, they are watched"
    missing = check("Gaps", "embedding.missing")
    for checks, vectors, told in (
        (CHECKS, True, True),
        (CHECKS, False, False),
        ([*CHECKS, missing], True, False),
    ):
        log = Log(Definition(windows=[WINDOW], checks=checks))
        log.rows(20, 0, embedding=np.ones((20, 3), np.float32) if vectors else None)
        log.tick(600_000)
        said = show(log, written(log)).out
        assert (unseen in said, "    method: sliced_wasserstein\n" in said) == (told, told)


def test_a_comparison_of_versions_is_told_where_nothing_fires(show):
    """Both figures and the interval of each check, or what it still lacks; in lines for programs
    the same.
    """
    limit = Limit(direction="rise", value=0.5, clear=0.5)
    errors = Check(alert="Worse", metric="error_rate", window="w", fail=limit, versus="previous")
    slow = Check(alert="Slower", metric="latency.mean", window="w", fail=limit, versus="previous")
    log = Log(Definition(windows=[WINDOW], checks=[errors, slow]))
    for minute in range(6):
        for number, version in enumerate(("1", "2")):
            failed = ["x"] * (20 + 20 * number) + [None] * (80 - 20 * number)
            log.rows(100, minute * 60_000 + number, version=version, error=failed)
    first, second = show(log, written(log)).out.split("version 2:")
    assert "surely" not in first
    worse, slower = (re.split("  +", line) for line in second.splitlines()[-2:])
    assert worse[1:3] == ["Worse", "0.4 against 0.2 of v1 in 4 windows of both"]
    assert slower[1:3] == ["Slower", "against v1"]
    assert slower[-1] == "unknown: no window of both versions"
    *_, line = show(log, written(log), "--format", "json").out.splitlines()
    versus = json.loads(line)["versus"]["Worse"]
    assert (versus["version"], versus["windows"], versus["rows"]) == ("1", 4, 400)
    assert versus["low"] < 0.2 < versus["high"]


def test_a_glance_is_what_the_whole_state_says():
    """The four pieces that are read alone give what all of them give."""
    log = folded("1", "2")
    model = log.partition.models[MODEL]
    model.dump_detectors()
    seen = snapshot.glance({name: data for name, data in snapshot.cut(model).items() if data})
    for version in (None, "1", "2"):
        assert unjudged.reasons(seen, version) == unjudged.reasons(model.state, version)
