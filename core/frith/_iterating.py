"""Iterating over what a port yields, and closing it however that ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

_Item = TypeVar("_Item")


@asynccontextmanager
async def closing(items: AsyncIterable[_Item]) -> AsyncIterator[AsyncIterator[_Item]]:
    """Iterate over ``items``; close them at the end if they are a generator.

    One that is left to the garbage collector runs its ``finally`` at any time, or never.
    """
    iterator = aiter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
