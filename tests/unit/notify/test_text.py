"""An alert as text: the five lines that people read, kept by a golden file."""

from pathlib import Path

import pytest

from inferwatch.notify.text import header, render
from inferwatch.records.outputs import Span, Versus
from inferwatch.testing.alerts import TOLD_MS, alert_record

GOLDEN = Path(__file__).parents[2] / "golden" / "alerts.txt"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SLOW = Span(name="slow", start=TOLD_MS - HOUR, end=TOLD_MS)
BATCH = Span(name="batch", start=25_000, end=30_000, rows=5_000)
LATER = {
    "at_ms": TOLD_MS + 2 * HOUR,
    "window": Span(name="slow", start=TOLD_MS + HOUR, end=TOLD_MS + 2 * HOUR),
}
RECALL = {
    "segment": "country=DE",
    "value": 0.61,
    "limit": 0.76,
    "reference": 0.80,
    "window": SLOW,
    "rows": 9_000,
    "labelled": 412,
    "coverage": 0.834,
    "began_ms": TOLD_MS - 53 * MINUTE,
    "first_bad": "events.v1/7@88213",
    "context": ["two minutes after deploy v12", "other country values unchanged", "latency normal"],
    "causes": ["amount (PSI 4.10)", "19 of 20 features quiet"],
}
DRIFT = {
    "alert": "FeatureDrift",
    "model": "lending/car-loan",
    "version": "1",
    "feature": "car_value",
    "metric": "feature.*",
    "method": "psi",
    "value": 1.84602842154,
    "limit": 0.25,
    "reference_span": "car-loan reference",
    "window": BATCH,
    "rows": 5_000,
    "began_ms": TOLD_MS - 20 * DAY,
    "first_bad": "events.v1/0@94",
    "causes": ["car_value (PSI 1.85)", "loan_length (PSI 0.31)", "5 of 7 features quiet"],
}
SHIFT = {
    "alert": "ErrorShift",
    "metric": "error",
    "method": "adwin",
    "severity": "info",
    "value": 0.031,
    "reference": 0.052,
    "began_ms": TOLD_MS,
    "first_bad": "events.v1/3@9",
    "reference_span": "the level before the change",
    "causes": ["went down"],
}
WORSE = {
    "alert": "WorseThanBefore",
    "metric": "accuracy",
    "value": 0.8713,
    "limit": 0.902,
    "reference": 0.902,
    "reference_span": "v11 in 12 windows of both",
    "versus": Versus(
        version="11", low=-0.0441, high=-0.0173, windows=12, deployed_ms=TOLD_MS - 9 * DAY
    ),
    "window": SLOW,
    "rows": 4_180,
    "labelled": 4_180,
    "began_ms": TOLD_MS - HOUR,
    "first_bad": "events.v1/7@88213",
    "context": ["12 hours after deploy v12"],
}
ROLLOUT = {
    "metric": "latency.mean",
    "value": 161.4,
    "limit": 145.2,
    "reference": 132.0,
    "reference_span": "v11 in the week before",
    "versus": Versus(version="11", low=18.4, high=40.4),
}
SILENT = {
    "alert": "Silent",
    "version": "",
    "metric": "traffic",
    "method": "absent",
    "value": 3_725.0,
    "limit": 600.0,
    "began_ms": TOLD_MS - 3_725_000,
}
FORMS = [
    alert_record(**RECALL),
    alert_record(
        2,
        "ok",
        "firing",
        **RECALL
        | {"reason": "recovered", "value": 0.79, "coverage": 0.91, "labelled": 398}
        | LATER
        | {"context": ["latency normal"], "causes": ["20 of 20 features quiet"]},
    ),
    alert_record(
        2,
        "no_data",
        "firing",
        reason="data_gone",
        segment="country=DE",
        began_ms=TOLD_MS - 53 * MINUTE,
        first_bad="events.v1/7@88213",
    ),
    alert_record(2, "ok", "firing", reason="ended", began_ms=TOLD_MS - 26 * HOUR),
    alert_record(**DRIFT),
    alert_record(
        **DRIFT
        | {
            "metric": "feature.*.missing",
            "method": "value",
            "reference": 0.0,
            "value": 0.113,
            "limit": 0.1,
            "severity": "warning",
        }
    ),
    alert_record(
        alert="SlowAnswers",
        metric="latency.p99",
        value=412.4,
        limit=250.0,
        window=SLOW,
        rows=9_000,
        began_ms=TOLD_MS - HOUR,
    ),
    alert_record(**WORSE),
    alert_record(**WORSE | ROLLOUT),
    alert_record(**SHIFT),
    alert_record(
        2,
        "ok",
        "firing",
        **SHIFT
        | {"reason": "quiet", "value": None, "reference": None, "reference_span": "", "causes": []},
    ),
    alert_record(2, "firing", "firing", reason="unsilence", began_ms=TOLD_MS - HOUR),
    alert_record(**SILENT),
    alert_record(2, "ok", "firing", **SILENT | {"reason": "recovered", "value": 0.2}),
]


def test_the_texts_are_those_of_the_golden_file():
    """Every form of an alert reads exactly as the golden file keeps it."""
    assert "\n\n".join(render(alert, TOLD_MS, TOLD_MS) for alert in FORMS) + "\n" == (
        GOLDEN.read_text(encoding="utf-8")
    )


def test_no_transition_says_that_nothing_is_known_where_a_reason_is():
    """What ends by time, by a person or with its check has no figure: the text says which it is."""
    texts = [render(form, TOLD_MS, TOLD_MS) for form in FORMS if form.condition != "no_data"]
    assert [text for text in texts if "unknown" in text] == []


def test_the_first_form_is_the_documented_one():
    """A firing quality alert has five lines: state, figure, beginning, cause, and what to do."""
    assert render(FORMS[0], TOLD_MS, TOLD_MS).splitlines() == [
        "[FIRING·critical] RecallDrop  risk/fraud-scorer v12  country=DE",
        "recall 0.61, limit 0.76 (reference 0.80, −24 %) · 14:00–15:00 UTC"
        " · 412 labels, coverage 83 %",
        "Began 14:07, two minutes after deploy v12 · other country values unchanged"
        " · latency normal",
        "Most of it: amount (PSI 4.10), 19 of 20 features quiet"
        " · first bad offset events.v1/7@88213",
        "Next: see whether a deploy or the drifted features explain it; else go back to the"
        f" version before · inferwatch alerts show {FORMS[0].fingerprint[:8]}",
    ]


def test_the_figure_of_a_class_is_named_with_its_class():
    """As a check that names the class would have it, whatever the name holds."""
    for name in ("cat", "a.*.b", "*"):
        alert = alert_record(
            metric="class.*.recall", feature=f"class.{name}", value=0.61, limit=0.76
        )
        found = render(alert, TOLD_MS, TOLD_MS).splitlines()
        assert found[1].startswith(f"class.{name}.recall 0.61, limit 0.76")


@pytest.mark.parametrize(
    ("metric", "value", "limit", "words"),
    [
        ("label_delay.p90", 3.5 * DAY, 2.0 * DAY, "label_delay.p90 3 d 12 h, limit 2 d"),
        ("freshness", 7_200_000.0, 600_000.0, "freshness 2 h, limit 10 min"),
        ("freshness", 600_100.0, 600_000.0, "freshness 600,100 ms, limit 600,000 ms"),
        ("uptime", 90_000.0, 600_000.0, "uptime 1 min 30 s, limit 10 min"),
        ("time_to_first_token.p99", 812.0, 500.0, "time_to_first_token.p99 812 ms, limit 500 ms"),
        ("throughput", 1.25, 20.0, "throughput 1.25 rows/s, limit 20.0 rows/s"),
        ("error_rate", 0.31, 0.2, "error_rate 0.31, limit 0.20"),
    ],
)
def test_figures_have_their_units(metric, value, limit, words):
    """Long times as people say them, others in the unit that their limit was written in."""
    alert = alert_record(metric=metric, value=value, limit=limit)
    assert render(alert, TOLD_MS, TOLD_MS).splitlines()[1] == words


def test_a_change_of_a_correlation_is_not_told_as_one():
    """0.99 is how far it moved: the correlation itself may be near zero now."""
    alert = alert_record(
        metric="features", method="correlation", value=0.99, limit=0.2, window=SLOW
    )
    found = render(alert, TOLD_MS, TOLD_MS).splitlines()[1]
    assert found.startswith("largest change of a correlation of features 0.99, limit 0.20")


def test_a_distance_has_no_unit():
    """A z-score of a latency is none."""
    alert = alert_record(metric="latency.mean", method="zscore", value=9.1, limit=7.5, window=SLOW)
    found = render(alert, TOLD_MS, TOLD_MS).splitlines()[1]
    assert found.startswith("z-score of latency.mean 9.10, limit 7.50 · ")


@pytest.mark.parametrize(
    ("value", "limit", "words"),
    [
        (231.4, 7.5, "robust z-score of latency.p99 231, limit 7.5"),
        (312.46, 12.0, "robust z-score of latency.p99 312, limit 12"),
        (3.2, 7.5, "robust z-score of latency.p99 3.20, limit 7.50"),
    ],
)
def test_a_limit_far_below_its_value_is_not_rounded_to_another(value, limit, words):
    """7.5 is never written as 8, whole limits stay whole; what it is held against stands behind."""
    alert = alert_record(
        metric="latency.p99",
        method="auto",
        value=value,
        limit=limit,
        reference_span="the windows before",
        window=SLOW,
    )
    found = render(alert, TOLD_MS, TOLD_MS).splitlines()[1]
    assert found.startswith(f"{words} (against the windows before) · ")


def test_a_fixed_limit_is_held_against_nothing():
    """A figure that its reference lacks and a limit in its own unit are not compared with it."""
    alert = alert_record(value=0.61, limit=0.76, reference_span="5,000 rows of 2026-11-01")
    assert render(alert, TOLD_MS, TOLD_MS).splitlines()[1] == "recall 0.61, limit 0.76"


def test_a_message_an_hour_late_says_so():
    """A page more than an hour behind its transition is marked, a younger one is not."""
    late = render(FORMS[0], TOLD_MS, TOLD_MS + HOUR + 1)
    assert late.startswith("[FIRING·critical·delayed] RecallDrop")
    assert render(FORMS[0], TOLD_MS, TOLD_MS + HOUR) == render(FORMS[0], TOLD_MS, TOLD_MS)


def test_a_date_stands_where_the_day_is_another():
    """Times of another day than the message's carry their date, so that none is misread."""
    text = render(FORMS[0], TOLD_MS + DAY, TOLD_MS + DAY)
    assert "· 2026-02-25 14:00–15:00 UTC ·" in text and "Began 2026-02-25 14:07," in text


@pytest.mark.parametrize("value", [0.7599, 0.75991, 0.759999, 0.76 - 1e-6, 312.46, 1e9, 0.0])
def test_a_value_past_its_limit_never_looks_equal_to_it(value):
    """However near the value is to its limit, the text shows that they differ."""
    figure = render(alert_record(value=value, limit=0.76), TOLD_MS, TOLD_MS).splitlines()[1]
    shown = figure.removeprefix("recall ").split(", limit ")
    assert shown[0] != shown[1]
    assert float(shown[0].replace(",", "")) == pytest.approx(value, rel=0.01, abs=1e-9)


@pytest.mark.parametrize("hidden", ["\n", "\r", "\x1b[31m", "\u202e", "\u200b", "\x00"])
def test_names_from_data_cannot_forge_a_line(hidden):
    """Control, invisible and direction-changing characters in a name are escaped."""
    alert = alert_record(segment=f"country=DE{hidden}[RESOLVED]", causes=[f"a{hidden}b"])
    text = render(alert, TOLD_MS, TOLD_MS)
    assert hidden not in text.replace("\n", "") and len(text.splitlines()) == 4
    assert len(text.split("\n")) == 4


def test_the_header_alone_names_the_alert():
    """The first line is complete without the others, for channels that show one line."""
    assert header(FORMS[4]) == "[FIRING·critical] FeatureDrift  lending/car-loan v1  car_value"
