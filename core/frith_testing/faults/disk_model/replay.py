"""Generates the states that a crash may leave on a disk from a trace of system calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from frith_testing.faults.disk_model.contents import Truncate, Write
from frith_testing.faults.disk_model.disk import Disk, Model, Node
from frith_testing.faults.shim import Call
from frith_testing.faults.tree import Entry, Kind, Tree


@dataclass(frozen=True, slots=True)
class CrashState:
    """A state that a crash may leave on the disk."""

    where: str
    """The first call after which it is possible."""
    tree: Tree
    acknowledged: tuple[str, ...]
    """What had been acknowledged by then."""


class UnmodelledError(Exception):
    """A program changed its files in a way that the model of the disk does not know."""


class CrashStates:
    """The states that a crash during traced work may leave, each once."""

    def __init__(
        self, root: Path, before: Tree, inodes: Mapping[int, str], calls: Iterable[Call]
    ) -> None:
        """Prepare.

        Args:
            root: the traced directory.
            before: its tree before the calls.
            inodes: the paths of that tree by inode number, ``""`` for the root.
            calls: the traced calls.
        """
        self.left_out = 0
        """The number of states that were not generated, because one point had too many."""
        self._root = root
        self._before = before
        self._inodes = inodes
        self._calls = list(calls)

    def each(self, model: Model) -> Iterator[CrashState]:
        """Yield the states that ``model`` allows, each with all that had been acknowledged.

        Raises:
            UnmodelledError: a call cannot be modelled.
        """
        disk = Disk(self._before, model)
        nodes = {inode: disk.node(path) for inode, path in self._inodes.items()}
        seen: set[tuple[object, ...]] = set()
        acknowledged: tuple[str, ...] = ()
        where = "the beginning"
        for number, call in enumerate([None, *self._calls]):
            if call is not None:
                if call.result < 0 and call.op != "mark":
                    continue
                if call.op == "mark":
                    acknowledged = (*acknowledged, call.path)
                elif not self._replay(disk, nodes, call):
                    continue
                where = f"call {number - 1}, {call}"
            for tree in disk.after_crash():
                key = (acknowledged, frozenset(tree.items()))
                if key not in seen:
                    seen.add(key)
                    yield CrashState(where, tree, acknowledged)
        self.left_out += disk.left_out

    def _replay(self, disk: Disk, nodes: dict[int, Node], call: Call) -> bool:
        """Apply ``call`` to ``disk``; return whether it changed anything."""

        def node() -> Node:
            if call.inode not in nodes:
                nodes[call.inode] = disk.unnamed()
            return nodes[call.inode]

        try:
            path = self._relative(call.path)
            match call.op:
                case "open" if call.created:
                    nodes[call.inode] = disk.make(path, Entry(Kind.FILE, mode=0o600))
                case "open" if call.truncated:
                    disk.change(node(), Truncate(0))
                case "mkdir":
                    nodes[call.inode] = disk.make(path, Entry(Kind.DIRECTORY, mode=0o755))
                case "symlink":
                    made = Entry(Kind.LINK, call.other.encode())
                    nodes[call.inode] = disk.make(path, made)
                case "write":
                    disk.change(node(), Write(call.offset, call.data))
                case "truncate":
                    disk.change(node(), Truncate(call.offset))
                case "sync":
                    disk.sync(node())
                case "link":
                    disk.link(node(), path)
                case "unlink" | "rmdir":
                    disk.remove(path)
                case "rename":
                    if call.other:
                        disk.rename(path, self._relative(call.other))
                    else:
                        disk.remove(path)
                case "exchange":
                    disk.exchange(path, self._relative(call.other))
                case _:
                    return False
        except (KeyError, ValueError) as error:
            raise UnmodelledError(f"the model of the disk cannot follow {call}") from error
        return True

    def _relative(self, path: str) -> str:
        parts: list[str] = []
        for part in PurePosixPath(path).relative_to(self._root).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        return "/".join(parts)
