"""Evidently in its own environment: a report of data drift with 20,000 rows against 5,000.

`python evidently_report.py ROWS.npz`: says its version, then for each line on standard input takes
a turn and answers with its rows and the CPU nanoseconds of the process.
"""

import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

REFERENCE_ROWS = 5_000
ROWS = 20_000


def main() -> None:
    warnings.filterwarnings("ignore")
    with np.load(sys.argv[1]) as found:
        frame = pd.DataFrame({name: found[name] for name in found.files})
    reference, current = frame[:REFERENCE_ROWS], frame[REFERENCE_ROWS : REFERENCE_ROWS + ROWS]
    Report([DataDriftPreset()]).run(current[:ROWS], reference)
    print(f"evidently {version('evidently')}", flush=True)
    for _ in sys.stdin:
        began_ns = time.process_time_ns()
        Report([DataDriftPreset()]).run(current, reference)
        print(ROWS, time.process_time_ns() - began_ns, flush=True)


if __name__ == "__main__":
    main()
