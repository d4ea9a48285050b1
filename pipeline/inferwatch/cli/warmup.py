"""`inferwatch warmup`"""

import argparse
import time

from inferwatch import detectors
from inferwatch.kernels.warm import warm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none: `NUMBA_CACHE_DIR` says where compiled code goes."""


def run(arguments: argparse.Namespace) -> int:
    """Compile every kernel; quick where that was done before."""
    print("compiling kernels: once, a minute, on a busy machine some", flush=True)
    began_s = time.monotonic()
    warm()
    detectors.warm()
    print(f"kernels are compiled ({time.monotonic() - began_s:.1f} s)")
    return 0
