"""A process is measured against what it may use: cgroup limits before the host's."""

import pytest

from inferwatch.sdk.resources import cpu_limit, memory_limit_bytes, sampler


def cgroup(tmp_path, **limits):
    """A cgroup v2 tree `/pod/container` with files `pod_cpu`, `container_memory` and so on."""
    (tmp_path / "pod" / "container").mkdir(parents=True)
    names = {"cpu": "cpu.max", "memory": "memory.max"}
    for place, text in limits.items():
        level, kind = place.split("_")
        folder = tmp_path / "pod" if level == "pod" else tmp_path / "pod" / "container"
        (folder / names[kind]).write_text(text + "\n")
    (tmp_path / "self").write_text("0::/pod/container\n")
    return tmp_path / "self", tmp_path


def test_the_tightest_limit_on_the_way_up_counts(tmp_path):
    """A pod's limit binds its containers."""
    own, root = cgroup(
        tmp_path,
        pod_cpu="150000 100000",
        container_cpu="400000 100000",
        pod_memory="max",
        container_memory="1048576",
    )
    assert cpu_limit(own, root) == 1.5
    assert memory_limit_bytes(own, root) == 1 << 20


def test_no_limit_is_told_as_none(tmp_path):
    """`max`, no files, and a system without cgroup v2 leave the host's own figures."""
    own, root = cgroup(tmp_path, pod_cpu="max 100000", pod_memory="max")
    assert cpu_limit(own, root) is None
    assert memory_limit_bytes(own, root) is None
    assert cpu_limit(tmp_path / "absent", root) is None


def test_samples_are_shares_of_what_is_available():
    """Memory is a share between 0 and 1, and cpu is measured from the first sample on."""
    pytest.importorskip("psutil")
    sample = sampler()
    total = sum(number * number for number in range(2_000_000))
    taken = sample()
    assert total and 0 < taken.cpu < 1.5
    assert 0 < taken.memory < 1
    assert taken.memory_bytes > 1 << 20
    assert taken.threads >= 1


def test_a_sample_becomes_a_resource_record_of_the_version_that_serves(wire):
    """Samples carry the model, its current version and the instance."""
    monitor = wire.monitor(instance="pod-7")
    monitor.deploy("13")
    monitor._emitter.send_sample(sampler()(), wire.send)
    wire.drain(monitor)
    record = wire.records[0]
    assert (record.model, record.version, record.instance) == ("risk/fraud", "13", "pod-7")
    assert record.cpu is not None and record.memory is not None
