"""`inferwatch simulate`"""

import argparse
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from inferwatch.cli.amounts import count, whole
from inferwatch.cli.table import table
from inferwatch.errors import Exit
from inferwatch.testing.simulation import POINTS, Result
from inferwatch.testing.simulation import run as play

AGAIN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the simulator."""
    parser.add_argument("--seeds", type=count, default=100, metavar="N", help="how many; 100")
    parser.add_argument("--first", type=whole, default=0, metavar="SEED", help="the first one; 0")
    parser.add_argument(
        "--jobs", type=count, default=os.cpu_count() or 1, metavar="N", help="processes at a time"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run seeds, print what was broken and what came of it."""
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    faults, crashes = Counter[str](), Counter[str]()
    exits, totals = Counter[int](), Counter[str]()
    failed = []
    for result in results(seeds, arguments.jobs):
        faults.update({name: n for name, n in result.faults.items() if name[:6] != "crash "})
        crashes.update(result.crashes)
        exits.update(result.exits)
        totals.update(rows=result.rows, outputs=result.outputs, repeats=result.repeats)
        if result.failures:
            failed.append(result)
            print(f"seed {result.seed} failed: {'; '.join(result.failures)[:500]}")
    print(table(["fault", "times"], [[name, str(n)] for name, n in faults.most_common()]))
    print()
    print(table(["crash point", "times"], [[name, str(crashes[name])] for name in POINTS]))
    print()
    print(
        f"{len(seeds)} seeds: {totals['rows']:,} rows, {totals['outputs']:,} outputs, "
        f"{totals['repeats']:,} repeated with equal bytes, {sum(exits.values()):,} processes "
        f"ended, {len(failed)} seeds failed"
    )
    for result in failed[:AGAIN]:
        print(f"repeat with: inferwatch simulate --seeds 1 --first {result.seed}")
    return Exit.FINDINGS if failed else Exit.DONE


def results(seeds: Iterable[int], jobs: int) -> Iterator[Result]:
    """The result of each seed, in their order."""
    if jobs < 2:
        yield from map(play, seeds)
        return
    silent = (signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends them, and only we say so
    with ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=silent) as pool:
        yield from pool.map(play, seeds, chunksize=4)
