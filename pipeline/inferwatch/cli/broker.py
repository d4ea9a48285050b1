"""`inferwatch broker`"""

import argparse
import signal
import sys

from inferwatch.connection import PREFIX
from inferwatch.runtime import embedded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the embedded broker."""
    parser.add_argument("--prefix", default=PREFIX, help="of the topics' names")


def run(arguments: argparse.Namespace) -> int:
    """Run the embedded broker until Ctrl-C."""
    broker = embedded.start(prefix=arguments.prefix)
    print(broker.bootstrap_servers, flush=True)
    print("in memory only: what it holds ends with it (Ctrl-C)", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return broker.process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        broker.stop()
