"""Limits and throttling are those of the process's control groups, v2 and v1, and of all above."""

import pytest

from inferwatch.sdk.cgroup import cpu_limit, memory_limit_bytes, throttling


class Tree:
    """Files of control groups; `own` is what the process's /proc/self/cgroup says."""

    def __init__(self, root, own):
        self.root, self.own = root, root / "self"
        self.own.write_text(own)

    def write(self, group, **files):
        """Files of a group, `cpu_max` for cpu.max."""
        folder = self.root / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("_", ".", 1)).write_text(text + "\n")

    def limits(self):
        """Cores and bytes."""
        return cpu_limit(self.own, self.root), memory_limit_bytes(self.own, self.root)

    def stat(self, group, periods, throttled):
        """What the scheduler has counted for a group so far."""
        lines = [f"nr_periods {periods}", f"nr_throttled {throttled}", "throttled_usec 12345"]
        self.write(group, cpu_stat="usage_usec 1\n" + "\n".join(lines))

    def throttling(self):
        """The function under test."""
        return throttling(self.own, self.root)


@pytest.fixture
def v2(tmp_path):
    return Tree(tmp_path, "0::/pod/container\n")


@pytest.fixture
def v1(tmp_path):
    return Tree(
        tmp_path,
        "9:name=systemd:/x\n4:memory:/pod/container\n2:cpu,cpuacct:/pod/container\n0::/\n",
    )


def test_the_tightest_limit_on_the_way_up_counts(v2):
    """A pod's limit binds its containers."""
    v2.write("pod", cpu_max="150000 100000", memory_max="max")
    v2.write("pod/container", cpu_max="400000 100000", memory_max="1048576")
    assert v2.limits() == (1.5, 1 << 20)


def test_the_tightest_limit_on_the_way_up_counts_in_version_1(v1):
    """Each controller has a tree of its own; no limit is -1, or the largest number of pages."""
    v1.write("cpu/pod", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000")
    v1.write("cpu/pod/container", cpu_cfs_quota_us="250000", cpu_cfs_period_us="100000")
    v1.write("memory", memory_limit_in_bytes="9223372036854771712")
    v1.write("memory/pod", memory_limit_in_bytes="2097152")
    v1.write("memory/pod/container", memory_limit_in_bytes="4194304")
    assert v1.limits() == (2.5, 2 << 20)


def test_a_container_that_sees_its_group_as_the_root_has_its_limits(v1):
    """The path is the host's and not there; what is mounted at the root is the group itself."""
    v1.write("cpu", cpu_cfs_quota_us="50000", cpu_cfs_period_us="100000")
    v1.write("memory", memory_limit_in_bytes="1048576")
    assert v1.limits() == (0.5, 1 << 20)


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense", "-1 100000"])
def test_no_limit_is_told_as_none(v2, text):
    """`max`, nothing, and what is no number leave the host's own figures."""
    v2.write("pod", cpu_max=text, memory_max=text.partition(" ")[0])
    assert v2.limits() == (None, None)
    assert v2.throttling()() is None


def test_without_control_groups_there_is_no_limit(tmp_path):
    """Another system, or /proc not mounted."""
    nowhere = tmp_path / "nowhere"
    assert cpu_limit(nowhere, tmp_path) is None
    assert memory_limit_bytes(nowhere, tmp_path) is None
    assert throttling(nowhere, tmp_path)() is None


def test_throttling_is_the_share_of_periods_since_the_call_before(v2):
    """Of groups on the way up the highest share; an idle process has no period and was not stopped.

    The counters are since the group was made, so what was before the first call does not count.
    """
    v2.write("pod/container", cpu_max="100000 100000")
    v2.stat("pod", 1_000, 900)
    v2.stat("pod/container", 100, 90)
    share = v2.throttling()
    assert share() == 0.0
    v2.stat("pod", 1_100, 910)
    v2.stat("pod/container", 140, 100)
    assert share() == pytest.approx(10 / 40)
    v2.stat("pod", 1_110, 918)
    assert share() == pytest.approx(8 / 10)
    assert share() == 0.0


def test_throttling_in_version_1(v1):
    """The same two counters; the time beside them is in other units and not read."""
    v1.write("cpu/pod/container", cpu_cfs_quota_us="50000", cpu_cfs_period_us="100000")
    v1.stat("cpu/pod/container", 0, 0)
    share = v1.throttling()
    v1.stat("cpu/pod/container", 100, 35)
    assert share() == pytest.approx(0.35)


def test_a_quota_that_is_given_or_taken_while_the_process_runs(v2):
    """Limits are read with each sample: Kubernetes may resize a pod in place."""
    v2.write("pod/container", cpu_max="max 100000")
    v2.stat("pod/container", 0, 0)
    share = v2.throttling()
    assert share() is None
    v2.write("pod/container", cpu_max="100000 100000")
    v2.stat("pod/container", 10, 5)
    assert share() == pytest.approx(0.5)
    v2.write("pod/container", cpu_max="max 100000")
    assert share() is None
