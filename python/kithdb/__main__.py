"""The command `kithdb`: the server and the command line, out of the extension module."""

from __future__ import annotations

import signal
import sys

from kithdb._kithdb import run


def main() -> None:
    """Runs the command line of this process."""
    # Python notices a signal only between its own steps, and there are none until the command has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run(["kithdb", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
