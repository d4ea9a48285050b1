"""Every benchmark, one after the other: `make bench`. Figures are printed, never judged."""

import subprocess
import sys

import report

BENCHMARKS = ("throughput", "kernels", "fold", "import_cost", "sdk")


def main() -> int:
    """The machine, then one line a figure with the command that repeats it."""
    print(report.machine(), flush=True)
    for name in BENCHMARKS:
        print(f"\n{name}", flush=True)
        ran = subprocess.run([sys.executable, report.HERE / f"{name}.py"], check=False)
        if ran.returncode:
            return ran.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
