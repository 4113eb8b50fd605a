"""``python -m elman``."""

import sys

from elman._cli import main

if __name__ == "__main__":
    sys.exit(main())
