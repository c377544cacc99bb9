"""A sealed file is cut into the very records that were written."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from frith.model import Changes, Integrity
from frith_json.integrity import DamagedError, read
from frith_json.text import EMPTY, Document
from state_files import MakeSession


@pytest.fixture
def document(make: MakeSession) -> Document:
    """Some sessions with details, one that only the exact parser reads in full."""
    sessions = [make(f"s{n}", metadata={"}\n    },\n    {": n}) for n in range(300)]
    sessions[10:200] = [s.detail(command=("sh", s.name)) for s in sessions[10:200]]
    sessions[20] = sessions[20].evolve(name="\ud800")
    return EMPTY.changed(Changes(put=tuple(sessions)))


def content(document: Document) -> bytes:
    return b"".join(document.sealed()[1])


def resealed(data: bytes) -> bytes:
    """Return ``data`` with the right checksum: see the documentation of the state file."""
    end = len(data) - len(b'"\n  }\n}')
    start = end - 64
    cut = data.rindex(b'\n  "frith": {')
    blocks = data[:cut].split(b"\n    },\n    {")
    blocks += (data[cut:start] + data[end:]).split(b"\n      },\n      ")
    seal = sha256(b"".join(sha256(block).digest() for block in blocks)).hexdigest()
    return data[:start] + seal.encode() + data[end:]


def test_every_session_is_read_as_it_was_written(document: Document) -> None:
    again = read(content(document), "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    assert list(again.snapshot.sessions) == list(document.snapshot.sessions)
    assert again.records == document.records
    assert again.details == document.details
    assert content(again) == content(document)


def test_only_sessions_that_have_changed_are_read_anew(document: Document) -> None:
    first, *_, last = document.snapshot.sessions.values()
    before = read(content(document), "file")
    after = before.changed(Changes(put=(first.evolve(name="new"), last.detail(command=("x",)))))
    again = read(content(after), "file", before)
    known = before.snapshot.sessions
    fresh = [key for key, session in again.snapshot.sessions.items() if session is not known[key]]
    assert fresh == [first.id, last.id]
    assert dict(again.snapshot.sessions) == dict(after.snapshot.sessions)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_file_with_few_sessions_is_verified(make: MakeSession, count: int) -> None:
    sessions = [make(f"s{n}").detail(command=("sh",)) for n in range(count)]
    written = content(EMPTY.changed(Changes(put=tuple(sessions))))
    again = read(written, "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    assert list(again.snapshot.sessions.values()) == sessions


@pytest.mark.parametrize("is_first", [True, False])
def test_lists_of_objects_of_other_programs_do_not_disturb(
    document: Document, is_first: bool
) -> None:
    others: dict[str, Any] = {"agents": [{"id": 1}, {"id": 2}]}
    agreed: dict[str, Any] = {"version": None, "sessions": None}
    top = others | agreed if is_first else agreed | others
    again = read(content(replace(document, top=top)), "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    assert list(again.snapshot.sessions) == list(document.snapshot.sessions)
    assert json.loads(content(again))["agents"] == others["agents"]


@pytest.mark.parametrize("stray", [5, {}, [], {"command": ["x"]}], ids=str)
def test_details_of_any_kind_without_a_session_are_kept(make: MakeSession, stray: Any) -> None:
    session = make().detail(command=("sh",))
    document = replace(EMPTY.changed(Changes(put=(session,))), strays={"gone": stray})
    again = read(content(document), "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    assert again.snapshot.sessions[session.id].details.command == ("sh",)
    assert again.strays == {"gone": stray}
    assert content(again) == content(document)


@pytest.mark.parametrize("count", [0, 1])
def test_details_of_a_session_that_another_program_removed_wait_for_it(
    make: MakeSession, count: int
) -> None:
    gone, others = make("gone").detail(command=("x",)), [make().detail(command=("sh",))] * count
    document = replace(
        EMPTY.changed(Changes(put=tuple(others))), strays={gone.id: {"command": ["x"]}}
    )
    again = read(content(document), "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    assert list(again.snapshot.sessions.values()) == others
    assert content(again) == content(document)
    back = read(content(again.changed(Changes(put=(gone,)))), "file")
    assert back.snapshot.sessions[gone.id] == gone
    assert gone.id not in content(again.changed(Changes(delete=frozenset({gone.id})))).decode()


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (b'"sessions": [\n    {', b'"sessions": [{'),
        (b'"records": {\n      ', b'"records": {'),
        (b"\n    },\n    {", b"}, {"),
        (b'{\n      "id": ', b'{\n      "colour": "red", "id": '),
    ],
    ids=["first session", "first details", "between sessions", "place of the id"],
)
def test_a_sealed_file_that_is_laid_out_differently_loses_nothing(
    document: Document, ours: bytes, other: bytes
) -> None:
    again = read(resealed(content(document).replace(ours, other)), "file")
    assert again.snapshot.integrity is Integrity.VERIFIED
    for key, session in document.snapshot.sessions.items():
        assert again.snapshot.sessions[key].name == session.name
        assert again.snapshot.sessions[key].details == session.details


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_sealed_file_in_which_a_session_has_two_ids_is_damaged(
    make: MakeSession, is_exact: bool
) -> None:
    first, second = make("first"), make("\ud800" if is_exact else "second")
    written = content(EMPTY.changed(Changes(put=(first, second))))
    line = f'"id": "{second.id}",'
    twice = written.replace(line.encode(), f'{line}\n      "id": "{first.id}",'.encode())
    with pytest.raises(DamagedError, match="twice"):
        read(resealed(twice), "file")
