"""What goes to a channel: what changes what it knows, whatever the alert does, whoever crashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import alerts as machine
from inferwatch.notify.plan import Ledger, idempotency_key
from inferwatch.records.definition import Check, Limit
from inferwatch.records.notified import merge
from inferwatch.records.outputs import live
from inferwatch.testing.alerts import TOLD_MS, alert_record

CHECK = Check(
    alert="RecallDrop", metric="recall", fail=Limit(direction="below", value=0.7, clear=0.7)
)
SIGNALS = ("ok", "breach", "held", "unknown", "learning", "silent", "ended")


def sent(records):
    return [(record.channel, record.plans[-1].alert.seq) for record in records]


def planned(*alerts, channels=("console",)):
    """Which of the transitions go out, in order."""
    ledger = Ledger(channels)
    return [pair for alert in alerts for pair in sent(ledger.plan(alert, TOLD_MS))]


def test_every_channel_gets_a_plan_of_its_own():
    """One transition gives a plan a channel, each under another key."""
    records = Ledger(["console", "oncall"]).plan(alert_record(), TOLD_MS)
    assert sent(records) == [("console", 1), ("oncall", 1)]
    assert len({record.plans[0].key for record in records}) == 2


def test_the_key_is_the_alert_and_the_channel():
    """The idempotency key depends on the alert's id and the channel, and on nothing else."""
    assert idempotency_key("a", "b") == idempotency_key("a", "b")
    assert len({idempotency_key(*pair) for pair in (("a", "b"), ("b", "a"), ("ab", ""))}) == 3


@pytest.mark.parametrize(
    "alert",
    [
        alert_record(mode="observe"),
        alert_record(condition="pending"),
        alert_record(condition="unknown"),
        alert_record(condition="learning"),
        alert_record(condition="no_data"),
        alert_record(condition="ok", previous="pending", reason="recovered_early"),
        alert_record(flags=["silenced"]),
    ],
    ids=lambda alert: f"{alert.mode}-{alert.condition}-{'-'.join(alert.flags)}",
)
def test_what_nobody_need_hear_of_is_not_planned(alert):
    """Observed checks, pending alerts, silenced ones and ends of what was never told stay quiet."""
    assert planned(alert) == []


def test_a_life_is_told_in_full():
    """Firing, another severity and the end go out once each; data that comes and goes does not."""
    steps = [
        alert_record(1, "pending"),
        alert_record(2, "firing", severity="warning"),
        alert_record(3, "firing", "firing", severity="critical", reason="severity_raised"),
        alert_record(4, "no_data", "firing"),
        alert_record(5, "firing", "no_data"),
        alert_record(6, "ok", "firing"),
        alert_record(7, "no_data", "ok"),
    ]
    assert [seq for _, seq in planned(*steps)] == [2, 3, 6]


def test_a_repeat_and_a_late_word_are_dropped():
    """Equal ids count once, and what comes behind a higher seq is not believed."""
    firing, resolved = alert_record(1), alert_record(2, "ok", "firing")
    assert planned(firing, firing, resolved, firing, resolved) == [("console", 1), ("console", 2)]


def test_an_acknowledgement_is_no_news():
    """A verdict on an alert that was told moves nothing that the channel knows."""
    assert planned(alert_record(1), alert_record(2, "firing", "firing", reason="ack")) == [
        ("console", 1)
    ]


def test_the_end_of_a_silence_tells_what_it_hid():
    """What fired under a silence is told when the silence is lifted."""
    hidden = alert_record(1, flags=["silenced"])
    lifted = alert_record(2, "firing", "firing", reason="unsilence")
    assert planned(hidden, lifted) == [("console", 2)]


@pytest.mark.parametrize(
    ("headers", "is_live"), [({}, True), ({"run": b"live"}, True), ({"run": b"backtest"}, False)]
)
def test_only_live_runs_count(headers, is_live):
    """A record that names another run than the live one is not for channels."""
    assert live(headers) is is_live


def history(signals):
    """The transitions that the alert machine itself makes of these signals."""
    instance = machine.Instance(alert="RecallDrop", version="12", feature="", segment="")
    records = []
    for sign, severity in signals:
        moved = machine.move(instance, sign, severity)
        if moved is not None:
            records.append(machine.record("m", CHECK, instance, moved, TOLD_MS, TOLD_MS, value=0.5))
    return instance, records


@given(
    signals=st.lists(st.tuples(st.sampled_from(SIGNALS), st.sampled_from(["warning", "critical"]))),
    crashes=st.sets(st.integers(0, 30)),
    repeats=st.integers(0, 3),
)
def test_a_channel_always_knows_what_is_true(signals, crashes, repeats):
    """After any life, with crashes and repeats in it, the channel's last message fits the alert."""
    instance, records = history(signals)
    ledger, written, told = Ledger(["console"]), {}, []
    for number in range(len(records)):
        if number in crashes:
            ledger = Ledger(["console"])
            ledger.restore(written.values())
        for again in records[max(0, number - repeats) : number + 1]:
            for record in ledger.plan(again, TOLD_MS):
                written[len(written)] = record
                told.append(record.plans[-1].alert)
    assert [alert.seq for alert in told] == sorted({alert.seq for alert in told})
    knows = told[-1].condition if told else "ok"
    if instance.condition in ("firing", "ok"):
        assert knows == instance.condition
    if instance.condition == "firing":
        assert told[-1].severity == instance.severity
    for before, after in zip([None, *told], told, strict=False):
        assert before is not None or after.condition == "firing"
        assert before is None or (before.condition, before.severity) != (
            after.condition,
            after.severity,
        )


def test_a_result_ends_the_plan_and_those_it_overtook():
    """Finishing a plan leaves only younger ones unfinished."""
    ledger = Ledger(["console"])
    plans = [
        ledger.plan(alert, TOLD_MS)[0].plans[-1]
        for alert in (alert_record(1), alert_record(2, "ok"), alert_record(3))
    ]
    record = ledger.finish("console", plans[1], "sent")
    assert (record.done, record.result) == (2, "sent")
    assert [plan.alert.seq for plan in record.plans] == [3]
    assert ledger.unfinished() == [("console", plans[2])]


@given(st.data())
def test_what_several_writers_left_merges_in_any_order(data):
    """Records of crashed and stalled writers give one truth, in whatever order they are read."""
    ledger, left = Ledger(["console"]), []
    for seq in range(1, 6):
        record = ledger.plan(alert_record(seq, "firing" if seq % 2 else "ok"), TOLD_MS)[0]
        left.append(record)
        if data.draw(st.booleans()):
            left.append(ledger.finish("console", record.plans[0], "sent"))
    kept = data.draw(st.permutations(left))
    merged = merge(kept)
    assert merged == merge(left)
    assert merged.seq == 5 and merged.done == max(record.done for record in left)
    assert [plan.alert.seq for plan in merged.plans] == list(range(merged.done + 1, 6))


def test_a_restart_resumes_under_the_same_key():
    """A new process finds the unfinished plan with the key that the first one gave it."""
    first = Ledger(["console", "oncall"])
    written = first.plan(alert_record(), TOLD_MS)
    written.append(first.finish("console", written[0].plans[0], "sent"))
    second = Ledger(["console", "oncall"])
    second.restore(written)
    assert second.unfinished() == [("oncall", written[1].plans[0])]
    assert second.plan(alert_record(), TOLD_MS) == []


def test_a_channel_that_was_taken_away_is_not_resumed():
    """Plans of a channel that the file no longer names wait until it is back."""
    written = Ledger(["gone"]).plan(alert_record(), TOLD_MS)
    ledger = Ledger(["console"])
    ledger.restore(written)
    assert ledger.unfinished() == []


@pytest.mark.parametrize("reason", ["steady", "version_retired", "check_removed"])
def test_an_alert_that_flaps_is_told_once_until_it_ends(reason):
    """Its to and fro is quiet after the notice; how it stands then, or that it is over, is told."""
    flaps = {"flags": ["flapping"]}
    assert planned(
        alert_record(1, "firing"),
        alert_record(2, "ok", "firing", reason="recovered"),
        alert_record(3, "firing", reason="flapping", **flaps),
        alert_record(4, "ok", "firing", reason="recovered", **flaps),
        alert_record(5, "firing", reason="limit_passed", **flaps),
        alert_record(
            6, "ok", "firing", reason=reason, flags=[] if reason == "steady" else ["flapping"]
        ),
    ) == [("console", seq) for seq in (1, 2, 3, 6)]
