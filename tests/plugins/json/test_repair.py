"""The corrupt or old file is kept aside, and replaced once, by one process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from frith.errors import CorruptStoreError, StoreError, StoreVersionError
from frith.model import Changes, Integrity, Session, Snapshot
from frith_json.content import replace_content
from frith_json.places import Places
from frith_json.salvage import MOST_KEPT
from frith_json.state import StateFile
from frith_json.text import EMPTY
from frith_os import atomic
from state_files import MakeSession, OpenStore

pytestmark = pytest.mark.requirement("R5.1")


def stored(*sessions: Session) -> bytes:
    return b"".join(EMPTY.changed(Changes(put=sessions)).sealed()[1])


def kept(state: Path) -> list[Path]:
    return sorted(state.parent.glob(f"{state.name}.*"))


def of(*sessions: Session) -> Snapshot:
    return Snapshot({session.id: session for session in sessions})


def overwrite(path: Path, content: bytes) -> None:
    """Replace ``path``, as a program does that knows what it does."""
    (path.parent / "new").write_bytes(content)
    (path.parent / "new").replace(path)


async def test_the_corrupt_file_is_kept_and_replaced(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write_text("{broken")
    session, replaced = make(), Mock(wraps=replace_content)
    monkeypatch.setattr("frith_json.state.replace_content", replaced)
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        committed = await store.replace_corrupt(caught.value.token, of(session))
        assert replaced.call_count == 1
        assert committed.snapshot.sessions == {session.id: session}
        assert await store.load() == committed.snapshot
        await store.transact(lambda _: Changes(put=(make(),)))
    (aside,) = kept(state)
    assert aside.read_text() == "{broken"
    assert ".corrupt-" in aside.name
    async with open_store() as store:
        assert (await store.load()).integrity is Integrity.VERIFIED


async def test_a_file_that_vanished_meanwhile_is_not_replaced(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    state.write_text("{broken")
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        state.unlink()
        committed = await store.replace_corrupt(caught.value.token, of(make()))
    assert committed.snapshot.integrity is Integrity.MISSING


async def test_a_file_that_was_restored_meanwhile_is_not_replaced(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("one"),)))
        content = state.read_bytes()
        overwrite(state, b"{broken")
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        overwrite(state, content)
        committed = await store.replace_corrupt(caught.value.token, of(make("other")))
    assert [session.name for session in committed.snapshot.sessions.values()] == ["one"]
    assert state.read_bytes() == content


async def test_other_damage_meanwhile_is_reported_with_its_own_token(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    state.write_text("{broken")
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as first:
            await store.load()
        state.write_text("{broken otherwise")
        with pytest.raises(CorruptStoreError) as second:
            await store.replace_corrupt(first.value.token, of(make()))
        await store.replace_corrupt(second.value.token, of(make()))
    assert [path.read_text() for path in kept(state)] == ["{broken otherwise"]


async def break_and_repair(store: Any, state: Path, content: str, *sessions: Session) -> None:
    state.write_text(content)
    with pytest.raises(CorruptStoreError) as caught:
        await store.load()
    await store.replace_corrupt(caught.value.token, of(*sessions))


async def test_identical_content_is_kept_once(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    async with open_store() as store:
        for content in ("{a", "{b", "{a", "{a"):
            await break_and_repair(store, state, content, make())
    assert sorted(path.read_text() for path in kept(state)) == ["{a", "{b"]


async def test_only_kept_files_whose_sessions_are_all_stored_are_removed(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    here, gone = make("here"), make("gone")
    known = stored(here).decode()[:-10]
    with_lost = stored(here, gone).decode()[:-10]
    async with open_store() as store:
        await break_and_repair(store, state, "{unknown", here)
        await break_and_repair(store, state, with_lost, here)
        for number in range(6):
            await break_and_repair(store, state, known + " " * number, here)
    contents = [path.read_text() for path in kept(state)]
    assert len(contents) == MOST_KEPT
    assert contents[:2] == ["{unknown", with_lost]


async def test_without_a_lock_nothing_is_replaced(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    state.write_text("{broken")
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        monkeypatch.setattr(fcntl, "flock", unsupported)
        with pytest.raises(StoreError, match="has no locks"):
            await store.replace_corrupt(caught.value.token, of(make()))
    assert state.read_text() == "{broken"


async def test_without_hard_links_a_copy_is_kept(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    async with open_store() as store:
        await break_and_repair(store, state, "{broken", make())
    assert [path.read_text() for path in kept(state)] == ["{broken"]


async def test_a_file_that_cannot_be_kept_aside_is_not_replaced(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(atomic, "write_all", refused)
    async with open_store() as store:
        with pytest.raises(StoreError, match="not replaced"):
            await break_and_repair(store, state, "{broken", make())
    assert state.read_text() == "{broken"
    assert kept(state) == []


async def test_a_kept_file_that_cannot_be_read_is_not_removed(
    open_store: OpenStore,
    state: Path,
    make: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_store() as store:
        session = make()
        for number in range(MOST_KEPT):
            await break_and_repair(
                store, state, stored(session).decode() + "x" * (number + 1), session
            )
        first = kept(state)[0]
        first.unlink()
        first.mkdir()
        await break_and_repair(store, state, "{last", session)
    assert first.is_dir()
    assert "kept_file_not_pruned" in caplog.text


@pytest.mark.requirement("R5.6")
@pytest.mark.parametrize("version", ['"1.1"', '"2.0"', '"2"', '"10.0.1"', "2", "2.5"])
async def test_a_newer_version_is_refused_untouched(
    open_store: OpenStore, state: Path, make: MakeSession, version: str
) -> None:
    content = f'{{"version": {version}, "sessions": [], "frith": 7}}'
    state.write_text(content)
    async with open_store() as store:
        for attempt in (store.load(), store.transact(lambda _: Changes(put=(make(),)))):
            with pytest.raises(StoreVersionError) as caught:
                await attempt
    assert caught.value.found == version.strip('"')
    assert state.read_text() == content
    assert kept(state) == []


@pytest.mark.requirement("R5.6")
async def test_a_newer_format_of_our_part_is_refused_untouched(
    open_store: OpenStore, state: Path
) -> None:
    content = '{"version": "1.0", "sessions": [], "frith": {"format": 2, "revision": 1}}'
    state.write_text(content)
    async with open_store() as store:
        with pytest.raises(StoreVersionError, match="format 2"):
            await store.load()
    assert state.read_text() == content


@pytest.mark.requirement("R5.6")
@pytest.mark.parametrize("version", ["", '"version": "0.9", ', '"version": "0", '])
async def test_an_older_version_is_migrated_by_the_next_commit_and_kept(
    open_store: OpenStore, state: Path, make: MakeSession, version: str
) -> None:
    session = make("old")
    content = f'{{{version}"note": 1, "sessions": [{json.dumps(session.to_record())}]}}'
    state.write_text(content)
    async with open_store() as store:
        assert (await store.load()).sessions == {session.id: session}
        assert state.read_text() == content
        for _ in range(2):
            await store.transact(lambda _: Changes(put=(make("new"),)))
    tree = json.loads(state.read_text())
    assert tree["version"] == "1.0"
    assert tree["note"] == 1
    assert len(tree["sessions"]) == 3
    (aside,) = kept(state)
    assert ".before-1.0-" in aside.name
    assert aside.read_text() == content


@pytest.mark.requirement("R5.6")
async def test_a_migration_that_is_overtaken_starts_again(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write_text('{"sessions": [], "n": 1}')
    async with open_store() as store:
        await store.load()

        def meanwhile(snapshot: Snapshot) -> Changes:
            if '"n": 1' in state.read_text():
                state.write_text('{"sessions": [], "n": 2}')
            return Changes(put=(make(),))

        await store.transact(meanwhile)
    assert json.loads(state.read_text())["n"] == 2
    assert [path.read_text() for path in kept(state)] == ['{"sessions": [], "n": 2}']


async def test_an_earlier_copy_that_was_put_back_is_not_believed(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    one, two, three = make("one"), make("two"), make("three")
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(one,)))
        earlier = state.read_bytes()
        await store.transact(lambda _: Changes(put=(two,)))
        await store.transact(lambda _: Changes(put=(three,)))
        overwrite(state, earlier)
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        assert "earlier copy: revision 1 of 3" in caught.value.reason
        assert (caught.value.earlier, caught.value.salvage) == ((one,), ())
        committed = await store.replace_corrupt(caught.value.token, of(one, two))
        assert committed.revision == 4
    (aside,) = kept(state)
    assert aside.read_bytes() == earlier


@pytest.mark.requirement("R3.4")
async def test_keys_of_other_programs_are_restored_from_an_earlier_copy(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    one, two = make("one"), make("two")
    record = json.dumps(one.to_record() | {"colour": "ODD"}).replace('"ODD"', "1.00")
    overwrite(state, f'{{"sessions": [{record}], "dashboard": {{"ratio": 3.00}}}}'.encode())
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(two,)))
        earlier = state.read_bytes()
        await store.transact(lambda _: Changes(put=(make("three"),)))
        overwrite(state, earlier)
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        (theirs,) = (session for session in caught.value.earlier if session.id == one.id)
        await store.replace_corrupt(caught.value.token, of(theirs.evolve(name="new"), two))
    assert b'"colour": 1.00' in state.read_bytes()
    assert b'"ratio": 3.00' in state.read_bytes()
    assert [record["name"] for record in json.loads(state.read_bytes())["sessions"]] == [
        "new",
        "two",
    ]


def test_a_write_during_a_read_is_not_taken_for_an_earlier_copy(
    workspace: Path, make: MakeSession
) -> None:
    reader, writer = (StateFile(Places.of(workspace, "state")) for _ in range(2))
    sessions = [make(str(number)) for number in range(3)]

    def write() -> None:
        session = sessions.pop()
        with writer.locked():
            writer.commit(lambda _: Changes(put=(session,)))

    write()
    noted = reader._noted

    def overtaken() -> int:
        revision = noted()
        write()
        return revision

    reader._noted = overtaken  # type: ignore[method-assign]
    assert reader.current().document.snapshot.revision == 2
