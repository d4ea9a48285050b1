"""CPU and memory of this process as a share of what it may use: cgroup v2 limits before the host's.

Needs psutil; without it there are no samples. A sample costs about 0.2 ms, every ten seconds, on
the sender's thread.
"""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

CGROUP_ROOT = Path("/sys/fs/cgroup")


class Sample(msgspec.Struct, frozen=True):
    """`cpu` and `memory` are 0…1 of what is available; cpu since the sample before."""

    cpu: float
    memory: float
    memory_bytes: int
    threads: int


def sampler() -> Callable[[], Sample] | None:
    """A function that takes samples, already primed; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    process = psutil.Process()
    cores = min(_cores(), cpu_limit() or math.inf)
    memory_max = memory_limit_bytes() or psutil.virtual_memory().total
    process.cpu_percent()  # the first call has nothing to compare with and answers 0

    def sample() -> Sample:
        with process.oneshot():
            used_bytes = process.memory_info().rss
            return Sample(
                cpu=process.cpu_percent() / 100 / cores,
                memory=used_bytes / memory_max,
                memory_bytes=used_bytes,
                threads=process.num_threads(),
            )

    return sample


def _cores() -> int:
    """Cores that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_limit(own: Path = Path("/proc/self/cgroup"), root: Path = CGROUP_ROOT) -> float | None:
    """Cores that the cgroup or one above it allows; None without a limit."""
    limits = []
    for group in _groups(own, root):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit_bytes(
    own: Path = Path("/proc/self/cgroup"), root: Path = CGROUP_ROOT
) -> int | None:
    """Bytes that the cgroup or one above it allows; None without a limit."""
    texts = [_read(group / "memory.max") for group in _groups(own, root)]
    return min((int(text) for text in texts if text.isdigit()), default=None)


def _groups(own: Path, root: Path) -> Iterator[Path]:
    """The process's own cgroup (v2) and those above it."""
    for line in _read(own).splitlines():
        if line.startswith("0::"):
            group = root / line[3:].lstrip("/")
            yield group
            while group != root:
                group = group.parent
                yield group


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
