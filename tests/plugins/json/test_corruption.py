"""Damage is noticed, salvaged from, and left alone."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frith.errors import CorruptStoreError, StoreError, StoreVersionError
from frith.model import Changes, Integrity, Session
from frith_json import content
from frith_json.integrity import DamagedError, read
from frith_json.salvage import salvage
from frith_json.text import EMPTY
from state_files import MakeSession, OpenStore

pytestmark = pytest.mark.requirement("R5.1")


def stored(*sessions: Session) -> bytes:
    return b"".join(EMPTY.changed(Changes(put=sessions)).sealed()[1])


def noticed(data: bytes) -> bool:
    """Whether reading ``data`` tells that it is not what was written."""
    try:
        return read(data, "file").snapshot.integrity is not Integrity.VERIFIED
    except (DamagedError, StoreVersionError):
        return True


def kept(state: Path) -> list[Path]:
    return sorted(state.parent.glob(f"{state.name}.*"))


@pytest.fixture
def example(make: Callable[..., Session]) -> bytes:
    first = make("one", metadata={"n": 1, "text": "ü"}, agent={"x": [1.5]}, ptyPid=12)
    return stored(first.detail(command=("sh",)), make("two"))


def test_every_truncation_is_noticed(example: bytes) -> None:
    assert not noticed(example)
    assert [size for size in range(len(example)) if not noticed(example[:size])] == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_any_value_in_any_place_is_read_or_damaged(
    example: bytes, data: st.DataObject
) -> None:
    tree = json.loads(example)
    node: Any = tree
    while True:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not node[key] or not isinstance(node[key], dict | list) or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(ANYTHING)
    content = json.dumps(tree).encode()
    salvage(content)
    with suppress(DamagedError, StoreVersionError):
        read(content, "file").changed(Changes()).sealed()


@given(st.binary())
def test_any_bytes_are_read_or_damaged(data: bytes) -> None:
    salvage(data)
    with suppress(DamagedError, StoreVersionError):
        read(data, "file")


def test_appended_bytes_are_noticed(example: bytes) -> None:
    assert noticed(example + b"\n")
    assert noticed(example + example)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 512,
        b"null",
        b"[]",
        b"{}",
        b'{"version": "1.0"}',
        b'{"version": "1.0", "sessions": {}}',
        b'{"version": "1.0", "sessions": [1]}',
        b'{"version": "1.0", "sessions": [{"id": "x"}]}',
        b'{"version": "one", "sessions": []}',
        b'{"version": true, "sessions": []}',
        b'{"version": "1.0", "sessions": [], "frith": []}',
        b'{"version": "1.0", "sessions": [], "frith": {}}',
        b'{"version": "1.0", "sessions": [], "frith": {"format": 1, "revision": -1}}',
        b'{"version": "1.0", "sessions": [], "frith": {"format": 1, "revision": true}}',
        b'{"version": "1.0", "sessions": [], "frith": {"format": 1, "revision": 1,'
        b' "reservations": []}}',
        b'{"version": "1.0", "sessions": [], "frith": {"format": 1, "revision": 1, "records": []}}',
        b'{"version": "1.0", "sessions": [], "x": NaN}',
        b'{"version": "1.0", "sessions": [], "x": -Infinity}',
        b'{"version": "1.0", "sessions": [], "x": "\xff"}',
        b'{"version": "1.0", "sessions": [], "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda content: ascii(content[-24:]),
)
async def test_a_file_that_is_not_a_state_is_corrupt_and_not_touched(
    open_store: OpenStore, state: Path, content: Any
) -> None:
    state.write_bytes(content)
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        with pytest.raises(CorruptStoreError):
            await store.transact(lambda _: Changes())
    assert caught.value.where == str(state)
    assert caught.value.reason
    assert state.read_bytes() == content
    assert kept(state) == []


async def test_two_sessions_with_one_id_are_corrupt_and_the_later_is_salvaged(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    old = make("old", lastActivity="2025-01-01T00:00:00.000Z")
    new = make("new", id=old.id)
    tree = {"version": "1.0", "sessions": [new.to_record(), old.to_record()]}
    state.write_text(json.dumps(tree))
    async with open_store() as store:
        with pytest.raises(CorruptStoreError, match="same id|the id") as caught:
            await store.load()
    assert [s.name for s in caught.value.salvage] == ["new"]


async def test_a_reservation_under_another_id_is_corrupt(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    session = make()
    reservation = {
        "id": session.id,
        "name": "n",
        "branch": "b",
        "worktreePath": "/",
        "createsBranch": True,
        "createdAt": "2025-01-01T00:00:00.000Z",
    }
    ours = {"format": 1, "revision": 1, "reservations": {"other": reservation}}
    state.write_text(json.dumps({"version": "1.0", "sessions": [], "frith": ours}))
    async with open_store() as store:
        with pytest.raises(CorruptStoreError, match="another id"):
            await store.load()


@pytest.mark.parametrize("where", ["metadata", "unknown"])
async def test_a_session_nested_too_deeply_is_corrupt(
    open_store: OpenStore, state: Path, make: MakeSession, where: str
) -> None:
    record = json.dumps(make().to_record() | {where: {"x": 0}})
    for depth in (300, 900, 50_000):
        deep = record.replace('{"x": 0}', '{"x": ' * depth + "0" + "}" * depth)
        state.write_text(
            f'{{"version": "1.0", "sessions": [{deep}, {json.dumps(make().to_record())}]}}'
        )
        async with open_store() as store:
            with pytest.raises(CorruptStoreError) as caught:
                await store.load()
        assert caught.value.salvage


@pytest.mark.parametrize("depth", [600, 995])  # what is too deep depends on the version of Python
async def test_deeply_nested_values_of_other_programs_are_never_dropped(
    open_store: OpenStore, state: Path, make: MakeSession, depth: int
) -> None:
    nested = "[" * depth + "]" * depth
    state.write_text('{"sessions": [], "x": ' + nested + "}")
    async with open_store() as store:
        with suppress(StoreError):
            await store.transact(lambda _: Changes(put=(make(),)))
    assert nested in "".join(state.read_text().split())


@pytest.mark.parametrize("name", ["truncated", "hole", "garbage"])
async def test_sessions_that_can_still_be_read_are_salvaged(
    open_store: OpenStore, state: Path, make: MakeSession, name: str
) -> None:
    sessions = [make(f"s{n}").detail(command=(f"c{n}",)) for n in range(4)]
    data = stored(*sessions)
    third = data.index(b'"s2"')
    if name == "truncated":
        data = data[:third]
        expected = ["s0", "s1"]
    elif name == "hole":
        data = data[:third] + b"\0\xff" * 8 + data[third + 16 :]
        expected = ["s0", "s1", "s3"]
    else:
        data = b"%PDF" + data[data.index(b"[") + 1 : third]
        expected = ["s0", "s1"]
    state.write_bytes(data)
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
    assert [s.name for s in caught.value.salvage] == expected
    if name == "hole":
        assert [s.details.command for s in caught.value.salvage] == [("c0",), ("c1",), ("c3",)]


def test_salvage_tells_whether_it_got_everything(make: MakeSession) -> None:
    data = stored(make(), make())
    assert salvage(data).complete
    assert not salvage(data[: data.index(b'"frith"') - 20]).complete
    assert salvage(data[:-10]).complete
    assert not salvage(data.replace(b'"idle"', b'"lazy"', 1)).complete
    assert salvage(b'{"sessions": []}') == type(salvage(b""))((), True)
    assert not salvage(b'{"sessions": [{"a": 1}, 7').complete


def test_salvage_keeps_a_session_whose_details_are_damaged(make: MakeSession) -> None:
    session = make().detail(command=("sh",))
    data = stored(session)
    broken = data.replace(b'"command": [', b'"command": 5, "x": [')
    assert [s.id for s in salvage(broken).sessions] == [session.id]
    assert [s.id for s in salvage(data.replace(b'"records": {', b'"records": {,')).sessions] == [
        session.id
    ]


@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ELOOP])
async def test_a_file_that_cannot_be_read_is_neither_missing_nor_corrupt(
    open_store: OpenStore,
    state: Path,
    make: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    def broken(*_: Any) -> int:
        raise OSError(code, os.strerror(code))

    for operation in ("open_for_reading", "read_all", "identity_of"):
        with monkeypatch.context() as patch:
            async with open_store() as store, open_store() as other:
                await other.transact(lambda _: Changes(put=(make(),)))
                if operation == "identity_of":
                    await store.load()
                patch.setattr(content, operation, broken)
                for attempt in (store.load(), store.transact(lambda _: Changes(put=(make(),)))):
                    with pytest.raises(StoreError, match=r"Cannot read|Cannot lock") as caught:
                        await attempt
                    assert not isinstance(caught.value, CorruptStoreError)
    assert kept(state) == []


async def test_a_named_file_that_was_never_a_state_file_is_not_touched(
    open_store: OpenStore, workspace: Path, state: Path
) -> None:
    theirs = workspace / "theirs.txt"
    theirs.write_text("theirs\n")
    state.symlink_to(theirs)
    for options in ({"file": "theirs.txt"}, {"file": str(theirs)}, {}):
        async with open_store(**options) as store:
            with pytest.raises(StoreError, match="not a state file") as refused:
                await store.load()
            assert refused.value.code == "STORE_FAILED"
            with pytest.raises(StoreError, match="not a state file"):
                await store.transact(lambda _: Changes())
    assert theirs.read_text() == "theirs\n"
    assert sorted(path.name for path in workspace.iterdir() if path.is_file()) == sorted(
        [state.name, theirs.name]
    )
