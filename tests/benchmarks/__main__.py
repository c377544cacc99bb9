"""Prints every benchmark: ``python tests/benchmarks [NAME …]``.

Each figure is a ratio to a bare bound measured in the same run, for absolute times move from day
to day; what it is measured against stands beside it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

NAMES = ("core", "files", "ledger", "store", "worktrees", "terminals", "keeper", "status")


def main(names: list[str]) -> None:
    """Run the benchmarks called ``names``, all if there are none."""
    sys.path.insert(0, str(Path(__file__).parent))
    for name in names or NAMES:
        print(f"\n{name}")
        for what, figure, against in import_module(f"bench_{name}").run():
            print(f"  {what:<62} {figure:>8.2f} {against}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
