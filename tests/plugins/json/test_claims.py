"""Owning a session: one at a time, for as long as the owner lives."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import anyio
import pytest

from frith.errors import ClaimHeldError, ClaimLostError, StoreError
from frith.model import Changes, Session, Snapshot
from frith.ports import Holder
from frith_json import claims as claims_module
from frith_json.content import number_at
from frith_json.store import JsonStore
from frith_os.locks import FileLock
from state_files import MakeSession, OpenStore, StartActor
from waiting import PATIENCE, until


@pytest.fixture
def sid() -> str:
    return str(uuid4())


def names(claims: Path) -> list[str]:
    """The sessions that have a file of a claim."""
    return sorted(path.name for path in claims.iterdir() if "." not in path.name)


@pytest.fixture
def claims(workspace: Path) -> Path:
    return workspace / ".git" / "frith" / "claims"


async def test_the_fence_grows_even_if_its_file_was_deleted_or_the_clock_stands_still(
    open_store: OpenStore, claims: Path, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fences = []
    async with open_store() as store:
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
        shutil.rmtree(claims)
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
    assert fences == sorted(set(fences))


@pytest.mark.expensive("starts several processes")
async def test_probes_never_make_a_claim_fail(
    open_store: OpenStore, workspace: Path, sid: str
) -> None:
    prober = (
        "import sys\nfrom frith_json.claims import Claims\n"
        "claims = Claims(sys.argv[1])\nprint(flush=True)\n"
        "while True: claims.holder(sys.argv[2])\n"
    )
    directory = workspace / ".git" / "frith" / "claims"
    async with open_store() as store:
        async with store.claim(sid):
            pass
        probers = [
            subprocess.Popen(
                [sys.executable, "-c", prober, str(directory), sid], stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        try:
            for each in probers:
                assert each.stdout is not None
                each.stdout.readline()
            for _ in range(100):
                async with store.claim(sid):
                    pass
        finally:
            for each in probers:
                each.kill()
                each.communicate()


async def test_a_claim_whose_file_was_deleted_is_kept_and_gets_a_new_file(
    open_store: OpenStore, start_actor: StartActor, claims: Path, make: MakeSession, sid: str
) -> None:
    async with open_store() as store:
        async with store.claim(sid) as claim, open_store() as other:
            (claims / sid).unlink()
            assert await other.holder(sid) is Holder.HELD
            with pytest.raises(ClaimHeldError):
                async with other.claim(sid):
                    pass
            await store.transact(lambda _: Changes(put=(make(),)))
            assert int((claims / sid).read_text()) == claim.fence
            actor = start_actor("compete", sid)
            assert actor.communicate("go\n")[0] == "lost True\n"
        assert await store.holder(sid) is Holder.FREE


async def test_a_claim_that_is_taken_too_late_is_not_kept(
    open_store: OpenStore, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, waited = threading.Event(), threading.Event()
    real = FileLock._opened

    def slow(lock: FileLock) -> int:
        opening.set()
        assert waited.wait(PATIENCE)
        return real(lock)

    # Within the first limit the idle thread of the store has to begin, also on a busy machine.
    async with open_store(lock_timeout=0.5, write_timeout=0.01) as store:
        monkeypatch.setattr(FileLock, "_opened", slow)
        with pytest.raises(StoreError, match="did not answer"):
            async with store.claim(sid):
                pytest.fail("claimed")
        assert opening.is_set()
        monkeypatch.setattr(FileLock, "_opened", real)
        waited.set()
    async with open_store() as store, store.claim(sid):
        assert await store.holder(sid) is Holder.HELD


async def test_a_claim_that_another_process_has_taken_ends_by_itself(
    open_store: OpenStore, start_actor: StartActor, claims: Path, make: MakeSession, sid: str
) -> None:
    fences: list[int] = []
    own: list[int] = []

    def look(newest: Snapshot) -> Changes:
        fences.append(newest.fences[sid])
        return Changes(put=(make(),))

    async def own_until_it_is_lost(store: JsonStore) -> None:
        async with store.claim(sid) as claim:
            own.append(claim.fence)
            await store.transact(look)
            (claims / sid).unlink()
            start_actor("hold_claim", sid)
            await store.transact(look)
            await anyio.sleep_forever()

    async with open_store() as store:
        with pytest.raises(ClaimLostError):
            await own_until_it_is_lost(store)
        assert fences[0] == own[0]
        assert fences[1] > own[0]
        assert await store.holder(sid) is Holder.HELD


Destroy: TypeAlias = Callable[[Session, JsonStore], Awaitable[int]]


@pytest.fixture
def destroy() -> Destroy:
    """Removes a session, as its owner; returns the fence of the claim."""

    async def destroy(session: Session, store: JsonStore) -> int:
        async with store.claim(session.id) as claim:
            await store.transact(lambda _: Changes(put=(session,)))
            await store.transact(lambda _: Changes(delete=frozenset({session.id})))
        return claim.fence

    return destroy


async def test_the_file_of_a_claim_is_removed_with_its_session(
    open_store: OpenStore, claims: Path, make: MakeSession, destroy: Destroy
) -> None:
    stays, goes = make("stays"), make("goes")
    async with open_store() as store:
        async with store.claim(stays.id):
            await store.transact(lambda _: Changes(put=(stays,)))
        await destroy(goes, store)
        assert names(claims) == [stays.id]
        assert await store.holder(goes.id) is Holder.FREE


async def test_the_file_of_a_claim_is_removed_when_a_creation_fails(
    open_store: OpenStore, claims: Path, sid: str, make: MakeSession
) -> None:
    async with open_store() as store:
        await store.load()
        async with store.claim(sid):
            await store.transact(lambda _: Changes(put=(make(),)))
        assert names(claims) == []


async def test_the_fence_of_a_session_that_is_created_again_grows_even_if_the_clock_went_back(
    open_store: OpenStore, make: MakeSession, destroy: Destroy, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make()
    async with open_store() as store, open_store() as other:
        fence = await destroy(session, store)
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        for each in (other, store):
            async with each.claim(session.id) as claim:
                assert claim.fence > fence
                fence = claim.fence
                await each.transact(lambda _: Changes(put=(session,)))


async def test_the_first_change_removes_claim_files_that_a_crash_left_of_removed_sessions(
    open_store: OpenStore, claims: Path, make: MakeSession, start_actor: StartActor
) -> None:
    stored, claimed, left = make("one"), str(uuid4()), str(uuid4())
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(stored,)))
        for each in (stored.id, left):
            (claims / each).parent.mkdir(exist_ok=True)
            (claims / each).write_text("7\n")
    start_actor("hold_claim", claimed)
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(stored.evolve(name="two"),)))
        await until(lambda: names(claims) == sorted([stored.id, claimed]))
        assert await store.holder(claimed) is Holder.HELD


async def test_a_claim_whose_session_another_process_has_removed_is_lost(
    open_store: OpenStore, claims: Path, make: MakeSession, start_actor: StartActor
) -> None:
    session = make()
    fences: list[int] = []

    def look(newest: Snapshot) -> Changes:
        fences.append(newest.fences[session.id])
        return Changes(put=(make("other"),))

    async def own_until_it_is_lost(store: JsonStore) -> None:
        async with store.claim(session.id) as claim:
            fences.append(claim.fence)
            (claims / session.id).unlink()
            start_actor("remove", session.id).communicate("go\n")
            assert names(claims) == []
            await store.transact(look)
            await anyio.sleep_forever()

    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(session,)))
        with pytest.raises(ClaimLostError):
            await own_until_it_is_lost(store)
        own, newest = fences
        assert newest > own
        assert await store.holder(session.id) is Holder.FREE


async def test_a_claim_whose_deleted_file_another_process_has_used_is_lost(
    open_store: OpenStore, claims: Path, sid: str, make: MakeSession, start_actor: StartActor
) -> None:
    async def own_until_it_is_lost(store: JsonStore) -> None:
        async with store.claim(sid):
            (claims / sid).unlink()
            start_actor("hold_claim", sid).communicate("end\n")
            newer = (claims / sid).read_text()
            await store.transact(lambda _: Changes(put=(make(),)))
            assert (claims / sid).read_text() == newer
            await anyio.sleep_forever()

    async with open_store() as store:
        with pytest.raises(ClaimLostError):
            await own_until_it_is_lost(store)


async def test_a_claim_whose_file_is_removed_while_it_is_taken_gets_a_new_file(
    open_store: OpenStore, claims: Path, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FileLock._opened
    removed: list[str] = []

    def opened(lock: FileLock) -> int:
        fd = real(lock)
        if not removed:  # the previous owner releases the claim and removes the file just now
            removed.append(lock.path)
            os.unlink(lock.path)
        return fd

    async with open_store() as store, open_store() as other:
        monkeypatch.setattr(FileLock, "_opened", opened)
        async with store.claim(sid):
            assert names(claims) == [sid]
            assert await other.holder(sid) is Holder.HELD


async def test_releasing_a_claim_does_not_remove_a_new_file_of_another_process(
    open_store: OpenStore, claims: Path, sid: str, make: MakeSession
) -> None:
    async with open_store() as store:
        await store.load()
        async with store.claim(sid):
            (claims / sid).unlink()
            (claims / sid).write_text("another's")
        assert (claims / sid).read_text() == "another's"


async def test_a_claim_that_gets_no_new_file_is_logged(
    open_store: OpenStore,
    claims: Path,
    make: MakeSession,
    sid: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_store() as store, store.claim(sid):
        (claims / sid).unlink()
        (claims / sid).mkdir()
        await store.transact(lambda _: Changes(put=(make(),)))
    assert "claim_not_renewed" in caplog.text


@pytest.mark.parametrize("operation", ["number_at", "write_number"])
async def test_a_claim_whose_new_file_cannot_be_used_gets_one_later(
    open_store: OpenStore,
    claims: Path,
    make: MakeSession,
    sid: str,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with open_store() as store, store.claim(sid) as claim:
        (claims / sid).unlink()
        with monkeypatch.context() as patch:
            patch.setattr(claims_module, operation, broken)
            await store.transact(lambda _: Changes(put=(make(),)))
        await store.transact(lambda _: Changes(put=(make(),)))
        assert number_at(str(claims / sid)) == claim.fence
        other = FileLock(str(claims / sid))
        assert not other.try_acquire()
        other.close()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
async def test_on_a_file_system_without_locks_the_holder_is_unknown(
    open_store: OpenStore, sid: str, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def unsupported(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    async with open_store() as store:
        async with store.claim(sid):
            pass
        monkeypatch.setattr(fcntl, "flock", unsupported)
        assert await store.holder(sid) is Holder.UNKNOWN
        with pytest.raises(ClaimHeldError) as caught:
            async with store.claim(sid):
                pass
        assert caught.value.certain is False
        with pytest.raises(StoreError, match="has no locks"):
            await store.transact(lambda _: Changes())


@pytest.mark.parametrize("operation", ["number_at", "read_number", "write_number"])
async def test_a_claim_that_fails_is_not_held_afterwards(
    open_store: OpenStore, sid: str, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async with open_store() as store:
        with monkeypatch.context() as patch:
            patch.setattr(claims_module, operation, broken)
            with pytest.raises(StoreError, match="Cannot claim"):
                async with store.claim(sid):
                    pass
        assert await store.holder(sid) is Holder.FREE


@pytest.mark.requirement("R5.2")
async def test_the_holder_of_a_claim_whose_file_cannot_be_opened_is_unknown(
    open_store: OpenStore, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async with open_store() as store:
        monkeypatch.setattr(FileLock, "_opened", broken)
        assert await store.holder(sid) is Holder.UNKNOWN


async def test_a_claim_refused_because_of_probes_alone_is_not_certain_to_be_held(
    open_store: OpenStore, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_shared(lock: FileLock, *, shared: bool = False) -> bool:
        return shared

    monkeypatch.setattr(claims_module, "_PAUSE", 0)
    monkeypatch.setattr(FileLock, "try_acquire", only_shared)
    async with open_store() as store:
        with pytest.raises(ClaimHeldError) as caught:
            async with store.claim(sid):
                pass
    assert caught.value.certain is False


@pytest.mark.parametrize("strange", ["../../escape", ".", "..", "a/b", "ä\n"])
async def test_a_strange_id_stays_within_the_directory(
    open_store: OpenStore, workspace: Path, claims: Path, strange: str
) -> None:
    async with open_store() as store, store.claim(strange):
        assert await store.holder(strange) is Holder.HELD
    assert len(list(claims.iterdir())) == 1
    assert sorted(path.name for path in workspace.iterdir()) == [".git"]
