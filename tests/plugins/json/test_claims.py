"""Owning a session: one at a time, for as long as the owner lives."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from frith.errors import ClaimHeldError, ClaimLostError, StoreError
from frith.model import Changes, Session, Snapshot
from frith.ports import Holder
from frith_json import _claims, _files
from frith_json.store import JsonStore
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


async def test_a_claim_is_held_while_its_context_is_open(open_store, sid) -> None:
    async with open_store() as store:
        assert await store.holder(sid) is Holder.FREE
        async with store.claim(sid) as claim:
            assert claim.session_id == sid
            assert await store.holder(sid) is Holder.HELD
        assert await store.holder(sid) is Holder.FREE


async def test_a_second_claim_is_refused_by_every_store(open_store, sid) -> None:
    async with open_store() as store, open_store() as other, store.claim(sid):
        for each in (store, other):
            with pytest.raises(ClaimHeldError) as caught:
                async with each.claim(sid):
                    pass
            assert (caught.value.session_id, caught.value.certain) == (sid, True)
            assert await each.holder(sid) is Holder.HELD


@pytest.mark.requirement("R4.2")
async def test_a_claim_of_another_process_is_seen_and_respected(
    open_store, start_actor, sid
) -> None:
    owner = start_actor("hold_claim", sid)
    async with open_store() as store:
        assert await store.holder(sid) is Holder.HELD
        with pytest.raises(ClaimHeldError):
            async with store.claim(sid):
                pass
        owner.communicate("end\n")
        assert await store.holder(sid) is Holder.FREE
        async with store.claim(sid):
            pass


async def test_a_claim_ends_at_once_when_its_owner_is_killed(open_store, start_actor, sid) -> None:
    owner = start_actor("hold_claim", sid)
    owner.kill()
    owner.wait()
    async with open_store() as store:
        assert await store.holder(sid) is Holder.FREE
        async with store.claim(sid):
            pass


async def test_a_child_of_the_owner_does_not_keep_its_claim(open_store, sid) -> None:
    async with open_store() as store:
        async with store.claim(sid):
            forked = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
            executed = subprocess.Popen(["/bin/sleep", "60"], close_fds=False)
        try:
            assert await store.holder(sid) is Holder.FREE
        finally:
            executed.kill()
            executed.wait()
            os.kill(forked, 9)
            os.waitpid(forked, 0)


FORKING = """
import os, sys, anyio
from pathlib import Path
from frith_json.options import JsonOptions
from frith_json.store import JsonStore

async def main():
    async with JsonStore.opened(Path(sys.argv[1]), JsonOptions()) as store:
        async with store.claim(sys.argv[2]):
            if (child := os.fork()) == 0:
                print(os.getpid(), flush=True)
                sys.stdin.readline()
                os._exit(0)
            os.kill(os.getpid(), 9)

anyio.run(main)
"""


async def test_a_fork_that_outlives_the_owner_does_not_keep_its_claim(
    open_store, workspace, sid
) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(workspace), sid],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        owner.wait()
        os.kill(child, 0)
        async with open_store() as store:
            assert await store.holder(sid) is Holder.FREE


async def test_the_fence_grows_with_every_claim_across_processes(
    open_store, start_actor, claims, sid
) -> None:
    fences = []
    async with open_store() as store, open_store() as other:
        for each in (store, other, store):
            async with each.claim(sid) as claim:
                fences.append(claim.fence)
        start_actor("hold_claim", sid).communicate("end\n")
        fences.append(int((claims / sid).read_text()))
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
    assert fences == sorted(set(fences))


async def test_the_fence_grows_even_if_its_file_was_lost_or_the_clock_stands(
    open_store, claims, sid, monkeypatch
) -> None:
    fences = []
    async with open_store() as store:
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
        shutil.rmtree(claims)
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
        monkeypatch.setattr(_claims.time, "time_ns", lambda: 0)
        async with store.claim(sid) as claim:
            fences.append(claim.fence)
    assert fences == sorted(set(fences))


@pytest.mark.expensive("starts several processes")
async def test_of_many_that_claim_at_once_exactly_one_gets_it(start_actor, sid) -> None:
    actors = [start_actor("compete", sid) for _ in range(4)]
    for actor in actors:
        actor.stdin.write("go\n")
        actor.stdin.flush()
    results = [actor.stdout.readline() for actor in actors]
    assert sorted(results) == ["lost True\n"] * 3 + ["won\n"]


@pytest.mark.expensive("starts several processes")
async def test_probes_never_make_a_claim_fail(open_store, workspace, sid) -> None:
    prober = (
        "import sys\nfrom frith_json._claims import Claims\n"
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


async def test_a_claim_whose_file_was_deleted_is_kept_and_mended(
    open_store, start_actor, claims, make, sid
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


async def test_a_claim_that_is_taken_too_late_is_not_kept(open_store, sid, monkeypatch):
    opening, waited = threading.Event(), threading.Event()
    real = _files.open_lock

    def slow(path: str) -> int:
        opening.set()
        assert waited.wait(PATIENCE)
        return real(path)

    # Within the first limit the idle thread of the store has to begin, also on a busy machine.
    async with open_store(lock_timeout=0.5, write_timeout=0.01) as store:
        monkeypatch.setattr(_files, "open_lock", slow)
        with pytest.raises(StoreError, match="did not answer"):
            async with store.claim(sid):
                pytest.fail("claimed")
        assert opening.is_set()
        monkeypatch.setattr(_files, "open_lock", real)
        waited.set()
    async with open_store() as store, store.claim(sid):
        assert await store.holder(sid) is Holder.HELD


async def test_a_claim_that_another_process_has_taken_ends_by_itself(
    open_store, start_actor, claims, make, sid
) -> None:
    fences: list[int | None] = []
    own: list[int] = []

    def look(newest: Snapshot) -> Changes:
        fences.append(newest.fences.get(sid))
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


@pytest.fixture
def destroy(open_store):
    """Removes a session, as its owner; returns the fence of the claim."""

    async def destroy(session: Session, store: JsonStore) -> int:
        async with store.claim(session.id) as claim:
            await store.transact(lambda _: Changes(put=(session,)))
            await store.transact(lambda _: Changes(delete=frozenset({session.id})))
        return claim.fence

    return destroy


async def test_the_file_of_a_claim_goes_with_its_session(open_store, claims, make, destroy) -> None:
    stays, goes = make("stays"), make("goes")
    async with open_store() as store:
        async with store.claim(stays.id):
            await store.transact(lambda _: Changes(put=(stays,)))
        await destroy(goes, store)
        assert names(claims) == [stays.id]
        assert await store.holder(goes.id) is Holder.FREE


async def test_that_of_a_creation_that_failed_goes_too(open_store, claims, sid, make) -> None:
    async with open_store() as store:
        await store.load()
        async with store.claim(sid):
            await store.transact(lambda _: Changes(put=(make(),)))
        assert names(claims) == []


async def test_the_fence_of_a_session_that_comes_back_grows_though_the_clock_went_back(
    open_store, make, destroy, monkeypatch
) -> None:
    session = make()
    async with open_store() as store, open_store() as other:
        fence = await destroy(session, store)
        monkeypatch.setattr(_claims.time, "time_ns", lambda: 0)
        for each in (other, store):
            async with each.claim(session.id) as claim:
                assert claim.fence > fence
                fence = claim.fence
                await each.transact(lambda _: Changes(put=(session,)))


async def test_what_a_crash_left_of_sessions_that_are_over_is_removed_with_the_first_change(
    open_store, claims, make, start_actor
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


async def test_an_owner_whose_session_another_has_removed_meanwhile_does_not_get_it_back(
    open_store, claims, make, start_actor
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


async def test_one_that_was_claimed_and_released_meanwhile_is_not_mended(
    open_store, claims, sid, make, start_actor
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


async def test_a_claim_whose_file_is_removed_while_it_is_taken_gets_the_next_one(
    open_store, claims, sid, monkeypatch
) -> None:
    real, removed = _claims._locks.opened, []

    def opened(path: str) -> int:
        fd = real(path)
        if not removed:  # the owner before releases it, and removes the file, just now
            removed.append(path)
            os.unlink(path)
        return fd

    async with open_store() as store, open_store() as other:
        monkeypatch.setattr(_claims._locks, "opened", opened)
        async with store.claim(sid):
            assert names(claims) == [sid]
            assert await other.holder(sid) is Holder.HELD


async def test_a_file_that_took_the_place_of_a_removed_one_is_left_alone(
    open_store, claims, sid, make
) -> None:
    async with open_store() as store:
        await store.load()
        async with store.claim(sid):
            (claims / sid).unlink()
            (claims / sid).write_text("another's")
        assert (claims / sid).read_text() == "another's"


async def test_a_claim_that_cannot_be_mended_is_reported(
    open_store, claims, make, sid, caplog
) -> None:
    async with open_store() as store, store.claim(sid):
        (claims / sid).unlink()
        (claims / sid).mkdir()
        await store.transact(lambda _: Changes(put=(make(),)))
    assert "claim_not_mended" in caplog.text


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
async def test_without_locks_nobody_can_tell(open_store, sid, monkeypatch, code) -> None:
    def unsupported(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    async with open_store() as store:
        async with store.claim(sid):
            pass
        monkeypatch.setattr(_files, "lock", unsupported)
        assert await store.holder(sid) is Holder.UNKNOWN
        with pytest.raises(ClaimHeldError) as caught:
            async with store.claim(sid):
                pass
        assert caught.value.certain is False
        with pytest.raises(StoreError, match="has no locks"):
            await store.transact(lambda _: Changes())


@pytest.mark.parametrize("operation", ["open_lock", "read_note", "write_note"])
async def test_a_claim_that_fails_is_an_error_and_leaves_none(
    open_store, sid, monkeypatch, operation
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async with open_store() as store:
        with monkeypatch.context() as patch:
            patch.setattr(_files, operation, broken)
            with pytest.raises(StoreError, match="Cannot claim"):
                async with store.claim(sid):
                    pass
        assert await store.holder(sid) is Holder.FREE


@pytest.mark.requirement("R5.2")
async def test_a_claim_that_cannot_be_looked_at_is_not_called_free(
    open_store, sid, monkeypatch
) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async with open_store() as store:
        monkeypatch.setattr(_files, "open_for_reading", broken)
        assert await store.holder(sid) is Holder.UNKNOWN


async def test_a_claim_probed_all_the_time_is_not_certain(open_store, sid, monkeypatch) -> None:
    def only_shared(fd: int, *, shared: bool = False) -> bool:
        return shared

    monkeypatch.setattr(_claims, "_PAUSE", 0)
    monkeypatch.setattr(_claims._locks, "try_lock", only_shared)
    async with open_store() as store:
        with pytest.raises(ClaimHeldError) as caught:
            async with store.claim(sid):
                pass
    assert caught.value.certain is False


async def test_a_claim_cancelled_while_it_is_taken_is_released(
    open_store, sid, monkeypatch
) -> None:
    import threading

    reached, go_on = threading.Event(), threading.Event()
    real = _files.write_note

    def slow(fd: int, note: bytes) -> None:
        reached.set()
        assert go_on.wait(PATIENCE)
        real(fd, note)

    monkeypatch.setattr(_files, "write_note", slow)
    async with open_store() as store:

        async def claim() -> None:
            async with store.claim(sid):
                pytest.fail("was cancelled before")

        async with anyio.create_task_group() as group:
            group.start_soon(claim)
            assert await anyio.to_thread.run_sync(reached.wait, PATIENCE)
            group.cancel_scope.cancel()
            go_on.set()
        assert await store.holder(sid) is Holder.FREE


@pytest.mark.parametrize("strange", ["../../escape", ".", "..", "a/b", "ä\n"])
async def test_a_strange_id_stays_within_the_directory(
    open_store, workspace, claims, strange
) -> None:
    async with open_store() as store, store.claim(strange):
        assert await store.holder(strange) is Holder.HELD
    assert len(list(claims.iterdir())) == 1
    assert sorted(path.name for path in workspace.iterdir()) == [".git"]
