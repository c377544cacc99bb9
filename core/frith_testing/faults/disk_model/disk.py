"""A model of a disk: files, names, and which of them a crash may lose.

Both models after Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014 (ALICE):

*ordered* (a journal, as ext4 with ``data=ordered`` but delayed allocation)
    Changes of names persist in the order in which they were made: a crash leaves those before
    some moment. Any fsync(2) makes all earlier ones durable. The data of a file that was not synced
    since may be missing: the file has its content at the last sync, or that after some of the later
    writes, the last one perhaps by half.

*weak* (what POSIX promises, and no more)
    Each change that was not synced has persisted or not, in any combination. Names: each entry
    of a directory on its own until the directory is synced; changes of one entry in their order.
    Data: each block on its own until the file is synced, the writes to one block in their order;
    the size apart from the blocks, which read as zeros where they are missing. Syncing a file
    does not make its name durable.

In both a rename(2) is atomic, over two directories too, of which the sync of either makes it
durable; a crash falls between two system calls; permissions are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, islice, product
from math import prod
from pathlib import PurePosixPath
from typing import TypeAlias

from frith_testing.faults.disk_model.contents import (
    Change,
    Write,
    after,
    ordered_contents,
    weak_contents,
)
from frith_testing.faults.tree import Entry, Kind, Tree

Node: TypeAlias = int
"""A file, directory or symbolic link, independent of its names."""
Name: TypeAlias = tuple[Node, str]
"""An entry of a directory."""

_SUBSETS = 1024
"""The number of combinations of names that are tried at one moment."""
_COMBINATIONS = 4096
"""The number of combinations of contents that are tried for one combination of names."""
_COUNTED = 100_000
"""The number up to which left-out combinations are counted."""


class Model(StrEnum):
    """Which changes a crash may lose."""

    ORDERED = "ordered"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class Renaming:
    """A change of names that persists as a whole."""

    entries: tuple[tuple[Name, Node | None], ...]

    def touches(self, directory: Node) -> bool:
        """Return whether an entry of ``directory`` is changed."""
        return any(name[0] == directory for name, _ in self.entries)

    def follows(self, other: Renaming) -> bool:
        """Return whether both change the same entry."""
        mine = {name for name, _ in self.entries}
        return any(name in mine for name, _ in other.entries)


@dataclass(slots=True)
class _Inode:
    entry: Entry
    """The durable content."""
    changes: list[Change] = field(default_factory=list)
    """Changes of the content since the last sync."""

    @property
    def content(self) -> bytes:
        return after(self.entry.content, self.changes)


class Disk:
    """A tree as programs see it, and its durable part.

    Paths are relative to the root, which is ``""``.
    """

    def __init__(self, tree: Tree, model: Model) -> None:
        self.model = model
        self.left_out = 0
        """The number of states that :meth:`after_crash` left out; a lower bound if it is large."""
        self._numbers = count()
        self._inodes: dict[Node, _Inode] = {}
        self._durable: dict[Name, Node] = {}
        self._pending: list[Renaming] = []
        self.root = self._new(Entry(Kind.DIRECTORY, mode=0o755))
        self._live: dict[Name, Node] = {}
        for path, entry in tree.items():
            self._live[self._name(path)] = self._new(entry)
        self._durable.update(self._live)

    def node(self, path: str) -> Node:
        """Return the node at ``path``.

        Raises:
            KeyError: there is none.
        """
        found = self.root
        for part in PurePosixPath(path).parts:
            found = self._live[found, part]
        return found

    def make(self, path: str, entry: Entry) -> Node:
        """Make a file, directory or symbolic link; its content is durable, its name is not."""
        made = self._new(entry)
        self._change((self._name(path), made))
        return made

    def unnamed(self) -> Node:
        """Make a file without a name, as open(2) does with ``O_TMPFILE``."""
        return self._new(Entry(Kind.FILE, mode=0o600))

    def change(self, node: Node, change: Change) -> None:
        """Change the content of a file."""
        self._inodes[node].changes.append(change)

    def write(self, path: str, offset: int, data: bytes) -> None:
        """Write to the file at ``path``."""
        self.change(self.node(path), Write(offset, data))

    def link(self, node: Node, path: str) -> None:
        """Give ``node`` one more name."""
        self._change((self._name(path), node))

    def rename(self, source: str, target: str) -> None:
        """rename(2); nothing happens if both are the same file."""
        moved, replaced = self.node(source), self._live.get(self._name(target))
        if moved != replaced:
            self._change((self._name(source), None), (self._name(target), moved))

    def exchange(self, one: str, other: str) -> None:
        """renameat2(2) with ``RENAME_EXCHANGE``."""
        first, second = self.node(one), self.node(other)
        self._change((self._name(one), second), (self._name(other), first))

    def remove(self, path: str) -> None:
        """unlink(2), rmdir(2)."""
        self.node(path)
        self._change((self._name(path), None))

    def sync(self, node: Node) -> None:
        """fsync(2), fdatasync(2)."""
        thing = self._inodes[node]
        if thing.entry.kind is Kind.FILE:
            thing.entry = Entry(Kind.FILE, thing.content, thing.entry.mode)
            thing.changes.clear()
        if self.model is Model.ORDERED:
            self._persist(self._pending)
        elif thing.entry.kind is Kind.DIRECTORY:
            self._persist([change for change in self._pending if change.touches(node)])

    def after_crash(self) -> Iterator[Tree]:
        """Yield every tree that a crash at this moment may leave, some of them several times."""
        names = self._prefixes() if self.model is Model.ORDERED else self._subsets()
        for persisted in islice(names, _SUBSETS):
            entries = dict(self._durable)
            for change in persisted:
                _apply(change, entries)
            yield from self._filled(entries)
        self.left_out += sum(1 for _ in islice(names, _COUNTED))

    def _filled(self, entries: dict[Name, Node]) -> Iterator[Tree]:
        """Yield the trees with these names and all possible contents of the files."""
        paths = list(self._walk(entries))
        open_ = [*dict.fromkeys(node for _, node in paths if self._inodes[node].changes)]
        choices = [self._contents(self._inodes[node]) for node in open_]
        self.left_out += max(0, prod(map(len, choices)) - _COMBINATIONS)
        for chosen in islice(product(*choices), _COMBINATIONS):
            filled = dict(zip(open_, chosen, strict=True))
            yield {path: filled.get(node) or self._inodes[node].entry for path, node in paths}

    def _contents(self, thing: _Inode) -> list[Entry]:
        if self.model is Model.ORDERED:
            contents = ordered_contents(thing.entry.content, thing.changes)
        else:
            contents, left_out = weak_contents(thing.entry.content, thing.changes)
            self.left_out += left_out
        return [Entry(Kind.FILE, content, thing.entry.mode) for content in contents]

    def _walk(self, entries: dict[Name, Node]) -> Iterator[tuple[str, Node]]:
        within: dict[Node, list[tuple[str, Node]]] = {}
        for (directory, name), node in entries.items():
            within.setdefault(directory, []).append((name, node))
        waiting = [("", self.root)]
        while waiting:
            above, directory = waiting.pop()
            for name, node in within.get(directory, ()):
                yield above + name, node
                if self._inodes[node].entry.kind is Kind.DIRECTORY:
                    waiting.append((f"{above}{name}/", node))

    def _prefixes(self) -> Iterator[list[Renaming]]:
        for size in range(len(self._pending) + 1):
            yield self._pending[:size]

    def _subsets(self) -> Iterator[list[Renaming]]:
        """Yield the subsets of pending changes in which each entry changes in order."""
        earlier = [
            [first for first in range(number) if change.follows(self._pending[first])]
            for number, change in enumerate(self._pending)
        ]

        def chosen(number: int, taken: frozenset[int]) -> Iterator[frozenset[int]]:
            if number == len(earlier):
                yield taken
                return
            yield from chosen(number + 1, taken)
            if taken.issuperset(earlier[number]):
                yield from chosen(number + 1, taken | {number})

        for taken in chosen(0, frozenset()):
            yield [change for number, change in enumerate(self._pending) if number in taken]

    def _persist(self, changes: list[Renaming]) -> None:
        """Make ``changes`` durable, and the earlier ones of the same entries."""
        taken: list[Renaming] = []
        for change in reversed(self._pending):
            if change in changes or any(later.follows(change) for later in taken):
                taken.append(change)
        for change in reversed(taken):
            _apply(change, self._durable)
        self._pending = [change for change in self._pending if change not in taken]

    def _change(self, *entries: tuple[Name, Node | None]) -> None:
        change = Renaming(entries)
        _apply(change, self._live)
        self._pending.append(change)

    def _new(self, entry: Entry) -> Node:
        node = next(self._numbers)
        self._inodes[node] = _Inode(entry)
        return node

    def _name(self, path: str) -> Name:
        place = PurePosixPath(path)
        return self.node(str(place.parent)), place.name


def _apply(change: Renaming, entries: dict[Name, Node]) -> None:
    for name, node in change.entries:
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node
