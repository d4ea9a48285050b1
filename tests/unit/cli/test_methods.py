"""`inferwatch methods`: every method there is, each with what it needs, keeps, costs and takes."""

import inspect
import json
import re
from pathlib import Path

import pytest

from inferwatch import detectors
from inferwatch.cli.main import main
from inferwatch.config import checks, methods
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import ROW_METHODS, STREAMS

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"
FOUND = methods.every()


def of(used):
    """The lines of one use."""
    return [one for one in FOUND if one.used == used]


def test_no_method_is_left_out():
    """What a monitor file may name, twice what reads rows and windows; every detector by each of
    its names, once.
    """
    both = [name for name in ROW_METHODS if name in SERIES_METHODS]
    assert sorted(one.name for one in of("check")) == sorted([*checks.METHODS, *both])
    assert sorted(one.name for one in of("detector")) == sorted(
        [*detectors.methods(), *detectors.DEFAULTS]
    )


@pytest.mark.parametrize("one", FOUND, ids=[f"{one.name} {one.used}" for one in FOUND])
def test_each_says_all_there_is_to_say(one):
    """Purpose, source, what it needs, and what it costs, where it costs anything of its own."""
    assert one.finds and one.source and one.needs >= 1
    free = one.name in ("value", "absent")
    assert (one.cost_ns > 0) is (one.state_bytes > 0) is not free


def test_parameters_are_those_that_are_taken():
    """With their defaults: of checks by the parser of monitor files, of detectors by the class."""
    for one in of("check"):
        metric = {"value": "rows", "absent": "traffic"}.get(one.name, "rows")
        if one.name in ROW_METHODS and one.of == "rows":
            metric = next(iter(STREAMS[one.name]))
            metric = "feature.x" if metric == "feature" else metric
        assert one.params == checks._allowed(one.name, metric)[0], one.name
    for one in of("detector"):
        taken = inspect.signature(type(detectors.make(one.name))).parameters
        assert one.params == {name: given.default for name, given in taken.items()}


def test_rows_needed_are_those_of_the_page():
    """Of methods that read rows, docs/methods.md has the number too."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Change of level")[1].split("\n## ")[0]
    for one in of("check"):
        if one.name in ROW_METHODS and one.of == "rows":
            (line,) = re.findall(rf"^\| `{one.name}` \|.*$", section, re.MULTILINE)
            assert line.split("|")[3].strip().startswith(f"{one.needs:,} ")


def test_a_table_for_people_and_lines_for_programs(capsys):
    """Two tables, monitor files first; a line of JSON a method."""
    assert main(["methods"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.startswith("`method` of a check") and len(first.splitlines()) == 2 + len(
        of("check")
    )
    assert second.startswith("`inferwatch detect`")
    assert re.search(r"^psi  .*10 µs a column and window", first, re.MULTILINE)
    assert re.search(r"^lof +200 rows +0.15 s a window", first, re.MULTILINE)
    assert re.search(r"^mad  .*threshold 7.5, floor 0.1", second, re.MULTILINE)
    assert main(["methods", "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["name"] for one in lines] == [one.name for one in FOUND]
