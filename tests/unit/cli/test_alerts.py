"""`inferwatch alerts`: what is open, one alert's history, and every transition as it comes."""

import json

import pytest

from inferwatch import alerts as reader
from inferwatch.cli.main import main
from inferwatch.errors import Exit
from inferwatch.records.outputs import canonical
from inferwatch.testing.alerts import alert_record

SERVER = ["--bootstrap-server", "kafka:9092"]
OPEN = alert_record(id="aa11", fingerprint="f00d1111", seq=2, condition="firing")
EARLIER = alert_record(id="aa10", fingerprint="f00d1111", seq=1, condition="pending", previous="ok")
OTHER = alert_record(
    id="bb22", fingerprint="f00e2222", alert="Silent", condition="no_data", flags=["silenced"]
)


@pytest.fixture
def told(monkeypatch):
    """Puts transitions on the topic; gives the calls that read it."""
    calls = []

    def put(*records):
        def read(connection, **how):
            calls.append(how)
            yield from records

        monkeypatch.setattr(reader, "read", read)
        return calls

    return put


def run(capsys, *arguments: str, code: int = Exit.DONE):
    """What the command prints."""
    assert main(["alerts", *arguments, *SERVER]) == code
    return capsys.readouterr()


def test_what_is_open_is_a_table(told, capsys):
    """One line an alert with the beginning of its id; nothing open is said."""
    told(EARLIER, OPEN, OTHER)
    head, first, second = run(capsys).out.splitlines()
    assert head.split()[0] == "ID" and first.split()[:2] == ["f00d1111", "firing"]
    assert second.split()[:3] == ["f00e2222", "no_data", "silenced"]
    told()
    assert run(capsys).out == "no alert is open\n"


def test_programs_read_the_records_themselves(told, capsys):
    """A line a record, byte for byte as on the topic."""
    told(EARLIER, OPEN, OTHER)
    assert run(capsys, "--format", "json").out.splitlines() == [
        canonical(OPEN).decode(),
        canonical(OTHER).decode(),
    ]
    found = run(capsys, "show", "f00d", "--format", "json").out.splitlines()
    assert [json.loads(line)["id"] for line in found] == ["aa10", "aa11"]


@pytest.mark.parametrize("id_", ["f00d", "f00d1111", "aa11"])
def test_one_alert_is_shown_with_its_history(told, capsys, id_):
    """By the beginning of its fingerprint, or of the id of a transition."""
    told(EARLIER, OPEN, OTHER)
    shown = run(capsys, "show", id_).out
    assert "[FIRING·" in shown and "f00d1111" in shown
    assert "aa11" in shown and "Silent" not in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show"], "write `inferwatch alerts show ID`"),
        (["show", "aa", "--follow"], "write `inferwatch alerts show ID`"),
        (["list", "aa"], "only show takes an id"),
        (["show", "f00"], "2 alerts have ids that begin with 'f00'; write more"),
        (["show", "zz"], "no alert has an id that begins with 'zz'; see `inferwatch alerts`"),
    ],
)
def test_what_names_no_alert_is_one_sentence(told, capsys, arguments, says):
    """Exit 2, and what to write instead."""
    told(EARLIER, OPEN, OTHER)
    said = run(capsys, *arguments, code=Exit.USAGE)
    assert (said.out, said.err) == ("", f"inferwatch: {says}\n")


def test_following_tells_what_is_open_and_then_what_comes(told, capsys):
    """Each transition once, though the topic is read from its head for the first and again."""
    calls = told(EARLIER, OPEN, OTHER)
    said = run(capsys, "--follow", "--format", "json").out.splitlines()
    assert [json.loads(line)["id"] for line in said] == ["aa11", "bb22", "aa10"]
    assert calls[0] == {} and calls[1]["follow"] and calls[1]["since"].tzinfo is not None


def test_no_broker_named_is_usage(monkeypatch, capsys):
    """As for every command that reads."""
    monkeypatch.delenv("INFERWATCH_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("INFERWATCH_CLIENT_PROPERTIES", raising=False)
    assert main(["alerts"]) == Exit.USAGE
    assert "no broker is named" in capsys.readouterr().err
