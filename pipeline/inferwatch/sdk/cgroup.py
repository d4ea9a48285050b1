"""What the control groups of this process allow it, and when they stopped it; v2 and v1.

A group is bound by those above it, so all are read up to the root. A container may see its own
group as the root, under a path that is the host's: what cannot be read is passed over.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

OWN = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 1 << 60  # v1 writes no limit as the largest number of whole pages


def cpu_limit(own: Path = OWN, root: Path = ROOT) -> float | None:
    """Cores that the process's group or one above it allows; None without a limit."""
    limits = []
    for group in _groups("cpu", own, root):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if not quota:
            quota, period = (_read(group / f"cpu.cfs_{part}_us") for part in ("quota", "period"))
        if quota.isdigit() and period.isdigit():  # without a limit v2 says "max", v1 "-1"
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit_bytes(own: Path = OWN, root: Path = ROOT) -> int | None:
    """Bytes that the process's group or one above it allows; None without a limit."""
    texts = [
        _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
        for group in _groups("memory", own, root)
    ]
    limits = [int(text) for text in texts if text.isdigit()]
    return min((limit for limit in limits if limit < UNLIMITED_BYTES), default=None)


def throttling(own: Path = OWN, root: Path = ROOT) -> Callable[[], float | None]:
    """A function that tells how often the process was stopped because its CPU quota was used up.

    It gives the share of the quota's periods (100 ms each, as a rule) since it was called last that
    ended so, 0…1; of several groups the highest. None where no group has a quota.
    """
    before = _periods(own, root)

    def share() -> float | None:
        nonlocal before
        if cpu_limit(own, root) is None:
            return None
        now, last = _periods(own, root), before
        before = now
        shares = [0.0]
        for group, (periods, throttled) in now.items():
            earlier_periods, earlier_throttled = last.get(group, (0, 0))
            if periods > earlier_periods:
                shares.append((throttled - earlier_throttled) / (periods - earlier_periods))
        return min(1.0, max(shares))

    return share


def _periods(own: Path, root: Path) -> dict[Path, tuple[int, int]]:
    """Of each group the periods so far in which it ran, and those in which it was stopped."""
    found = {}
    for group in _groups("cpu", own, root):
        lines = [line.split() for line in _read(group / "cpu.stat").splitlines()]
        counts = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
        if "nr_periods" in counts:
            found[group] = counts["nr_periods"], counts.get("nr_throttled", 0)
    return found


def _groups(controller: str, own: Path, root: Path) -> Iterator[Path]:
    """The process's group of a controller and those above it, of lines as "0::/path" (v2) and
    "4:cpu,cpuacct:/path" (v1).
    """
    for line in _read(own).splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        top = root / controller if names else root
        group = top / path.lstrip("/")
        yield group
        while group != top:
            group = group.parent
            yield group


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
