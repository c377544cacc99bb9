"""A verified file is cut into the very records that were written, however many slices it takes."""

from __future__ import annotations

import json

import pytest

from frith.model import Changes
from frith_json._cutting import SLICE, Cut
from frith_json._document import EMPTY, Document
from frith_json._reading import read


@pytest.fixture
def document(make) -> Document:
    """Of several slices; some sessions with details, one that only the exact parser reads."""
    sessions = [make(f"s{n}", metadata={"}\n    },\n    {": n}) for n in range(300)]
    sessions[10:200] = [s.detail(command=("sh", s.name)) for s in sessions[10:200]]
    sessions[20] = sessions[20].evolve(name="\ud800")
    document = Document.of(EMPTY.snapshot).changed(Changes(put=tuple(sessions)))
    assert len(document.sealed()[1]) > 3 * SLICE
    return document


def test_every_record_is_read_as_it_was_written(document) -> None:
    cut = Cut(document.sealed()[1])
    verbatim = frozenset(key for key, entry in document.entries.items() if entry.verbatim)
    assert len(verbatim) == 1
    details = cut.details()
    entries = cut.entries(details, verbatim, {})
    assert details == {}
    assert list(entries) == list(document.entries)
    assert [e[:4] for e in entries.values()] == [e[:4] for e in document.entries.values()]
    rest = json.loads(cut.rest)
    assert (rest["sessions"], rest["frith"]["records"]) == ([], {})


def test_what_has_not_changed_is_taken_over(document) -> None:
    first, *_, last = document.snapshot.sessions.values()
    before = read(document.sealed()[1], "file")
    after = before.changed(Changes(put=(first.evolve(name="new"), last.detail(command=("x",)))))
    again = read(after.sealed()[1], "file", before)
    fresh = [key for key, entry in again.entries.items() if entry is not before.entries[key]]
    assert fresh == [first.id, last.id]
    assert again.snapshot.sessions == after.snapshot.sessions


@pytest.mark.parametrize("after", [True, False])
def test_what_other_programs_keep_beside_does_not_disturb(document, after) -> None:
    others = {"agents": [{"id": 1}, {"id": 2}]}
    top = {"version": None, "sessions": None}
    foreign = Document(
        document.snapshot, document.entries, top | others if after else others | top
    ).sealed()[1]
    cut = Cut(foreign)
    verbatim = frozenset(key for key, entry in document.entries.items() if entry.verbatim)
    assert list(cut.entries(cut.details(), verbatim, {})) == list(document.entries)
    assert json.loads(read(foreign, "file").sealed()[1])["agents"] == others["agents"]
