"""`python -m inferwatch`: the command line, where no script of its name is on the path."""

import sys

from inferwatch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
