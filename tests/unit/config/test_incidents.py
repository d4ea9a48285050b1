"""Incident files: CSV and YAML say the same, and each mistake is named with its place and fix."""

import pytest

from inferwatch.config import incidents
from inferwatch.config.incidents import Incident
from inferwatch.errors import ConfigError

NOON_MS = 1_769_860_800_000  # 2026-01-31 12:00 UTC
HOUR_MS = 3_600_000
CSV = """\ufeffmodel,from,to,alert,version,segment,name

risk/*,2026-01-31T12:00Z,2026-01-31 14:00:00,Recall*,1.10,country=DE,"fraud, DE"
risk/fraud,2026-01-31T14:00+01:00,,,,,
"""
YAML = """\
incidents:
  - {model: risk/*, from: 2026-01-31T12:00Z, to: 2026-01-31 14:00:00, alert: Recall*,
     version: "1.10", segment: country=DE, name: "fraud, DE"}
  - model: risk/fraud
    from: 2026-01-31T14:00:00+01:00
"""


def read(folder, name, text):
    """The incidents of a file that holds `text`."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return incidents.read(path)


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("i.csv", CSV, ("3", "4")),
        ("i.yaml", YAML, ("2 incidents[0]", "4 incidents[1]")),
    ],
)
def test_both_formats_say_the_same(tmp_path, name, text, places):
    """Globs, times with and without a zone, an incident that lasts; what is empty is not said."""
    first, second = read(tmp_path, name, text)
    assert first == Incident(
        place=f"{tmp_path / name}:{places[0]}",
        model="risk/*",
        from_ms=NOON_MS,
        to_ms=NOON_MS + 2 * HOUR_MS,
        alert="Recall*",
        version="1.10",
        segment="country=DE",
        name="fraud, DE",
    )
    assert second == Incident(
        place=f"{tmp_path / name}:{places[1]}", model="risk/fraud", from_ms=NOON_MS + HOUR_MS
    )


def test_a_date_is_its_first_moment(tmp_path):
    """In YAML, which reads dates itself, as in CSV."""
    [yaml] = read(tmp_path, "i.yml", "incidents: [{model: a/b, from: 2026-01-31}]")
    [csv] = read(tmp_path, "i.csv", "model,from\na/b,2026-01-31\n")
    assert yaml.from_ms == csv.from_ms == NOON_MS - 12 * HOUR_MS


def test_incidents_in_one_line_have_each_their_place(tmp_path):
    """What is said of one is not taken for a word about the other."""
    listed = "incidents: [{model: a, from: 2026-01-31}, {model: b, from: 2026-01-31}]"
    one, other = read(tmp_path, "i.yaml", listed)
    assert one.place != other.place


def test_a_cell_may_have_lines(tmp_path):
    """Their words stay apart, and what follows has its own line."""
    text = 'model,from,name\na,2026-01-31,"two\nlines"\nb,2026-01-31,\n'
    first, second = read(tmp_path, "i.csv", text)
    assert first.name == "two\nlines" and second.place.endswith(":4")


@pytest.mark.parametrize("text", ["model,from\n", "model,from,to\n\n"])
def test_a_quiet_time_has_no_incident(tmp_path, text):
    """A file of none is one: all that fires is false."""
    assert read(tmp_path, "i.csv", text) == []
    assert read(tmp_path, "i.yaml", "incidents: []") == []


MISTAKES = {
    "": ":1: is empty (begin with model,from,to",
    "\n \n": ":1: is empty (begin with model,from,to",
    "model,form\n": ":1: unknown column 'form' (did you mean 'from'? allowed: ",
    "model;from;to\n": ":1: unknown column 'model;from;to' (put commas between columns)",
    "model,to\n": ":1: column 'from' is missing (begin with model,from,to",
    "model,from,from\n": ":1: column 'from' is there twice (leave one of the two out)",
    "model,from\na/b\n": ":2: 'from' is empty (fill it in)",
    "model,from\n,2026-01-31\n": ":2: 'model' is empty (fill it in)",
    "model,from\na/b,soon\n": ":2: from: 'soon' is no time (write 2026-01-31T12:00Z; ",
    "model,from\na/b,9999-12-31T23:00-02:00\n": ":2: from: '9999-12-31 23:00:00-02:00' lies out",
    "model,from\na/b,2026-01-31,x\n": ":2: has 3 cells of 2 (quote a cell with commas)",
    'model,from\n"a,2026\n': ":2: not CSV: ",
    "model,from,to\na,2026-01-31,2026-01-31\n": ":2: to: does not lie behind `from`",
    "model,from,segment\na,2026-01-31,DE\n": ":2: segment: is no segment (write column=value",
}


SLIPS = {
    "incident: []": ":1: incident: unknown key (did you mean 'incidents'? ",
    "incidents: {}": ":1: incidents: expected a list",
    "incidents:\n  - {model: a}": ":2: incidents[0]: 'from' is missing (add `from:`)",
    "incidents:\n  - {model: a, from: 12}": ":2: incidents[0].from: 12 is no time",
    "incidents:\n  - {model: a, from: 2026-01-31, version: 1.1}": "is a number where a word is",
}


@pytest.mark.parametrize(
    ("file", "text"), [("i.csv", one) for one in MISTAKES] + [("i.yaml", one) for one in SLIPS]
)
def test_a_mistake_is_named_with_its_place_and_fix(tmp_path, file, text):
    """The line of a CSV file, the key of a YAML file as in monitor files."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, file, text)
    told = str(caught.value)
    if file == "i.csv":
        assert f"{tmp_path / file}{MISTAKES[text]}" in told
    else:
        assert SLIPS[text] in told


def test_a_file_that_is_not_there_or_no_text_is_a_sentence(tmp_path):
    """Both formats; a name without an ending is read as YAML."""
    for name in ("no.csv", "no.yaml"):
        with pytest.raises(ConfigError, match=r"no\.\w+: cannot be read: "):
            incidents.read(tmp_path / name)
    (tmp_path / "b.csv").write_bytes(b"model,from\n\xff\xfe,\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        incidents.read(tmp_path / "b.csv")
