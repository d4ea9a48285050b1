"""What the SDK costs a model server before its first row: CPU time and memory of a fresh process.

Each program does one step more than the one before it and is compared with a bare interpreter.
Programs take turns; the best of all rounds counts, because what disturbs a process only makes it
dearer.
"""

import argparse
import os
import subprocess
import sys

import report

COMMAND = "python benchmarks/import_cost.py"
BARE = "bare interpreter"
IMPORT = "import inferwatch"
CLASS = "from inferwatch import Monitor"
MONITOR = "a Monitor made"
FIRST_ROW = "its first row, which starts the Kafka client"
PROGRAM = {
    BARE: "",
    IMPORT: "import inferwatch",
    CLASS: "from inferwatch import Monitor",
    MONITOR: "monitor = Monitor('team/model', '1', connection=inferwatch.connection.Connection(S))",
    FIRST_ROW: "monitor.log(features={'amount': 1.0}, prediction=1); monitor.flush(0.3)",
}
ENDING = "import os; os._exit(0)"  # the exit handler would wait for a broker that is not there
NOWHERE = "127.0.0.1:1"


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """CPU milliseconds and resident megabytes of a process that ends after each step."""
    found: dict[str, list[tuple[float, float]]] = {step: [] for step in PROGRAM}
    for _ in range(rounds):
        for step in PROGRAM:
            found[step].append(_cost(_program(step)))
    return {
        step: (min(ms for ms, _ in costs), min(mb for _, mb in costs))
        for step, costs in found.items()
    }


def _program(last: str) -> str:
    lines = []
    for step, line in PROGRAM.items():
        lines.append(line)
        if step == last:
            break
    return "\n".join([f"S = {NOWHERE!r}", *lines, ENDING])


def _cost(program: str) -> tuple[float, float]:
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | report.QUIET,
        stderr=subprocess.PIPE,  # the SDK says that it finds no broker
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stderr is not None
    with process.stderr as words:
        if process.returncode:
            sys.exit(f"this program failed:\n{program}\n{words.read().decode()}")
    return (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024


def figures(costs: dict[str, tuple[float, float]]) -> list[report.Figure]:
    """What is added to a bare interpreter after each step."""
    bare_ms, bare_mb = costs[BARE]
    found = [report.Figure(BARE, f"{bare_ms:.0f} ms CPU, {bare_mb:.0f} MB", COMMAND)]
    for step, (ms, mb) in list(costs.items())[1:]:
        value = f"+{ms - bare_ms:.0f} ms CPU, +{mb - bare_mb:.0f} MB"
        found.append(report.Figure(f"… and {step}", value, COMMAND))
    return found


def main() -> None:
    """`python benchmarks/import_cost.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    print(report.table(figures(measure(given.rounds))))


if __name__ == "__main__":
    main()
