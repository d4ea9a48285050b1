"""What this process uses, as a share of what it may use: its cgroups' limits before the host's.

Needs psutil; without it there are no samples. A sample costs about 0.3 ms, and what the driver
takes where there are GPUs.
"""

import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from inferwatch.records.raw import INSTANCE_MAX
from inferwatch.sdk import cgroup
from inferwatch.sdk.gpu import gpus

CPUINFO = Path("/proc/cpuinfo")


class Sample(msgspec.Struct, frozen=True):
    """`cpu`, `memory`, `gpu` and `gpu_memory` are 0…1 of what is available, cpu since the sample
    before; `throttled` the share of CPU periods since then in which the process was stopped. What
    the machine does not have is None. Clocks that disagree by a little make no share above 1.
    """

    cpu: float
    memory: float
    memory_bytes: int
    threads: int
    started_ms: int
    hardware: str
    throttled: float | None = None
    gpu: float | None = None
    gpu_memory: float | None = None


def sampler() -> Callable[[], Sample] | None:
    """A function that takes samples, already primed; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    process = psutil.Process()
    cores = min(_cores(), cgroup.cpu_limit() or math.inf)
    host_bytes = psutil.virtual_memory().total
    memory_max = min(host_bytes, cgroup.memory_limit_bytes() or host_bytes)
    throttled, found = cgroup.throttling(), gpus()
    # what psutil says is early by up to a second; a start must not lie before the end of the last
    started_ms = int(min(process.create_time() + 1, time.time()) * 1_000)
    described = ", ".join([_processor(), *(found.names if found else [])])[:INSTANCE_MAX]
    process.cpu_percent()  # the first call has nothing to compare with and answers 0

    def sample() -> Sample:
        with process.oneshot():
            used_bytes = process.memory_info().rss
            return Sample(
                cpu=min(1.0, process.cpu_percent() / 100 / cores),
                memory=min(1.0, used_bytes / memory_max),
                memory_bytes=used_bytes,
                threads=process.num_threads(),
                started_ms=started_ms,
                hardware=described,
                throttled=throttled(),
                gpu=found.utilisation() if found else None,
                gpu_memory=found.memory() if found else None,
            )

    return sample


def _cores() -> int:
    """Cores that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor(cpuinfo: Path = CPUINFO) -> str:
    """ "8 x AMD EPYC 7B13": the machine's cores, whatever part of them the process may use."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count() or 1} x {next(names, '') or platform.machine()}"
