"""What the benchmarks share: quiet settings, the machine, one line a figure."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"

# Without the first three a benchmark measures page faults: glibc gives the top of the heap back and
# faults it in again all the time.
QUIET = {
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PACKAGES = (
    *("faust-streaming", "aiokafka", "confluent-kafka"),
    *("msgspec", "numpy", "numba", "scipy", "river"),
)


@dataclass(frozen=True)
class Figure:
    """One line of the table; `command` repeats it."""

    what: str
    value: str
    command: str


def machine() -> str:
    """Cores, CPU, memory, versions and load, as far as a reader needs them to judge a figure."""
    found = [f"{name} {_version(name)}" for name in PACKAGES]
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {_cpu_model()}, {memory:.0f} GiB, {system}, load {load}\n"
        f"inferwatch {_version('inferwatch')}, {', '.join(found)}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _cpu_model() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown CPU"


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    widths = [max(len(one.what) for one in figures), max(len(one.value) for one in figures)]
    return "\n".join(
        f"{one.what:<{widths[0]}}  {one.value:>{widths[1]}}  {one.command}" for one in figures
    )


def keep(command: str, printed: str) -> None:
    """Put what `command` has printed into RESULTS.md, in place of what it had printed before."""
    head, *parts = RESULTS.read_text(encoding="utf-8").split("\n## ")
    sections = {part.split("\n", 1)[0]: part.rstrip() for part in parts}
    title = f"`{command}`"
    sections[title] = f"{title}\n\n```\n{printed.strip()}\n```"
    RESULTS.write_text("\n\n## ".join([head.rstrip(), *sections.values()]) + "\n", "utf-8")
