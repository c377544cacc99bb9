from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .panes import Panes


@pytest.fixture(scope="module")
def panes() -> Iterator[Panes]:
    # a path short enough for a socket
    with TemporaryDirectory(prefix="frith-") as directory:
        panes = Panes(Path(directory))
        try:
            # the server lives as long as its last session
            panes.run(["cat"])
            yield panes
        finally:
            panes.close()
