#!/usr/bin/env python3
"""Break real workers on a real Kafka by hand and print what came of it.

    python scripts/chaos.py --faults 25 --rows 5000000      kills, stalls, joins, broker restarts
    python scripts/chaos.py f08                             54 request errors, embedded brokers

Start it with `setsid`, or from a shell of its own: stopped children are part of the plan. Needs
Java 17 and Maven (scripts/kafka.py). Exit 1 when anything was lost, doubled or different.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests" / "integration")]

import chaos  # noqa: E402 - found by the path above
import request_errors  # noqa: E402 - found by the path above
from real_broker import RealBroker  # noqa: E402 - found by the path above


def main() -> int:
    """Run one plan."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["plan", "f08"], default="plan")
    parser.add_argument("--faults", default="25", help="how many, or a letter for each")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=8.0, help="batches of 500 rows a second")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--models", type=int, default=8)
    arguments = parser.parse_args()
    if arguments.what == "f08":
        return errors()
    given: str = arguments.faults
    plan = chaos.Plan(
        faults=chaos.draw(int(given), arguments.seed) if given.isdigit() else given,
        rows=arguments.rows,
        seed=arguments.seed,
        pace=arguments.pace,
        partitions=arguments.partitions,
        models=arguments.models,
    )
    print(f"seed {plan.seed}: {plan.faults}", flush=True)
    broker = RealBroker()
    try:
        with tempfile.TemporaryDirectory(prefix="inferwatch-chaos-") as folder:
            report = chaos.run(
                plan, broker, "chaos.", Path(folder), lambda line: print(line, flush=True)
            )
    finally:
        broker.stop()
    print(table(report))
    return int(bool(report.problems()))


def errors() -> int:
    """Every error on every request, a line each."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="inferwatch-chaos-") as folder:
        found = request_errors.outcomes(request_errors.ALL, Path(folder))
        for (request, code), outcome in zip(request_errors.ALL, found, strict=True):
            failed += outcome.startswith("FAILED")
            print(f"{request:<14} {code:>3}  {outcome}", flush=True)
    print(f"{len(request_errors.ALL)} errors, {failed} failed")
    return int(failed > 0)


def table(report: chaos.Report) -> str:
    """The outcome, a line a figure."""
    lost = sum(report.wanted_rows.values()) - sum(report.model_rows.values())
    lines = [
        ("rows of predictions fed", f"{report.fed_rows:,}"),
        ("faults", ", ".join(f"{n} {name}" for name, n in sorted(report.faults.items()))),
        ("exits by code", ", ".join(f"{n} × {code}" for code, n in sorted(report.exits.items()))),
        ("rows lost or counted twice", f"{lost:,.0f}"),
        ("windows that differ from what was fed", str(len(report.wrong_windows))),
        ("windows published, equal repeats", f"{report.outputs:,}, {report.repeats:,}"),
        ("SIGTERM to exit", f"{spread(report.drained_s)} s"),
    ]
    for name, seconds in sorted(report.resumed_s.items()):
        lines.append((f"{name}: all partitions commit after", f"{spread(seconds)} s"))
        lines.append((f"{name}: caught up after", f"{spread(report.caught_up_s[name])} s"))
    lines += [(f"digest, {name}", digest[:16]) for name, digest in report.digests.items()]
    lines += [("took", f"{report.seconds:.0f} s")]
    lines += [("PROBLEM", problem) for problem in report.problems()]
    return "\n".join(f"{name:<40} {value}" for name, value in lines)


def spread(values: list[float]) -> str:
    """Median and worst."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f} (worst {ordered[-1]:.1f})" if ordered else "none"


if __name__ == "__main__":
    sys.exit(main())
