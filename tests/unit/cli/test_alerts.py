"""`inferwatch alerts`: what is open, one alert's history, and every transition as it comes."""

import json

import pytest

from inferwatch import alerts as reader
from inferwatch.cli.main import main
from inferwatch.errors import Exit
from inferwatch.records.decode import decode
from inferwatch.records.events import Verdict
from inferwatch.records.outputs import canonical
from inferwatch.replay import append
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
        (["list", "aa"], "list takes no id; write `inferwatch alerts show ID`"),
        (["ack"], "write `inferwatch alerts ack ID`"),
        (["ack", "aa", "--for", "2h"], "--for is of silence only"),
        (["noise", "f00"], "2 alerts have ids that begin with 'f00'; write more"),
        (["show", "f00"], "2 alerts have ids that begin with 'f00'; write more"),
        (["show", "zz"], "no alert has an id that begins with 'zz'; see `inferwatch alerts`"),
    ],
)
def test_what_names_no_alert_is_one_sentence(told, capsys, arguments, says):
    """Exit 2, and what to write instead."""
    told(EARLIER, OPEN, OTHER)
    said = run(capsys, *arguments, code=Exit.USAGE)
    assert (said.out, said.err) == ("", f"inferwatch: {says}\n")


@pytest.mark.parametrize("word", ["ack", "silence", "unsilence", "useful", "noise"])
def test_a_word_on_an_alert_is_a_record_that_the_fold_reads(told, capsys, monkeypatch, word):
    """By the model's key, with who, why and when; the fold finds the alert by its fingerprint."""
    told(EARLIER, OPEN, OTHER)
    sent = []
    monkeypatch.setattr(append, "send", lambda there, records: sent.extend(records))
    said = run(capsys, word, "f00d", "--author", "ada", "--comment", "a release").out
    assert said.startswith(f"{word} is in the log of {OPEN.model}: {OPEN.alert}  {OPEN.model}")
    (raw,) = sent
    decoded = decode(raw)
    assert decoded.rejects == () and raw.key == OPEN.model.encode()
    verdict = decoded.record
    assert isinstance(verdict, Verdict) and verdict.until_ms is None
    assert (verdict.verdict, verdict.fingerprint) == (word, OPEN.fingerprint)
    assert (verdict.author, verdict.comment) == ("ada", "a release")


def test_a_silence_may_have_an_end(told, capsys, monkeypatch):
    """So long from now on."""
    told(OPEN)
    sent = []
    monkeypatch.setattr(append, "send", lambda there, records: sent.extend(records))
    run(capsys, "silence", "f00d", "--for", "2h")
    verdict = decode(sent[0]).record
    assert verdict.until_ms == verdict.time_ms + 7_200_000 and verdict.author


def test_a_tally_says_which_checks_to_mend(told, capsys):
    """Beginnings and what people said, the noisiest first; programs get a line an alert."""
    told(EARLIER, OPEN, OTHER)
    assert run(capsys, "tally").out.splitlines()[1].split()[:4] == [
        *("RecallDrop", OPEN.model, "1", "1")
    ]
    found = [json.loads(line) for line in run(capsys, "tally", "--format", "json").out.splitlines()]
    assert [(one["alert"], one["fired"]) for one in found] == [("RecallDrop", 1), ("Silent", 0)]
    told()
    assert run(capsys, "tally").out == "no alert was ever told\n"
    assert "tally takes no id" in run(capsys, "tally", "aa", code=Exit.USAGE).err


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
