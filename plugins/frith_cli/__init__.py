"""The ``frith`` command: a host like any other, in a terminal."""

from __future__ import annotations

import sys

from frith_cli._streams import open_closed


def main() -> None:
    """Run the command with the arguments of this process, and exit with its exit code."""
    open_closed()
    from frith_cli._app import run

    sys.exit(run(sys.argv[1:]))
