"""What the file looks like, and that everything in it comes back."""

from __future__ import annotations

import json
import math
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frith.model import Changes, Integrity
from frith_json.integrity import read
from frith_json.numbers import dumps, loads, plain
from frith_json.text import EMPTY
from state_files import MakeSession, OpenStore

RECORD = """{
      "id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      "name": "one",
      "status": "waiting",
      "branch": "feature/one",
      "worktreePath": "/workspace/.worktrees/one",
      "createdAt": "2025-11-24T10:30:00.000Z",
      "lastActivity": "2025-11-24T10:31:00.250Z"MORE
    }"""
ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def theirs(more: str = "", top: str = "") -> str:
    """A file as another program writes it."""
    record = RECORD.replace("MORE", more)
    return f'{{\n  "version": "1.0",\n  "sessions": [\n    {record}\n  ]{top}\n}}'


def touch(snapshot: Any) -> Changes:
    """Change each session a little."""
    return Changes(put=tuple(s.evolve(current_phase="touched") for s in snapshot.sessions.values()))


@pytest.mark.requirement("R3.1")
async def test_a_new_file_is_the_agreed_schema_followed_by_our_key(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    session = make(metadata={"task": "Grüße", "empty": {}, "none": []}).detail(command=("sh",))
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(session,)))
    text = state.read_text()
    tree = json.loads(text)
    assert list(tree) == ["version", "sessions", "frith"]
    assert tree["version"] == "1.0"
    assert tree["sessions"] == [session.to_record()]
    assert tree["frith"]["records"] == {session.id: {"command": ["sh"]}}
    assert json.dumps(tree, indent=2, ensure_ascii=False) == text


@pytest.mark.requirement("R3.1")
async def test_version_and_sessions_are_byte_for_byte_what_javascript_writes(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    metadata = {
        "text": '\u2028 "\\/\b\f\n\r\t\x00\x1f\x7f é 🙂 \ud800',
        "numbers": [0, -1, 1.5, 1e-5, 1.25e-7, 1e21, 1e300, 100.0, 2**53, 1e16, 5e-324],
        "nested": {"a": [], "b": {}, "c": [[1], {"d": None}], "e": [True, False]},
    }
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(metadata=metadata), make("two"))))
    script = """
        const text = require('fs').readFileSync(process.argv[1], 'utf8')
        const {version, sessions} = JSON.parse(text)
        process.stdout.write(JSON.stringify({version, sessions}, null, 2).slice(0, -2))
    """
    shown = subprocess.run([node, "-e", script, str(state)], capture_output=True, check=True).stdout
    assert state.read_bytes().startswith(shown + b',\n  "frith": {')


async def test_a_new_file_can_be_read_by_its_owner_alone(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(make(),)))
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


@pytest.mark.requirement("R1.9")
async def test_keys_of_other_programs_survive_a_change_in_their_place(
    open_store: OpenStore, state: Path
) -> None:
    state.write_text(
        '{"note": [1, {"x": null}], '
        + theirs(
            ',\n "agent": {"model": "x", "seen": null}, "details": 7, "pty_pid": "mine"',
            ', "zz": {"sessions": []}',
        )[1:]
    )
    async with open_store() as store:
        await store.transact(touch)
    tree = json.loads(state.read_text())
    assert list(tree) == ["note", "version", "sessions", "zz", "frith"]
    assert tree["note"] == [1, {"x": None}]
    assert tree["zz"] == {"sessions": []}
    record = tree["sessions"][0]
    assert record["agent"] == {"model": "x", "seen": None}
    assert (record["details"], record["pty_pid"]) == (7, "mine")
    assert record["currentPhase"] == "touched"


@pytest.mark.requirement("R1.9")
async def test_unknown_keys_of_our_own_part_survive_a_change(
    open_store: OpenStore, state: Path, make: MakeSession
) -> None:
    session = make().detail(command=("sh",))
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(session,)))
    tree = json.loads(state.read_text())
    tree["frith"]["later"] = {"a": 1}
    tree["frith"]["records"][session.id]["hint"] = None
    tree["frith"]["records"]["gone"] = {"command": ["x"]}
    state.write_text(json.dumps(tree))
    async with open_store() as store:
        await store.transact(touch)
        await store.transact(touch)
    again = json.loads(state.read_text())["frith"]
    assert again["later"] == {"a": 1}
    assert again["records"] == {
        session.id: {"command": ["sh"], "hint": None},
        "gone": {"command": ["x"]},
    }


ODD = ["1.0", "0.1000", "1e400", "-0", "-0.0", "1E5", "1e5", "0.10e-3", "9" * 400, "9" * 5000]


@pytest.mark.requirement("R3.4")
@pytest.mark.parametrize("number", ODD, ids=lambda number: number[:10])
@pytest.mark.parametrize("where", ["metadata", "unknown", "details", "top", "ours"])
async def test_numbers_come_back_as_they_were(
    open_store: OpenStore, state: Path, where: str, number: str
) -> None:
    odd = f'{{"deep": [1, {number}, "x"]}}'
    parts = dict.fromkeys(["metadata", "unknown", "details", "top", "ours"], '{"deep": []}')
    parts[where] = odd
    ours = f'"records": {{"{ID}": {{"hint": {parts["details"]}}}}}, "x": {parts["ours"]}'
    state.write_text(
        theirs(
            f', "metadata": {parts["metadata"]}, "unknown": {parts["unknown"]}',
            f', "top": {parts["top"]}, "frith": {{"format": 1, "revision": 3, {ours}}}',
        )
    )
    async with open_store() as store:
        await store.transact(touch)
    async with open_store() as store:
        assert (await store.load()).integrity is Integrity.VERIFIED
        await store.transact(lambda s: Changes(put=(s.sessions[ID].evolve(name="new"),)))
    assert f" {number}," in state.read_text()


@pytest.mark.requirement("R3.4")
@pytest.mark.parametrize("escape", [r"\ud800", r"\u0000", r"\udfff tail", r"\ud83d\ude42"])
async def test_strings_come_back_as_they_were(
    open_store: OpenStore, state: Path, escape: str
) -> None:
    state.write_text(theirs(f', "metadata": {{"a": "{escape}", "{escape}": 1}}'))
    was = json.loads(state.read_text())["sessions"][0]["metadata"]
    for _ in range(2):
        async with open_store() as store:
            await store.transact(touch)
        assert json.loads(state.read_text())["sessions"][0]["metadata"] == was


async def test_a_changed_value_replaces_an_unusual_number(
    open_store: OpenStore, state: Path
) -> None:
    state.write_text(theirs(', "metadata": {"a": 1.0, "b": [1.0, 2.0], "c": 1.0}'))
    async with open_store() as store:
        was = (await store.load()).sessions[ID].metadata
        assert was == {"a": 1.0, "b": [1.0, 2.0], "c": 1.0}
        new = {"a": 2, "b": [1.0, 3, 1.5], "c": True}
        await store.transact(lambda s: Changes(put=(s.sessions[ID].evolve(metadata=new),)))
    compact = "".join(state.read_text().split())
    assert '"metadata":{"a":2,"b":[1.0,3,1.5],"c":true}' in compact


async def test_sessions_keep_their_order(open_store: OpenStore, make: MakeSession) -> None:
    first, second, third = make("a"), make("b"), make("c")
    async with open_store() as store:
        await store.transact(lambda _: Changes(put=(first, second, third)))
        await store.transact(
            lambda _: Changes(put=(first.evolve(name="x"),), delete=frozenset({second.id}))
        )
    async with open_store() as store:
        assert [s.name for s in (await store.load()).sessions.values()] == ["x", "c"]


# Lone surrogates are included. Of a high and a low one side by side JSON makes one character.
text = st.text(st.characters()).map(lambda each: json.loads(json.dumps(each)))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def typed(tree: Any) -> Any:
    """``tree`` such that 1, 1.0 and True differ only as JSON values do."""
    if isinstance(tree, dict):
        return {key: typed(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [typed(value) for value in tree]
    return (isinstance(tree, bool), tree)


@pytest.mark.expensive("tries many examples")
@pytest.mark.requirement("R1.9")
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    metadata=st.dictionaries(text, json_values, max_size=4),
    unknown=st.dictionaries(text, json_values, max_size=4),
    top=st.dictionaries(text, json_values, max_size=3),
)
def test_any_json_that_is_stored_is_read_again(
    make: MakeSession, metadata: Any, unknown: Any, top: Any
) -> None:
    plain_session = make()
    record = plain_session.to_record() | {"metadata": metadata}
    record |= {f"x{key}": value for key, value in unknown.items()}
    tree = {f"t{key}": value for key, value in top.items()} | {"sessions": [record]}
    foreign = read(json.dumps(tree).encode(), "file")
    session = foreign.snapshot.sessions[plain_session.id]
    change = Changes(put=(session.detail(terminal_ref=metadata).evolve(name="new"),))
    changed = foreign.changed(change)
    sealed, pieces = changed.sealed()
    data = b"".join(pieces)
    again = read(data, "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    assert again.seal == sealed.seal
    stored = again.snapshot.sessions[session.id]
    assert typed(stored.metadata) == typed(metadata)
    assert typed(stored.details.terminal_ref) == typed(metadata)
    written = json.loads(data)
    assert typed(written["sessions"]) == typed([record | {"name": "new"}])
    assert typed({key: written[key] for key in tree}) == typed(
        tree | {"sessions": written["sessions"]}
    )
    assert b"".join(again.sealed()[1]) == data


@given(json_values)
def test_any_json_that_is_written_is_read_again(tree: Any) -> None:
    assert typed(plain(loads(dumps(tree)))) == typed(tree)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_is_written_is_read_again(number: float) -> None:
    again = plain(loads(dumps(number)))
    assert again == number
    assert math.copysign(1, again) == math.copysign(1, number)


def test_an_unchanged_record_is_not_encoded_again(make: MakeSession) -> None:
    kept, changed = make("kept"), make("changed")
    before = EMPTY.changed(Changes(put=(kept, changed)))
    after = before.changed(Changes(put=(changed.evolve(name="other"),)))
    assert after.records.texts[kept.id] is before.records.texts[kept.id]


def test_an_unchanged_record_is_not_validated_again(make: MakeSession) -> None:
    sessions = [make(), make()]
    first = EMPTY
    first, _ = first.changed(Changes(put=tuple(sessions))).sealed()
    _, pieces = first.changed(Changes(put=(sessions[0].evolve(name="new"),))).sealed()
    again = read(b"".join(pieces), "file", first)
    assert again.snapshot.sessions[sessions[1].id] is sessions[1]
    assert again.snapshot.sessions[sessions[0].id].name == "new"
