"""Lowered resource limits of this process: setrlimit(2)."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit files to ``size`` bytes: EFBIG, after a short write of what fits."""
    with _lowered(resource.RLIMIT_FSIZE, size):
        yield


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """Let this process open so many more descriptors: EMFILE."""
    os.close(following := os.dup(0))
    with _lowered(resource.RLIMIT_NOFILE, following + number):
        yield


@contextmanager
def _lowered(which: int, to: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (to, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (soft, hard))
