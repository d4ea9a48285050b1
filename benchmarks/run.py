"""Every benchmark, one after the other: `make bench`. Figures are printed, never judged."""

import argparse
import subprocess
import sys

import report

BENCHMARKS = ("throughput", "kernels", "fold", "import_cost", "sdk")


def main() -> int:
    """The machine, then one line a figure with the command that repeats it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put what is printed in RESULTS.md")
    given = parser.parse_args()
    printed = [report.machine()]
    print(printed[0], flush=True)
    for name in BENCHMARKS:
        print(f"\n{name}", flush=True)
        command = [sys.executable, report.HERE / f"{name}.py"]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(ran.stdout, end="", flush=True)
        if ran.returncode:
            return ran.returncode
        printed.append(f"{name}\n{ran.stdout}")
    if given.write:
        report.keep("make bench", "\n\n".join(part.strip() for part in printed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
