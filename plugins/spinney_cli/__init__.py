"""The ``spinney`` command: a host like any other, in a terminal."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from spinney_cli._streams import open_closed


def main() -> None:
    """Run the command with the arguments of this process, and exit with its exit code."""
    open_closed()
    if any(find_spec(library) is None for library in ("click", "rich")):
        print("spinney: the command needs more: pip install 'spinney[cli]'", file=sys.stderr)
        sys.exit(2)
    from spinney_cli._app import run

    sys.exit(run(sys.argv[1:]))
