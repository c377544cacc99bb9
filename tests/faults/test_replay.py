"""The states that a crash may leave, generated from a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from frith_testing.faults.disk_model.disk import Model
from frith_testing.faults.disk_model.replay import CrashStates, UnmodelledError
from frith_testing.faults.shim import Call
from frith_testing.faults.tree import Entry, Kind

ROOT = Path("/workspace")


def call(op: str, path: str = "file", other: str = "", **fields: object) -> Call:
    known = {"result": 0, "inode": 7, "created": False, "truncated": False, "offset": 0}
    joined = f"{ROOT}/{other}" if other else ""
    place = path if op == "mark" else f"{ROOT}/{path}"
    return Call(op=op, path=place, other=joined, **{"data": b"", **known, **fields})  # type: ignore[arg-type]


def states(*calls: Call) -> CrashStates:
    before = {"file": Entry(Kind.FILE, b"old", 0o600)}
    return CrashStates(ROOT, before, {1: "", 7: "file"}, calls)


def test_each_state_comes_once_with_what_was_acknowledged_by_then() -> None:
    found = states(
        call("write", data=b"new"), call("sync"), call("mark", "saved"), call("stat")
    ).each(Model.WEAK)
    assert [(state.tree["file"].content, state.acknowledged) for state in found] == [
        (b"old", ()),
        (b"new", ()),
        (b"new", ("saved",)),
    ]


def test_a_call_that_failed_changes_nothing() -> None:
    found = list(states(call("unlink", result=-1)).each(Model.WEAK))
    assert [[*state.tree] for state in found] == [["file"]]


def test_a_file_is_followed_by_its_number_through_a_rename_and_its_removal() -> None:
    found = states(
        call("rename", "file", "moved"),
        call("sync", "", inode=1),
        call("write", "moved", data=b"NEW"),
        call("sync", "moved"),
        call("unlink", "moved"),
        call("sync", "", inode=1),
    ).each(Model.WEAK)
    contents = [{path: entry.content for path, entry in state.tree.items()} for state in found]
    assert contents == [{"file": b"old"}, {"moved": b"old"}, {"moved": b"NEW"}, {}]


def test_a_call_that_the_model_does_not_know_is_an_error() -> None:
    with pytest.raises(UnmodelledError, match="cannot follow rename"):
        list(states(call("rename", "unknown", "file")).each(Model.WEAK))
