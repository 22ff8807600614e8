"""``python -m skstruct`` is the command line."""

import sys

from skstruct.cli import main

if __name__ == "__main__":
    sys.exit(main())
