"""Programs that write the same file and know nothing of our lock."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from frith.errors import CorruptStoreError, StoreBusyError
from frith.model import Changes, Integrity, Snapshot
from frith_json import content, integrity
from frith_json import state as state_module
from frith_os import atomic
from state_files import MakeSession, OpenStore


def write_theirs(state: Path, *records: dict[str, Any]) -> None:
    """Replace the file as a JavaScript program would that keeps no key of ours."""
    state.write_text(json.dumps({"version": "1.0", "sessions": list(records)}, indent=2))


@pytest.mark.requirement("R3.2")
async def test_a_file_without_our_key_is_accepted(
    open_store: OpenStore, state: Path, make: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    session = make()
    write_theirs(state, session.to_record())
    async with open_store() as store:
        snapshot = await store.load()
        assert snapshot.sessions == {session.id: session}
        assert (snapshot.integrity, snapshot.revision) == (Integrity.FOREIGN, 0)
        committed = await store.transact(lambda _: Changes(put=(make(),)))
        assert committed.snapshot.integrity is Integrity.FOREIGN
        assert (await store.load()).integrity is Integrity.VERIFIED
    assert "state_file_foreign" not in caplog.text


@pytest.mark.requirement("R3.2")
async def test_a_file_without_our_key_is_logged_if_frith_has_written_before(
    open_store: OpenStore, state: Path, make: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    session = make()
    async with open_store() as store:
        for _ in range(3):
            await store.transact(lambda _: Changes(put=(session,)))
    write_theirs(state, session.to_record())
    async with open_store() as store:
        for _ in range(2):
            snapshot = await store.load()
            assert (snapshot.integrity, snapshot.revision) == (Integrity.FOREIGN, 3)
        assert (await store.transact(lambda _: Changes(put=(session,)))).revision == 4
    assert caplog.text.count("state_file_foreign") == 1


@pytest.mark.requirement("R3.3")
async def test_an_edit_by_hand_is_noticed_and_used(
    open_store: OpenStore, state: Path, make: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    session = make("before")
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(session,)))
        state.write_text(state.read_text().replace('"before"', '"after"', 1))
        snapshot = await store.load()
        assert snapshot.integrity is Integrity.MISMATCH
        assert snapshot.sessions[session.id].name == "after"
        committed = await store.transact(lambda _: Changes(put=(make(),)))
        assert committed.snapshot.integrity is Integrity.MISMATCH
        assert (await store.load()).integrity is Integrity.VERIFIED
    assert caplog.text.count("state_file_mismatch") == 1


@pytest.mark.requirement("R5.1")
async def test_a_file_edited_by_hand_is_kept_aside_when_it_is_replaced(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("before"),)))
        edited = state.read_text().replace('"before"', '"after"', 1)
        state.write_text(edited)
        await store.transact(lambda _: Changes(put=(make(),)))
    (kept,) = state.parent.glob(f"{state.name}.corrupt-*")
    assert kept.read_text() == edited


@pytest.mark.parametrize("operation", ["number_at", "write_number"])
async def test_a_commit_succeeds_if_its_revision_cannot_be_noted(
    open_store: OpenStore,
    state: Path,
    make: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
) -> None:
    def broken(*_: Any) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(state_module, operation, broken)
    async with open_store() as store:
        for revision in (1, 2):
            assert (await store.transact(lambda _: Changes(put=(make(),)))).revision == revision


async def test_revisions_go_on_after_the_file_was_removed(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    async with open_store() as store:
        for _ in range(3):
            await store.transact(lambda _: Changes(put=(make(),)))
        state.unlink()
        snapshot = await store.load()
        assert (snapshot.integrity, snapshot.revision) == (Integrity.MISSING, 0)
        assert (await store.transact(lambda _: Changes(put=(make(),)))).revision == 4


@pytest.mark.requirement("R3.7")
async def test_a_write_during_a_transaction_is_not_lost(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    ours, theirs = make("ours"), make("theirs")
    runs: list[int] = []

    def transaction(snapshot: Snapshot) -> Changes:
        runs.append(len(snapshot.sessions))
        if not state.exists():
            write_theirs(state, theirs.to_record())
        return Changes(put=(ours,))

    async with open_store() as store:
        committed = await store.transact(transaction)
    assert runs == [0, 1]
    assert set(committed.snapshot.sessions) == {ours.id, theirs.id}


async def test_a_file_that_is_rewritten_all_the_time_is_an_error(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    def restless(snapshot: Snapshot) -> Changes:
        write_theirs(state, make().to_record())
        return Changes(put=(make(),))

    async with open_store() as store:
        with pytest.raises(StoreBusyError, match="without locking it"):
            await store.transact(restless)


async def test_a_change_of_the_temporary_file_by_another_program_is_noticed(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, hands = make("ours"), [True]
    temporary = state.with_suffix(".tmp")
    real = atomic.sync

    def meanwhile(fd: int) -> None:
        real(fd)
        if hands and temporary.exists():
            hands.clear()
            temporary.write_text("theirs, half")

    monkeypatch.setattr(atomic, "sync", meanwhile)
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(ours,)))
    async with open_store() as store:
        assert list((await store.load()).sessions) == [ours.id]
    assert not temporary.exists()
    assert hands == []


async def test_a_repair_that_is_overtaken_yields_to_the_newest(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write_text("{broken")
    theirs = make("theirs")
    real = atomic.sync

    def meanwhile(fd: int) -> None:
        real(fd)
        if state.read_text() == "{broken":
            write_theirs(state, theirs.to_record())

    monkeypatch.setattr(atomic, "sync", meanwhile)
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.load()
        committed = await store.replace_corrupt(caught.value.token, Snapshot())
    assert list(committed.snapshot.sessions) == [theirs.id]


async def test_a_file_written_in_place_while_it_is_read_is_read_again(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make()
    real = content.read_all
    reads: list[int] = []

    def slowly(fd: int, limit: int) -> bytes:
        data = real(fd, limit)
        if not reads:
            write_theirs(state, session.to_record())
        reads.append(len(data))
        return data

    state.write_text('{"version": "1.0", "sess')
    monkeypatch.setattr(content, "read_all", slowly)
    async with open_store() as store:
        assert list((await store.load()).sessions) == [session.id]
    assert len(reads) == 2


async def test_a_file_that_was_damaged_only_while_it_was_written_is_read_again(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make()
    real = integrity.read
    state.write_text("{half")

    def parse(data: bytes, *words: Any) -> Any:
        try:
            return real(data, *words)
        finally:
            write_theirs(state, session.to_record())

    monkeypatch.setattr(state_module, "read", parse)
    async with open_store() as store:
        assert list((await store.load()).sessions) == [session.id]


async def test_a_change_right_after_our_rename_is_read(
    open_store: OpenStore, state: Path, make: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = make("theirs")
    real = atomic.sync_directory

    def meanwhile(path: str, directory: int | None) -> None:
        real(path, directory)
        write_theirs(state, theirs.to_record())

    async with open_store() as store:
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "sync_directory", meanwhile)
            await store.transact(lambda _: Changes(put=(make("ours"),)))
        assert list((await store.load()).sessions) == [theirs.id]
