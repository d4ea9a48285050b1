"""A process is measured against what it may use, and says when it began and on what it runs."""

import os
import platform
import time

import pytest

from inferwatch.sdk import cgroup, resources
from inferwatch.sdk.resources import sampler

psutil = pytest.importorskip("psutil")


def test_samples_are_shares_of_what_is_available():
    """Memory is a share between 0 and 1, and cpu is measured from the first sample on."""
    sample = sampler()
    total = sum(number * number for number in range(2_000_000))
    taken = sample()
    assert total and 0 < taken.cpu <= 1
    assert 0 < taken.memory < 1
    assert taken.memory_bytes > 1 << 20
    assert taken.threads >= 1


def test_a_share_is_never_above_one(monkeypatch):
    """More time than there was, more memory than there is: readers take no such sample."""
    monkeypatch.setattr(psutil.Process, "cpu_percent", lambda _: 1e6)
    monkeypatch.setattr(cgroup, "memory_limit_bytes", lambda: 1)
    assert (sampler()().cpu, sampler()().memory) == (1.0, 1.0)


def test_memory_is_a_share_of_the_limit_where_that_is_less_than_the_host(monkeypatch):
    """A limit above the host's memory is none."""
    host = psutil.virtual_memory().total
    for limit, available in ((1 << 30, 1 << 30), (1 << 59, host), (None, host)):
        monkeypatch.setattr(cgroup, "memory_limit_bytes", lambda limit=limit: limit)
        taken = sampler()()
        assert taken.memory == pytest.approx(taken.memory_bytes / available)


def test_a_process_began_before_its_first_sample_and_at_one_time():
    """Within two seconds of what the system says, not before it, and never after the sampler."""
    before_ms = time.time() * 1_000
    sample = sampler()
    began_ms = psutil.Process().create_time() * 1_000
    assert sample().started_ms == sample().started_ms
    assert began_ms - 1 <= sample().started_ms <= min(began_ms + 1_001, before_ms + 2_000)
    assert sample().started_ms <= time.time() * 1_000


def test_hardware_is_told_in_words(tmp_path):
    """The machine's cores and their name, or its architecture where Linux gives no name."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: AMD EPYC 7B13\n\nmodel name\t: another\n")
    assert resources._processor(cpuinfo) == f"{os.cpu_count()} x AMD EPYC 7B13"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 2\n")
    for path in (cpuinfo, tmp_path / "absent"):
        assert resources._processor(path) == f"{os.cpu_count()} x {platform.machine()}"


def test_names_that_are_too_long_for_readers_are_cut(wire, monkeypatch):
    """Rows and samples go on, under the first 256 characters."""
    monkeypatch.setattr(resources, "_processor", lambda: "p" * 1_000)
    monitor = wire.monitor(instance="ä" * 1_000)
    monitor._emitter.send_sample(sampler()(), wire.send)
    monitor.log({"a": 1}, 1)
    wire.drain(monitor)
    taken, batch = wire.records
    assert batch.instance == taken.instance == "ä" * 256
    assert taken.hardware == "p" * 256


def test_a_sample_becomes_a_resource_record_of_the_version_that_serves(wire):
    """Samples carry the model, its current version and the instance, and all that was measured."""
    monitor = wire.monitor(instance="pod-7")
    monitor.deploy("13")
    taken = sampler()()
    monitor._emitter.send_sample(taken, wire.send)
    wire.drain(monitor)
    record = wire.records[0]
    assert (record.model, record.version, record.instance) == ("risk/fraud", "13", "pod-7")
    for field in taken.__struct_fields__:
        assert getattr(record, field) == getattr(taken, field), field
    assert record.started_ms <= record.time_ms
