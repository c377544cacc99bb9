"""The contents that a file may have after a crash, given the writes since its last sync."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

BLOCK = 4096
"""Bytes that persist as a whole."""
_COMBINATIONS = 256
"""Up to how many combinations of blocks all are tried; of more, those with few missing blocks."""


@dataclass(frozen=True, slots=True)
class Write:
    """Data was written."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """The size was set."""

    size: int


Change: TypeAlias = Write | Truncate


def after(content: bytes, changes: Sequence[Change]) -> bytes:
    """Return ``content`` after ``changes``."""
    for change in changes:
        match change:
            case Truncate(size):
                content = content[:size].ljust(size, b"\0")
            case Write(offset, data):
                before = content[:offset].ljust(offset, b"\0")
                content = before + data + content[offset + len(data) :]
    return content


def ordered_contents(durable: bytes, changes: Sequence[Change]) -> list[bytes]:
    """Return the contents that the ordered model allows: see :mod:`.disk`."""
    found = {durable: None}
    for size, change in enumerate(changes):
        before = after(durable, changes[:size])
        if isinstance(change, Write):
            half = Write(change.offset, change.data[: len(change.data) // 2])
            found[after(before, [half])] = None
        found[after(before, [change])] = None
    return list(found)


def weak_contents(durable: bytes, changes: Sequence[Change]) -> tuple[list[bytes], int]:
    """Return the contents that the weak model allows, and the number of those left out."""
    versions = [after(durable, changes[:size]) for size in range(len(changes) + 1)]
    sizes = [*dict.fromkeys(map(len, versions))]
    blocks = [_blocks(versions, start) for start in range(0, max(sizes), BLOCK)]
    total = prod(map(len, blocks))
    combinations = product(*blocks) if total <= _COMBINATIONS else _few_amiss(blocks)
    found: dict[bytes, None] = {}
    tried = 0
    for combination in combinations:
        tried += 1
        whole = b"".join(combination)
        found.update(dict.fromkeys(whole[:size] for size in sizes))
    return list(found), max(0, total - tried) * len(sizes)


def _blocks(versions: Sequence[bytes], start: int) -> list[bytes]:
    """Return the possible contents of the block at ``start``, the oldest first."""
    held = (version[start : start + BLOCK].ljust(BLOCK, b"\0") for version in versions)
    return [*dict.fromkeys(held)]


def _few_amiss(blocks: Sequence[Sequence[bytes]]) -> Iterator[tuple[bytes, ...]]:
    """Yield all old, all new, one of the two up to some block, one of the two but for a block."""
    oldest = tuple(block[0] for block in blocks)
    newest = tuple(block[-1] for block in blocks)
    for start in range(len(blocks) + 1):
        yield newest[:start] + oldest[start:]
        yield oldest[:start] + newest[start:]
        if start < len(blocks):
            yield newest[:start] + oldest[start : start + 1] + newest[start + 1 :]
            yield oldest[:start] + newest[start : start + 1] + oldest[start + 1 :]
