"""whylogs in its own environment: one profile that is fed blocks of 500 rows.

`python whylogs_blocks.py ROWS.npz`: says its version, then for each line on standard input takes a
turn and answers with its rows and the CPU nanoseconds of the process.
"""

import sys
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from whylogs.core import DatasetProfile

BLOCK = 500
ROWS = 5_000


def main() -> None:
    with np.load(sys.argv[1]) as found:
        frame = pd.DataFrame({name: found[name] for name in found.files})
    blocks = [frame[first : first + BLOCK] for first in range(0, ROWS, BLOCK)]
    profile = DatasetProfile()
    profile.track(blocks[0])
    print(f"whylogs {version('whylogs')}", flush=True)
    for _ in sys.stdin:
        began_ns = time.process_time_ns()
        for block in blocks:
            profile.track(block)
        print(ROWS, time.process_time_ns() - began_ns, flush=True)


if __name__ == "__main__":
    main()
