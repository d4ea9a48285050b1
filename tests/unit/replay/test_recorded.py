"""A replay's folder read back: whole or refused, with the file and line that is wrong."""

import json

import pytest

from inferwatch.errors import UsageError
from inferwatch.records.outputs import canonical
from inferwatch.replay import recorded
from inferwatch.testing.alerts import TOLD_MS, alert_record

MODEL = "risk/fraud-scorer"
SUMMARY = {
    **dict.fromkeys(("records", "rows", "ok", "dead", "gaps"), 0),
    **dict.fromkeys(("windows", "alerts"), 2),
    **{name: {} for name in ("rejected", "duplicate", "transitions")},
    "checks": {MODEL: ["Silent", "RecallDrop"], "team/quiet": ["Silent"]},
    "unjudged": {MODEL: {"Silent": "why"}},
    "digest": "",
    "seconds": 0.0,
}
FIRED = alert_record(began_ms=TOLD_MS - 60_000)
OLD = alert_record(alert="Removed", condition="pending")


@pytest.fixture
def folder(tmp_path):
    """A firing and a rule that is gone; a window of time and one of rows."""
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    (tmp_path / "alerts.jsonl").write_bytes(canonical(FIRED) + b"\n" + canonical(OLD) + b"\n")
    told = [{"id": one.id, "told_ms": TOLD_MS + 5_000} for one in (OLD, FIRED)]
    (tmp_path / "told.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    spans = [
        {"window": {"name": "w", "start": 10, "end": 20}, "version": "2", "segment": "c=DE"},
        {"window": {"name": "r", "start": 0, "end": 50, "rows": 50}, "from_ms": 15, "to_ms": 42},
    ]
    windows = [json.dumps({"model": MODEL, **span}) + "\n" for span in spans]
    (tmp_path / "windows.jsonl").write_text("".join(windows))
    return tmp_path


def test_what_was_written_is_read(folder):
    """Firings with the time they were told, all rules there were, and the time that was watched."""
    found = recorded.read(folder)
    [one] = found.firings
    assert (one.alert, one.began_ms, one.at_ms) == ("RecallDrop", TOLD_MS - 60_000, TOLD_MS)
    assert (one.told_ms, one.end_ms) == (TOLD_MS + 5_000, None)
    assert found.watched == {MODEL: (10, 42)}
    assert found.rules == {MODEL: ["RecallDrop", "Removed", "Silent"], "team/quiet": ["Silent"]}
    assert found.unjudged == {MODEL: {"Silent": "why"}}
    assert (found.versions, found.segments) == ({MODEL: ["2", ""]}, {MODEL: ["c=DE", ""]})


@pytest.mark.parametrize("name", ["summary.json", "alerts.jsonl", "told.jsonl", "windows.jsonl"])
@pytest.mark.parametrize("text", [None, "{", '{"id": 3}\n', "\ud800"])
def test_a_folder_that_is_not_whole_is_refused(folder, name, text):
    """Each file: gone, cut off, of another kind, no UTF-8."""
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UsageError) as caught:
        recorded.read(folder)
    assert name in str(caught.value) and "replay" in str(caught.value)
    if text is not None and name != "summary.json":
        assert f"{name}:1: " in str(caught.value)


@pytest.mark.parametrize("name", ["alerts.jsonl", "windows.jsonl"])
def test_lines_that_a_copy_lost_are_missed(folder, name):
    """Cut between two lines each of them is whole, and the folder is not."""
    path = folder / name
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(UsageError, match=rf"{name} has 1 lines of 2; run the replay again"):
        recorded.read(folder)


def test_times_of_other_alerts_are_refused(folder):
    """As where two replays were copied into one folder."""
    (folder / "told.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"told\.jsonl is not of these alerts; run the replay"):
        recorded.read(folder)


def test_a_firing_from_before_the_first_record_is_left_out():
    """Where the head of the log is gone its beginning is not known."""
    ended = alert_record(7, condition="ok", previous="firing")
    said = alert_record(3, previous="firing", reason="noise", segment="country=DE")
    assert recorded.firings([ended, said], {}) == []
