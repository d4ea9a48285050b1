"""CPU and memory of this process by psutil, where it is installed; silent where it is not.

Container limits count before host totals: a share of what the process may use is what tells.
"""

import os
import time
from pathlib import Path
from typing import Any

from inferwatch.records.events import Resource

CGROUP = Path("/sys/fs/cgroup")


class Sampler:
    """Samples one process; the first CPU reading is from its start to the first sample."""

    def __init__(self) -> None:
        self._process: Any = None
        try:
            import psutil
        except ImportError:
            return
        self._host_memory = psutil.virtual_memory().total
        self._process = psutil.Process(os.getpid())
        self._last = time.monotonic(), self._cpu_s()

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def sample(self, model: str, version: str, instance: str) -> Resource | None:
        """What the process uses now; None without psutil."""
        if self._process is None:
            return None
        now_s, cpu_s = time.monotonic(), self._cpu_s()
        (before_s, before_cpu_s), self._last = self._last, (now_s, cpu_s)
        rss = int(self._process.memory_info().rss)
        span_s = max(now_s - before_s, 1e-3)
        return Resource(
            model=model,
            version=version,
            instance=instance,
            time_ms=time.time_ns() // 1_000_000,
            cpu=min(1.0, (cpu_s - before_cpu_s) / span_s / cpus()),
            memory=min(1.0, rss / (limit("memory.max") or self._host_memory)),
            memory_bytes=rss,
            threads=int(self._process.num_threads()),
        )


def limit(name: str) -> int | None:
    """A number of cgroup v2; None without a limit."""
    try:
        text = (CGROUP / name).read_text(encoding="ascii").split()[0]
    except (OSError, IndexError):
        return None
    return int(text) if text.isdigit() and int(text) else None


def cpus() -> float:
    """CPUs that the process may use."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            return int(quota) / int(period)
    except (OSError, ValueError):
        pass
    return float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
