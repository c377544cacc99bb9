"""Loads the store of a workspace and prints what came of it, and at what cost.

``examine.py WORKSPACE`` prints, as JSON: the error's code or the integrity; the number of sessions
read or salvaged; the seconds that it took; the most memory that it took, in MiB.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import anyio

from frith.errors import CorruptStoreError, StoreError
from frith_json.options import JsonOptions
from frith_json.store import JsonStore


async def outcome(workspace: Path) -> tuple[str, int]:
    """Return what loading came to."""
    async with JsonStore.opened(workspace, JsonOptions(write_timeout=600)) as store:
        try:
            snapshot = await store.load()
        except CorruptStoreError as error:
            return error.code, len(error.salvage)
        except StoreError as error:
            return error.code, 0
    return snapshot.integrity.value, len(snapshot.sessions)


if __name__ == "__main__":
    start = time.monotonic()
    what, count = anyio.run(outcome, Path(sys.argv[1]))
    took = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([what, count, took, peak >> (20 if sys.platform == "darwin" else 10)]))
