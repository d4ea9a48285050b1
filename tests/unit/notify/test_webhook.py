"""The webhook: each answer with its verdict, the signature, the body, no secret in any output."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
import traceback
from pathlib import Path

import pytest

from inferwatch.errors import ConfigError
from inferwatch.notify import channel_file
from inferwatch.notify.channels import webhook
from inferwatch.notify.deliver import Rejected, Retry, Sent
from inferwatch.notify.http import Client, verdict
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.notified import Plan
from inferwatch.records.outputs import Span
from inferwatch.testing.alerts import TOLD_MS, alert_record
from inferwatch.testing.receiver import Answer, Receiver

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLD = "whsec_" + base64.b64encode(bytes(range(100, 132))).decode()
NOW_S = 1_772_031_600.0
DOCS = Path(__file__).parents[3] / "docs" / "alerts.md"


def plan(**fields):
    alert = alert_record(**fields)
    return Plan(key=idempotency_key(alert.id, "oncall"), at_ms=TOLD_MS, alert=alert)


def channel(url, secrets=(KEY,), timeout_s=5.0):
    return webhook.Webhook("oncall", webhook.URL(url), tuple(secrets), Client(timeout_s))


def send(to, *plans):
    async def run():
        try:
            return [await to.send(one) for one in plans]
        finally:
            await to.close()

    return asyncio.run(run())


# ── what an answer means ─────────────────────────────────────────────────────────────────────────

PASSING = {302, 303, 307, 408, 425, 429}


def test_every_status_has_its_verdict():
    """2xx is success; what may pass is tried again; all else is final, and 410 ends the channel."""
    for status in range(100, 600):
        found = verdict(status, None, NOW_S)
        if status in range(200, 300):
            assert found == Sent(), status
        elif status in PASSING or status in range(500, 600):
            assert isinstance(found, Retry) and found.after_s is None, status
        else:
            assert isinstance(found, Rejected), status
            assert found.disables == (status == 410), status
        assert isinstance(found, Sent) or f"status {status}" in found.reason


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("Wed, 25 Feb 2026 15:00:45 GMT", 45.0),
        ("Wed, 25 Feb 2026 14:00:00 GMT", 0.0),
        ("9" * 400, 86_400.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_kept(header, after_s):
    """The wait that a receiver asks for is taken as seconds or as a date, within a day."""
    assert verdict(429, header, NOW_S) == Retry("status 429", after_s)
    assert verdict(503, header, NOW_S) == Retry("status 503", after_s)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200), Sent),
        (Answer(204), Sent),
        (Answer(200, how="endless"), Sent),
        (Answer(301, {"Location": "/elsewhere"}), Rejected),
        (Answer(307, {"Location": "/elsewhere"}), Retry),
        (Answer(400), Rejected),
        (Answer(410), Rejected),
        (Answer(429, {"Retry-After": "30"}), Retry),
        (Answer(500), Retry),
        (Answer(how="reset"), Retry),
        (Answer(how="hang"), Retry),
    ],
    ids=lambda value: f"{value.status}{value.how}" if isinstance(value, Answer) else value.__name__,
)
def test_a_real_receiver_gets_one_post(answer, outcome):
    """Whatever a receiver does, an attempt is one request to the configured path and an outcome."""
    with Receiver(lambda _: answer) as receiver:
        [found] = send(channel(receiver.url, timeout_s=0.5), plan())
        assert isinstance(found, outcome)
        assert [request.path for request in receiver.requests] == ["/hook"]
        if answer.status == 429:
            assert found.after_s == 30.0


def test_a_receiver_that_is_not_there_is_tried_again():
    """No listener, and a listener that speaks no TLS, are outages and not refusals."""
    with Receiver() as receiver:
        url = receiver.url
        [found] = send(channel(url.replace("http:", "https:")), plan())
        assert isinstance(found, Retry) and receiver.requests == []
    [found] = send(channel(url), plan())
    assert isinstance(found, Retry)


# ── the signature ────────────────────────────────────────────────────────────────────────────────


def test_the_signature_is_that_of_the_published_vector():
    """The reference vector of the Standard Webhooks libraries comes out."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = webhook.signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret]
    )
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def verified(request, secret):
    """The specification's steps for a receiver, read from its text."""
    content = b".".join(
        [
            request.headers["webhook-id"].encode(),
            request.headers["webhook-timestamp"].encode(),
            request.body,
        ]
    )
    digest = hmac.digest(base64.b64decode(secret.split("_", 1)[1]), content, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}" in request.headers["webhook-signature"].split()


def test_what_arrives_verifies_and_a_repeat_has_the_same_id():
    """A receiver that keeps to the specification accepts the message and knows a repeat."""
    with Receiver() as receiver:
        send(channel(receiver.url), plan(), plan())
        first, second = receiver.requests
    assert verified(first, SECRET) and not verified(first, OLD)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == plan().key
    assert first.headers["content-type"] == "application/json"


def test_secrets_rotate_without_a_gap():
    """With two secrets each alone verifies the message."""
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in (SECRET, OLD)]
    with Receiver() as receiver:
        send(channel(receiver.url, keys), plan())
    assert verified(receiver.requests[0], SECRET) and verified(receiver.requests[0], OLD)


def test_the_documented_receiver_accepts_and_refuses():
    """The example in docs/alerts.md accepts what is sent and refuses what is changed."""
    [example] = re.findall(r"```python\n(import base64.*?)```", DOCS.read_text(), re.DOTALL)
    names = {}
    exec(example, names)  # the document's own code is what is tested
    with Receiver() as receiver:
        send(channel(receiver.url), plan())
    request = receiver.requests[0]
    assert names["verify"](request.headers, request.body, SECRET)
    assert not names["verify"](request.headers, request.body + b" ", SECRET)
    assert not names["verify"](request.headers, request.body, OLD)
    stale = request.headers | {"webhook-timestamp": "1614265330"}
    assert not names["verify"](stale, request.body, SECRET)


# ── the body ─────────────────────────────────────────────────────────────────────────────────────

FIRING = {
    "feature": "amount",
    "segment": "country=DE",
    "value": 0.61,
    "limit": 0.76,
    "reference": 0.8,
    "window": Span(name="slow", start=TOLD_MS - 3_600_000, end=TOLD_MS),
    "rows": 900,
    "began_ms": TOLD_MS - 60_000,
    "first_bad": "events.v1/7@88213",
    "labels": {"owner": "risk"},
    "annotations": {"runbook_url": "https://wiki/recall"},
}


def document(**fields):
    return json.loads(webhook.body(plan(**fields), "oncall", TOLD_MS))


def test_the_body_is_alertmanagers_version_4():
    """Every field of Alertmanager's webhook body is there, with the types of its documentation."""
    found = document(**FIRING)
    texts = ("version", "groupKey", "status", "receiver", "externalURL")
    assert {name: found[name] for name in ("version", "status", "receiver", "truncatedAlerts")} == {
        "version": "4",
        "status": "firing",
        "receiver": "oncall",
        "truncatedAlerts": 0,
    }
    assert set(found) == {
        *texts,
        "truncatedAlerts",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "alerts",
    }
    assert all(isinstance(found[name], str) for name in texts)
    [alert] = found["alerts"]
    assert set(alert) == {
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
    }
    assert all(
        isinstance(value, str)
        for part in ("labels", "annotations")
        for value in alert[part].values()
    )
    assert (alert["startsAt"], alert["endsAt"]) == (
        "2026-02-25T14:59:00.000Z",
        "0001-01-01T00:00:00Z",
    )


def test_labels_are_identity_and_hold_no_figure():
    """Two transitions of one alert have equal labels, whatever was measured."""
    first = document(**FIRING)["alerts"][0]
    second = document(**FIRING | {"seq": 2, "value": 0.4, "rows": 12, "at_ms": TOLD_MS + 5})
    assert (
        first["labels"]
        == second["alerts"][0]["labels"]
        == {
            "alertname": "RecallDrop",
            "severity": "critical",
            "model": "risk/fraud-scorer",
            "version": "12",
            "feature": "amount",
            "segment": "country=DE",
            "source": "inferwatch",
            "owner": "risk",
        }
    )
    assert first["fingerprint"] == second["alerts"][0]["fingerprint"]
    assert first["annotations"]["value"] == "0.61"
    assert first["annotations"]["runbook_url"] == "https://wiki/recall"
    assert first["annotations"]["description"].startswith("[FIRING·critical] RecallDrop")


def test_a_checks_labels_cannot_pose_as_identity():
    """A label of a check that is named like one of ours does not replace it."""
    assert document(labels={"model": "other", "source": "x"})["commonLabels"]["model"] != "other"


def test_an_end_is_resolved_with_its_time():
    """A recovered alert is resolved at its transition; missing data is not a recovery."""
    end = document(**FIRING | {"condition": "ok", "previous": "firing", "at_ms": TOLD_MS + 60_000})
    assert end["status"] == end["alerts"][0]["status"] == "resolved"
    assert end["alerts"][0]["endsAt"] == "2026-02-25T15:01:00.000Z"
    assert document(condition="no_data", previous="firing")["status"] == "firing"


@pytest.mark.parametrize("size", [1_000, 20_000, 200_000])
def test_the_body_stays_below_20_kilobytes(size):
    """A long annotation is cut, by a rule that gives the same body each time."""
    fields = {"annotations": {"note": "ä" * size, "runbook_url": "https://wiki/recall"}}
    first = webhook.body(plan(**fields), "oncall", TOLD_MS)
    assert len(first) < 20_000 and first == webhook.body(plan(**fields), "oncall", TOLD_MS)
    assert json.loads(first)["alerts"][0]["annotations"]["runbook_url"] == "https://wiki/recall"


def test_labels_that_cannot_fit_are_refused_and_not_cut():
    """Identity is never cut: such a message is rejected, and nothing is sent."""
    with Receiver() as receiver:
        [found] = send(channel(receiver.url), plan(labels={"owner": "x" * 20_000}))
        assert isinstance(found, Rejected) and receiver.requests == []


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────


def loaded(tmp_path, text, secret=SECRET):
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "channels.yaml").write_text(text)
    return channel_file.load(tmp_path / "channels.yaml")


ENTRY = "notify:\n  - {type: webhook, url: 'http://127.0.0.1:1/T0P', secret_file: secret}\n"


def test_no_secret_in_any_output(tmp_path, caplog):
    """Neither secret nor the path of the URL shows in repr, log, outcome or traceback."""
    caplog.set_level(logging.DEBUG)
    [one] = loaded(tmp_path, ENTRY, f"{SECRET}\n{OLD}\n")
    assert len(one.secrets) == 2
    outcomes = send(one, plan())
    try:
        raise RuntimeError(one)
    except RuntimeError as error:
        trace = "".join(traceback.format_exception(error))
    said = " ".join([repr(one), str(one), repr(outcomes), trace, caplog.text])
    for secret in (SECRET, OLD):
        assert secret not in said and secret.removeprefix("whsec_") not in said
        assert repr(base64.b64decode(secret.removeprefix("whsec_"))) not in said
    assert "T0P" not in said


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_not*base64",
        SECRET.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        f"{SECRET}\nbad-one",
        "\udcff",
    ],
    ids=["empty", "no key", "short", "no base64", "no prefix", "long", "one of two", "no text"],
)
def test_a_secret_that_cannot_sign_is_refused_and_not_shown(tmp_path, secret):
    """A secret that is no whsec_ key of 24 to 64 bytes ends the start, without being quoted."""
    (tmp_path / "secret").write_bytes(secret.encode(errors="surrogateescape"))
    (tmp_path / "channels.yaml").write_text(ENTRY)
    with pytest.raises(ConfigError) as caught:
        channel_file.load(tmp_path / "channels.yaml")
    assert f"{tmp_path / 'channels.yaml'}:2: notify[0].secret_file: " in str(caught.value)
    for word in secret.split():
        assert word.removeprefix("whsec_") == "" or word not in str(caught.value)


def test_a_secret_comes_from_the_environment(tmp_path, monkeypatch):
    """`secret_env` names a variable; one that is not set is an error that names it."""
    text = "notify:\n  - {type: webhook, url: 'https://h/x', secret_env: HOOK}\n"
    monkeypatch.setenv("HOOK", f" {SECRET} ")
    assert loaded(tmp_path, text)[0].secrets == (KEY,)
    monkeypatch.delenv("HOOK")
    with pytest.raises(ConfigError, match="the variable HOOK is not set"):
        loaded(tmp_path, text)
