"""Try bad input by hand: `python scripts/fuzz.py --mutations 1000000` (some twenty minutes).

Prints what became of it by target and outcome, and every crash with an example; exit 1 on any.
"""

import argparse
import logging
import sys
import time
import warnings

from inferwatch.testing import fuzz

ROUND = 50_000


def main() -> int:
    """Run in rounds of 50,000, so that something is seen of it."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--mutations", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore", RuntimeWarning)  # overflow, where a mutation made it so
    report, began_s = fuzz.Report(), time.monotonic()
    for number in range(-(-arguments.mutations // ROUND)):
        wanted = min(ROUND, arguments.mutations - number * ROUND)
        found = fuzz.run(f"{arguments.seed}/{number}", wanted)
        report.outcomes.update(found.outcomes)
        report.crashes |= found.crashes
        took_s = time.monotonic() - began_s
        print(f"{report.total():,} in {took_s:,.0f} s, {len(report.crashes)} crashes", flush=True)
    for (target, outcome), count in sorted(report.outcomes.items()):
        print(f"{target:10} {outcome:14} {count:9,}")
    for place, told in report.crashes.items():
        print(f"\n== {place}\n{told}")
    return 1 if report.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
