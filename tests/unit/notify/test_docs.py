"""docs/alerts.md says what the code does."""

import re
from pathlib import Path
from typing import get_args

from inferwatch.core.alerts import TRANSITIONS, Signal
from inferwatch.notify import channel_file
from inferwatch.notify.deliver import SCHEDULE_S
from inferwatch.notify.text import render
from inferwatch.records.outputs import AlertRecord, Span
from inferwatch.testing.alerts import TOLD_MS, alert_record

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def cell(condition, signal):
    after, reason = TRANSITIONS[condition, signal]
    return "·" if after == condition else f"{after} *{reason}*"


def test_the_table_of_transitions_is_the_machines():
    """The documented table is the one that the worker runs on, cell by cell."""
    signals = get_args(Signal)
    lines = [f"| from | {' | '.join(f'`{signal}`' for signal in signals)} |"]
    lines.append("|--" * (len(signals) + 1) + "|")
    for condition in dict.fromkeys(condition for condition, _ in TRANSITIONS):
        cells = " | ".join(cell(condition, signal) for signal in signals)
        lines.append(f"| **{condition}** | {cells} |")
    assert "\n".join(lines) in DOCS


def test_every_field_of_the_record_is_documented():
    """The table of fields names the fields of the record, all of them and no others."""
    table = DOCS.split("## The record")[1].split("## The contract")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(firsts))) == sorted(AlertRecord.__struct_fields__)


def test_the_message_shown_is_one_that_is_sent():
    """The message in the text is what the channel prints for such an alert."""
    alert = alert_record(
        segment="country=DE",
        value=0.61,
        limit=0.76,
        reference=0.80,
        labelled=412,
        coverage=0.834,
        window=Span(name="slow", start=TOLD_MS - 3_600_000, end=TOLD_MS),
        began_ms=TOLD_MS - 53 * 60_000,
        first_bad="events.v1/7@88213",
        context=[
            "two minutes after deploy v12",
            "v11 was live before: roll back to it if it was well",
            "other country values unchanged",
            "latency normal",
        ],
        causes=["amount (PSI 4.10)", "19 of 20 features quiet"],
    )
    assert f"```\n{render(alert, TOLD_MS, TOLD_MS)}\n```" in DOCS


def test_the_comparison_shown_is_one_of_the_golden_file():
    """The message about a worse version is kept with the other texts."""
    golden = (ROOT / "tests" / "golden" / "alerts.txt").read_text(encoding="utf-8").split("\n\n")
    first, *_ = (text for text in golden if "WorseThanBefore" in text)
    assert f"```\n{first}\n```" in DOCS


def test_the_channels_file_shown_can_be_used(tmp_path):
    """The example of a channels file loads, with a secret made as the text says."""
    [example] = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    [command] = re.findall(r'python3 -c "(.*?)"\n', DOCS)
    said = []
    exec(command.replace("print(", "said.append("), {"said": said})  # the document's own line
    (tmp_path / "channels.yaml").write_text(example)
    (tmp_path / "oncall.secret").write_text(said[0])
    channels = channel_file.load(tmp_path / "channels.yaml")
    assert [channel.name for channel in channels] == ["console", "alertmanager", "oncall"]


def test_the_schedule_named_is_the_schedule():
    """The waits in the text are those between attempts."""
    assert SCHEDULE_S == (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600)
    assert "at once, then after 5 s, 5 min, 30 min, 2 h, 5 h and 10 h" in DOCS
