"""`python -m bytewright` is the command `bytewright`."""

import sys

from bytewright.cli import main

if __name__ == "__main__":
    sys.exit(main())
