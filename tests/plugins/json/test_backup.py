"""One backup: an earlier state that is always whole, costs next to nothing and breaks nothing."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from spinney.errors import CorruptStoreError, LostStoreError, StoreError, StoreVersionError
from spinney.model import Changes, Integrity, Session, Snapshot
from spinney_json import _files
from spinney_json._backup import Backup
from spinney_json._places import Places
from spinney_json._state import StateFile


@pytest.fixture
def backup(workspace: Path, state: Path) -> Path:
    return workspace / ".git" / "spinney" / f"{state.name}.bak"


def names(path: Path) -> list[str]:
    return [record["name"] for record in json.loads(path.read_text())["sessions"]]


def kept(state: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(state.parent.glob(f"{state.name}.corrupt-*"))]


def of(*sessions: Session) -> Snapshot:
    return Snapshot({session.id: session for session in sessions})


def overwrite(path: Path, content: bytes) -> None:
    """Replace ``path``, as a program does that knows what it does."""
    (path.parent / "new").write_bytes(content)
    (path.parent / "new").replace(path)


async def commit(store: Any, *put: Session, delete: Session | None = None) -> None:
    gone = frozenset({delete.id} if delete else ())
    await store.transact(lambda _: Changes(put=put, delete=gone))


async def lost(store: Any) -> CorruptStoreError:
    with pytest.raises(CorruptStoreError) as caught:
        await store.load()
    return caught.value


# Making it ----------------------------------------------------------------------------------------


async def test_the_backup_is_the_state_before(open_store, state, backup, make) -> None:
    async with open_store() as store:
        await commit(store, make("one"))
        for name in ("two", "three"):
            before = state.read_bytes()
            await commit(store, make(name))
            assert backup.read_bytes() == before
            assert not backup.samefile(state)
        assert store.stats.fsyncs == 2 * store.stats.writes


async def test_what_was_destroyed_is_in_no_backup(open_store, state, backup, make) -> None:
    one, two = make("one"), make("two")
    async with open_store() as store:
        await commit(store, one, two)
        await commit(store, make("three"))
        await commit(store, delete=two)
    assert names(backup) == names(state) == ["one", "three"]


async def test_what_somebody_else_wrote_becomes_no_backup(open_store, state, backup, make) -> None:
    async with open_store() as store:
        await commit(store, make("one"))
        overwrite(state, json.dumps({"version": "1.0", "sessions": []}).encode())
        await commit(store, make("two"))
    assert backup.read_bytes() == state.read_bytes()


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("operation", ["link", "rename"])
async def test_without_a_backup_commits_go_on_and_it_is_said_once(
    open_store, state, backup, make, monkeypatch, caplog, operation, code
) -> None:
    real = getattr(_files, operation)

    def refused(source: str, target: str) -> None:
        if Path(target).name.startswith(backup.name):
            raise OSError(code, os.strerror(code))
        real(source, target)

    async with open_store() as store:
        await commit(store, make("one"))
        monkeypatch.setattr(_files, operation, refused)
        for name in ("two", "three"):
            await commit(store, make(name))
    assert names(state) == ["one", "two", "three"]
    assert [path.suffix for path in backup.parent.glob(f"{state.name}.*")] == [".lock"]
    assert caplog.text.count("state_file_not_backed_up") == 1


@pytest.mark.parametrize("stale", ["file", "dangling link", "the state itself", "directory"])
async def test_what_lies_at_the_temporary_name_blocks_nobody(
    open_store, state, backup, make, stale
) -> None:
    where = Path(f"{backup}.tmp")
    async with open_store() as store:
        for name in ("one", "two"):
            await commit(store, make(name))
        if stale == "directory":
            where.mkdir()
        elif stale == "file":
            where.write_text("half")
        elif stale == "dangling link":
            where.symlink_to("nowhere")
        else:
            os.link(state, where)
        before = state.read_bytes()
        await commit(store, make("three"))
    assert names(state) == ["one", "two", "three"]
    assert where.exists() is (stale == "directory")
    assert backup.exists() is not where.exists()
    if backup.exists():
        assert backup.read_bytes() == before


async def test_a_commit_that_fails_leaves_a_backup_and_nothing_else(
    open_store, state, backup, make, monkeypatch
) -> None:
    real = _files.rename

    def refused(source: str, target: str) -> None:
        if target == str(state):
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    async with open_store() as store:
        await commit(store, make("one"))
        with monkeypatch.context() as patch:
            patch.setattr(_files, "rename", refused)
            for name in ("two", "three"):
                with pytest.raises(StoreError):
                    await commit(store, make(name))
        assert names(state) == names(backup) == ["one"]
        assert not Path(f"{backup}.tmp").exists()
        await commit(store, make("four"))
    assert (names(backup), names(state)) == (["one"], ["one", "four"])


async def test_what_comes_in_between_is_neither_overwritten_nor_backed_up(
    open_store, state, backup, make, monkeypatch
) -> None:
    theirs = make("theirs")
    real = _files.link

    def link(source: str, target: str) -> None:
        monkeypatch.setattr(_files, "link", real)
        overwrite(state, json.dumps({"sessions": [theirs.to_record()]}).encode())
        real(source, target)

    async with open_store() as store:
        for name in ("one", "two"):
            await commit(store, make(name))
        monkeypatch.setattr(_files, "link", link)
        await commit(store, make("three"))
    assert names(state) == names(backup) == ["theirs", "three"]


async def test_an_edit_in_place_spares_the_backup(open_store, state, backup, make) -> None:
    async with open_store() as store:
        for name in ("one", "two"):
            await commit(store, make(name))
        state.write_text("{")
        assert names(backup) == ["one"]
        assert [session.name for session in (await lost(store)).earlier] == ["one"]


async def test_callers_do_not_wait_until_the_blocks_of_the_backup_before_are_freed(
    open_store, state, backup, make, monkeypatch
) -> None:
    real, told = Backup.let_go, threading.Event()

    def let_go(replaced: Backup) -> None:
        assert replaced._replaced < 0 or told.wait(10)
        real(replaced)

    async with open_store() as store:
        for name in ("one", "two"):
            await commit(store, make(name))
        monkeypatch.setattr(Backup, "let_go", let_go)
        await store.transact(lambda _: Changes(put=(make("three"),)))
        assert (names(backup), names(state)) == (["one", "two"], ["one", "two", "three"])
        told.set()


# Reading it ---------------------------------------------------------------------------------------


@pytest.mark.requirement("R5.1")
async def test_where_only_a_backup_is_left_it_is_said_and_nothing_is_begun_anew(
    open_store, state, make
) -> None:
    one, two = make("one"), make("two")
    async with open_store() as store:
        await commit(store, one)
        await commit(store, two)
        state.unlink()
        for attempt in (store.load(), store.transact(lambda _: Changes(put=(make(),)))):
            with pytest.raises(LostStoreError, match="is missing") as caught:
                await attempt
            assert (caught.value.code, caught.value.earlier) == ("STORE_LOST", (one,))
        assert not state.exists()
        committed = await store.replace_corrupt(caught.value.token, of(one, two))
        assert committed.revision == 3
        assert (await store.load()).sessions == {one.id: one, two.id: two}
    assert kept(state) == []


async def test_a_file_that_is_back_meanwhile_is_not_replaced(open_store, state, make) -> None:
    async with open_store() as store:
        await commit(store, make("one"))
        content = state.read_bytes()
        state.unlink()
        token = (await lost(store)).token
        overwrite(state, content)
        committed = await store.replace_corrupt(token, of(make("other")))
    assert [session.name for session in committed.snapshot.sessions.values()] == ["one"]


async def test_an_empty_backup_is_as_good_as_none(open_store, state, backup, make) -> None:
    one = make("one")
    async with open_store() as store:
        await commit(store, one)
        await commit(store, delete=one)
        state.unlink()
        assert backup.exists()
        assert (await store.load()).integrity is Integrity.MISSING


@pytest.mark.requirement("R5.1")
async def test_the_backup_adds_what_cannot_be_read_of_the_file(open_store, state, make) -> None:
    one, two = make("one"), make("two")
    async with open_store() as store:
        await commit(store, one)
        await commit(store, two)
        data = state.read_bytes()
        overwrite(state, data[: data.index(b'"one"')] + b"\xff" + data[data.index(b'"two"') :])
        assert [session.id for session in (await lost(store)).earlier] == [one.id]


@pytest.mark.requirement("R3.4")
async def test_what_others_keep_in_file_and_records_comes_back(open_store, state, make) -> None:
    one, two = make("one"), make("two")
    record = json.dumps(one.to_record() | {"colour": "ODD"}).replace('"ODD"', "1.00")
    overwrite(state, f'{{"sessions": [{record}], "dashboard": {{"ratio": 3.00}}}}'.encode())
    async with open_store() as store:
        await commit(store, two)
        state.unlink()
        error = await lost(store)
        (theirs,) = (session for session in error.earlier if session.id == one.id)
        await store.replace_corrupt(error.token, of(theirs.evolve(name="new"), two))
    assert b'"colour": 1.00' in state.read_bytes()
    assert b'"ratio": 3.00' in state.read_bytes()
    assert names(state) == ["new", "two"]


@pytest.mark.requirement("R5.1")
@pytest.mark.parametrize("damage", ["cut off", "of a session more"])
async def test_a_backup_that_is_not_taken_over_is_kept_aside(
    open_store, state, backup, make, damage
) -> None:
    one, two = make("one"), make("two")
    async with open_store() as store:
        await commit(store, one, two)
        await commit(store, make("three"))
        content = backup.read_bytes()[: -3 if damage == "cut off" else None]
        overwrite(backup, content)
        state.unlink()
        error = await lost(store)
        assert error.earlier == (one, two)
        await store.replace_corrupt(error.token, of(one, two) if damage == "cut off" else of(one))
    assert kept(state) == [content]


@pytest.mark.requirement("R5.6")
async def test_a_backup_of_a_newer_version_is_refused_untouched(
    open_store, state, backup, make
) -> None:
    async with open_store() as store:
        await commit(store, make())
        state.unlink()
        overwrite(backup, b'{"version": "2.0", "sessions": []}')
        with pytest.raises(StoreVersionError, match=backup.name):
            await store.load()
    assert not state.exists()


@pytest.mark.requirement("R5.2")
@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.EACCES])
@pytest.mark.parametrize("file", ["missing", "corrupt"])
async def test_a_backup_that_cannot_be_read_is_not_taken_for_none(
    open_store, state, backup, make, monkeypatch, file, code
) -> None:
    real = _files.open_for_reading

    def refused(path: str) -> int:
        if path == str(backup):
            raise OSError(code, os.strerror(code))
        return real(path)

    async with open_store() as store:
        await commit(store, make())
        overwrite(state, b"{")
        if file == "missing":
            state.unlink()
        with monkeypatch.context() as patch:
            patch.setattr(_files, "open_for_reading", refused)
            with pytest.raises(StoreError, match=backup.name) as caught:
                await store.load()
            assert not isinstance(caught.value, CorruptStoreError)
        assert len((await lost(store)).earlier) == 1


# An earlier copy ----------------------------------------------------------------------------------


@pytest.mark.requirement("R5.1")
async def test_an_earlier_copy_that_was_put_back_is_not_believed(open_store, state, make) -> None:
    one, two, three = make("one"), make("two"), make("three")
    async with open_store() as store:
        await commit(store, one)
        earlier = state.read_bytes()
        for session in (two, three):
            await commit(store, session)
        overwrite(state, earlier)
        error = await lost(store)
        assert "earlier copy: revision 1 of 3" in error.reason
        assert error.earlier == (one, two)
        assert (await store.replace_corrupt(error.token, of(one, two))).revision == 4
    assert kept(state) == [earlier]


def test_a_reader_whom_a_writer_overtakes_sees_no_earlier_copy(workspace, make) -> None:
    reader, writer = (StateFile(Places.of(workspace, "state")) for _ in range(2))
    sessions = [make(str(number)) for number in range(3)]

    def write() -> None:
        session = sessions.pop()
        writer.locked(lambda: writer.commit([lambda _: Changes(put=(session,))]))

    write()
    noted = reader._lock.noted

    def overtaken() -> int:
        revision = noted()
        write()
        return revision

    reader._lock.noted = overtaken  # type: ignore[method-assign]
    assert reader.load().document.snapshot.revision == 2
