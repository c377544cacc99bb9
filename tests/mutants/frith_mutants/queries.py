"""Terminals that answer the queries of a process wrongly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from frith.ports import Chunk
from frith.providers import Role
from frith_mutants.mutant import Mutant

Part = Callable[..., Any]

_mutant = partial(Mutant, Role.TERMINAL)
_keeper = partial(Mutant, Role.TERMINAL, plugin="frith_keeper")
_ANSWERING = "frith_terminals.answering:Answering"
_KEPT = "frith_keeper.terminal:KeeperTerminal"


def _does_nothing(_: Part) -> Part:
    async def careless(*_: Any) -> None:
        pass

    return careless


def _does_it_twice(answer: Part) -> Part:
    async def careless(self: Any, query: Any) -> None:
        await answer(self, query)
        await answer(self, query)

    return careless


def _leaves_all(_: Part) -> Part:
    return lambda self, offset, data, asked=(): data


def _keeps_all(_: Part) -> Part:
    return lambda self, *viewers: None


def _replays(_: Part) -> Part:
    def careless(self: Any) -> Chunk:
        first, kept = self.ring.newest()
        return Chunk(first, kept[: self.end - first])

    return careless


def _claims_all(_: Part) -> Part:
    async def careless(self: Any, queries: Any) -> dict[int, str | None]:
        return dict.fromkeys(queries)

    return careless


def _writes(_: Part) -> Part:
    async def careless(self: Any, _query: int, answer: bytes) -> None:
        await self.write(answer)

    return careless


def _asks_no_viewer(claim: Part) -> Part:
    async def careless(self: Any, queries: Any) -> dict[int, str | None]:
        return dict.fromkeys(await claim(self, queries))

    return careless


def _from_the_start(viewers: Part) -> Part:
    return lambda ring, sizes, hold, later, recent: viewers(ring, sizes, hold, later, 0)


QUERIES = (
    _mutant(
        "answers-nothing",
        "A query is not answered while nobody watches.",
        "a query without viewers is answered once",
        replaces={f"{_ANSWERING}._answer_one": _does_nothing},
        case="status",
    ),
    _mutant(
        "answers-twice",
        "A query is answered twice.",
        "a query without viewers is answered once",
        replaces={f"{_ANSWERING}._answer_one": _does_it_twice},
        case="status",
    ),
    _mutant(
        "searches-each-reading",
        "A query that comes in two readings is not noticed.",
        "a query that is written in parts is answered once",
        replaces={"frith_os.pty.queries:_begin_of_unfinished": lambda _: len},
    ),
    _mutant(
        "asks-every-viewer",
        "Every viewer sees a query, and its terminal answers it.",
        "the viewer that set the latest size is asked",
        replaces={"frith_terminals.queries:Queries.blanked": _leaves_all},
    ),
    _mutant(
        "asks-who-has-left",
        "A viewer that has left is still asked.",
        "the next viewer is asked after one has left",
        replaces={"frith_os.pty.windows:Windows.remove": _keeps_all},
    ),
    _mutant(
        "waits-for-its-viewer",
        "A query waits as long as its viewer does not read.",
        "a query is answered if its viewer does not read",
        replaces={f"{_ANSWERING}._take_back": _does_nothing},
    ),
    _mutant(
        "replays-queries",
        "The scrollback has the queries, which each new viewer's terminal answers again.",
        "a replay shows no query",
        replaces={"frith_terminals.viewing:Viewers.newest": _replays},
    ),
    _keeper(
        "answers-in-every-host",
        "Every host answers a query.",
        "only one of several hosts answers",
        replaces={f"{_KEPT}._claim": _claims_all, f"{_KEPT}._answer": _writes},
    ),
    _keeper(
        "asks-no-viewer",
        "The host answers although a viewer owns the size.",
        "the viewer in another host is asked",
        replaces={f"{_KEPT}._claim": _asks_no_viewer},
    ),
    _keeper(
        "answers-what-is-long-past",
        "A host answers queries that were written when there was none.",
        "a query while no host runs is answered once",
        replaces={
            "frith_keeper.terminal:Viewers": _from_the_start,
            f"{_KEPT}._claim": _claims_all,
            f"{_KEPT}._answer": _writes,
        },
    ),
)
