"""Samples come beside the rows: whatever takes them may hang or fail, and rows go on."""

import threading

import pytest

from inferwatch.connection import Connection
from inferwatch.sdk import monitor as monitor_module
from inferwatch.sdk import sampling, transport
from inferwatch.sdk.resources import Sample
from inferwatch.sdk.sampling import Sampling

TAKEN = Sample(cpu=0.5, memory=0.1, memory_bytes=1, threads=2, started_ms=1, hardware="1 x core")


class Producer:
    """Stands where librdkafka stands: all is delivered with the next poll."""

    def __init__(self):
        self.types, self.owed, self.sampled = [], [], threading.Event()

    def produce(self, topic, value, key, *, headers, on_delivery):
        self.types.append(headers["ce_type"])
        self.owed.append(on_delivery)
        if b"resource" in headers["ce_type"]:
            self.sampled.set()

    def poll(self, timeout_s):
        while self.owed:
            self.owed.pop()(None, None)


@pytest.fixture
def producer(monkeypatch):
    """The producer of a transport that samples without a pause."""
    made = Producer()
    monkeypatch.setattr(transport, "_producer", lambda connection: made)
    monkeypatch.setattr(transport, "_transports", {})
    monkeypatch.setattr(sampling, "EVERY_S", 0.01)
    return made


@pytest.fixture
def hung():
    """Lets what hangs go on when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def monitor():
    """One whose rows go to the producer."""
    return monitor_module.Monitor("risk/fraud", "1", connection=Connection("127.0.0.1:1"))


@pytest.mark.parametrize("where", ["the start", "a sample"])
def test_a_driver_that_never_answers_holds_up_no_row(producer, hung, monkeypatch, where):
    """Neither where the GPUs are looked for nor where one is read."""
    begun = threading.Event()

    def hang():
        begun.set()
        hung.wait()

    monkeypatch.setattr(sampling, "sampler", hang if where == "the start" else lambda: hang)
    made = monitor()
    made.log({"a": 1.0}, 1)
    assert begun.wait(30)
    for _ in range(3):
        made.log({"a": 1.0}, 1)
        assert made.flush(30)
    assert made.counters.delivered == 4 and not producer.sampled.is_set()


def test_samples_are_sent_beside_the_rows(producer, monkeypatch):
    """The newest that was taken, under the model's name."""
    monkeypatch.setattr(sampling, "sampler", lambda: lambda: TAKEN)
    made = monitor()
    made.log({"a": 1.0}, 1)
    assert producer.sampled.wait(30) and made.flush(30)


def test_a_sample_is_given_once_and_one_that_fails_is_left_out(hung, monkeypatch):
    """Psutil may raise whatever it likes; the next sample comes all the same."""
    answers, done = iter([OSError(), TAKEN]), threading.Event()

    def sample():
        answer = next(answers, None)
        if answer is None:
            done.set()
            hung.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(sampling, "EVERY_S", 0.0)
    monkeypatch.setattr(sampling, "sampler", lambda: sample)
    found = Sampling()
    assert done.wait(30)
    assert (found.newest(), found.newest()) == (TAKEN, None)
