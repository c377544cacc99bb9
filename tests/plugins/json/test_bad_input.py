"""Whatever lies at the path of the state file: bounded time and memory, a warning, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith.errors import CorruptStoreError, StoreError
from frith.model import Changes, Integrity
from frith_json import state as state_module
from frith_json.content import identity_of
from frith_json.text import EMPTY
from state_files import MakeSession, OpenStore
from waiting import TO_RUN

pytestmark = pytest.mark.requirement("R5.2")

MIB = 1 << 20
RECORD = (
    '{"id": "12345678-1234-4234-8234-123456789abc", "name": "one", "status": "idle", '
    '"branch": "b", "worktreePath": "/w", "createdAt": "2025-11-24T10:30:00.000Z", '
    '"lastActivity": "2025-11-24T10:30:00.000Z"}'
)
OTHER = RECORD.replace("123456789abc", "123456789abd")
WHOLE = f'{{"version": "1.0", "sessions": [{RECORD}]}}'


def within(record: str) -> str:
    return WHOLE.replace(RECORD, record)


ACCEPTED: dict[str, tuple[str, int]] = {
    "BOM": ("\ufeff" + WHOLE, 1),
    "CRLF": (WHOLE.replace(", ", ",\r\n") + "\r\n", 1),
    "lone surrogates": (within(RECORD.replace('"one"', r'"\ud800"')), 1),
    "a lone surrogate as key": (within(RECORD.replace('"name"', r'"\udfff": 1, "name"')), 1),
    "numbers beyond all bounds": (within(RECORD.replace('"name"', '"x": 1e400, "name"')), 1),
    "a path outside the workspace": (within(RECORD.replace('"/w"', '"/etc/../.."')), 1),
    "more sessions than the limit allows": (
        within(", ".join(RECORD.replace("789abc", f"789a{n:02}") for n in range(50))),
        50,
    ),
}
CORRUPT: dict[str, str | bytes] = {
    "a key twice in a session": within(RECORD.replace('"name"', '"name": "two", "name"')),
    "sessions twice": WHOLE.replace('"sessions"', f'"sessions": [{OTHER}], "sessions"'),
    "an id twice": within(f"{RECORD}, {RECORD}"),
    "NaN": within(RECORD.replace('"name"', '"x": NaN, "name"')),
    "a number for a string": within(RECORD.replace('"one"', "1")),
    "a list for a session": within(f"{RECORD}, []"),
    "a session too many, of another kind": within(f'{RECORD}, {{"id": 5}}'),
    "UTF-16": WHOLE.encode("utf-16"),
    "nested too deeply": within(RECORD.replace('"one"', '{"x": ' * 99_999 + "0" + "}" * 99_999)),
    "only zeros": b"\0" * 4096,
}


def as_bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("name", ACCEPTED)
async def test_unusual_files_of_other_programs_are_read_without_loss(
    open_store: OpenStore, state: Path, make: MakeSession, name: str
) -> None:
    content, count = ACCEPTED[name]
    state.write_bytes(as_bytes(content))
    async with open_store() as store:
        before = await store.load()
        assert (before.integrity, len(before.sessions)) == (Integrity.FOREIGN, count)
        await store.transact(lambda _: Changes(put=(make("new"),)))
    for text in ('"\\ud800"', '"\\udfff": 1', "1e400", '"/etc/../.."'):
        assert (text in content) == (text in state.read_text())
    async with open_store() as store:
        after = await store.load()
    assert after.integrity is Integrity.VERIFIED
    assert {key: after.sessions[key] for key in before.sessions} == before.sessions


@pytest.mark.parametrize("name", CORRUPT)
async def test_an_invalid_file_is_corrupt_and_kept_aside_when_it_is_replaced(
    open_store: OpenStore, state: Path, make: MakeSession, name: str
) -> None:
    content = as_bytes(CORRUPT[name])
    state.write_bytes(content)
    async with open_store() as store:
        with pytest.raises(CorruptStoreError) as caught:
            await store.transact(lambda _: Changes(put=(make(),)))
        assert caught.value.reason in str(caught.value)
        assert state.read_bytes() == content
        await store.replace_corrupt(caught.value.token, EMPTY.snapshot)
    (kept,) = state.parent.glob(f"{state.name}.corrupt-*")
    assert kept.read_bytes() == content


@pytest.mark.parametrize("name", ["a key twice in a session", "sessions twice", "an id twice"])
async def test_sessions_that_are_in_a_file_twice_are_all_salvaged(
    open_store: OpenStore, state: Path, name: str
) -> None:
    state.write_bytes(as_bytes(CORRUPT[name]))
    async with open_store() as store:
        with pytest.raises(CorruptStoreError, match="twice|two sessions") as caught:
            await store.load()
    expected = {RECORD[8:44], OTHER[8:44]} if name == "sessions twice" else {RECORD[8:44]}
    assert {session.id for session in caught.value.salvage} == expected


async def test_a_link_to_nowhere_is_a_missing_file_and_is_kept(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    state.symlink_to("elsewhere.json")
    async with open_store() as store:
        assert (await store.load()).integrity is Integrity.MISSING
        await store.transact(lambda _: Changes(put=(make(),)))
    assert state.is_symlink()
    assert (state.parent / "elsewhere.json").exists()


OTHER_KINDS: dict[str, Callable[[Path], None]] = {
    "a directory": lambda path: path.mkdir(),
    "a FIFO": os.mkfifo,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link in a circle": lambda path: path.symlink_to(path.name),
    "a link to a directory": lambda path: path.symlink_to("."),
    "a name beneath a file": lambda path: path.symlink_to(f"{__file__}/state.json"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
async def test_a_state_file_that_is_not_a_regular_file_is_refused_and_not_touched(
    open_store: OpenStore, state: Path, make: MakeSession, kind: str
) -> None:
    OTHER_KINDS[kind](state)
    before = identity_of(state.lstat())
    async with open_store() as store:
        for attempt in (store.load(), store.transact(lambda _: Changes(put=(make(),)))):
            with pytest.raises(StoreError, match="Cannot read") as caught:
                await attempt
            assert caught.value.code == "STORE_FAILED"
    assert identity_of(state.lstat()) == before
    assert not state.is_file()


def sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, size)

    return make


def full(*parts: tuple[str, int]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text("".join(text * times for text, times in parts))

    return make


@pytest.mark.expensive("reads large files")
@pytest.mark.parametrize(
    ("write", "code", "memory"),
    [
        (sparse(2048 * MIB), "STORE_FAILED", 0),
        (sparse(32 * MIB + 1), "STORE_FAILED", 0),
        (sparse(32 * MIB), "STORE_CORRUPT", 8),
        (full(("[", 8 * MIB)), "STORE_CORRUPT", 8),
        (full(('{"sessions": [', 1), ('{"id": ', MIB)), "STORE_CORRUPT", 8),
        (full(('{"id": 1, "x": [', 900), ("1,", MIB)), "STORE_CORRUPT", 40),
        (full(('{"sessions": [', 1), ('{"id": 1},', MIB), ("1]}", 1)), "STORE_CORRUPT", 60),
        (full(('{"sessions": [], "x": [', 1), ("[],", MIB), ("1]}", 1)), "foreign", 60),
    ],
    ids=["2 GiB", "too large", "zeros", "brackets", "ids", "starts in starts", "no ids", "lists"],
)
def test_reading_a_large_file_takes_bounded_memory(
    workspace: Path, state: Path, write: Any, code: str, memory: int
) -> None:
    write(state)
    before = state.stat()
    script = Path(__file__).with_name("examine.py")

    def examined(where: Path) -> tuple[str, float, int]:
        command = [sys.executable, str(script), str(where)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TO_RUN, check=True)
        what, _, seconds, peak = json.loads(done.stdout)
        return what, seconds, peak * MIB

    (workspace / "empty" / ".git").mkdir(parents=True)
    bare = examined(workspace / "empty")
    found = examined(workspace)
    assert found[0] == code
    assert found[2] - bare[2] <= memory * before.st_size + 8 * MIB
    assert (state.stat().st_size, state.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(state_module, "MAX_SIZE", 8192)
    return 8192


async def test_a_change_that_would_be_too_large_to_be_read_again_is_refused(
    open_store: OpenStore, make: MakeSession, small_limit: int
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make("first"),)))
        large = make("large", metadata={"x": "x" * small_limit})
        with pytest.raises(StoreError, match="larger than"):
            await store.transact(lambda _: Changes(put=(large,)))
    async with open_store() as store:
        stored = [session.name for session in (await store.load()).sessions.values()]
    assert stored == ["first"]
