"""A verified file, cut into records by its layout and validated slice by slice.

No JSON string holds a raw line break: an indentation tells the depth it stands at. Records that
have not changed since an earlier reading are taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import cast

from pydantic import ConfigDict, TypeAdapter

from frith.model import Session
from frith_json import _document as layout
from frith_json._entry import Entry
from frith_json._pace import Pace

SLICE = 1 << 15
"""Bytes of the file, at least, that are read in one go: a fraction of a millisecond."""

_MANY = TypeAdapter(list[Session], config=ConfigDict(cache_strings="keys"))
"""Caching values as well costs more than it saves where they differ."""
_ID = slice(len('{\n      "id": "'), len('{\n      "id": "') + 36)
_RECORDS = layout.SESSIONS_OPEN, b"    {", b"\n    },\n    {", b"\n    }", layout.SESSIONS_CLOSE
_DETAILS = layout.RECORDS_OPEN, b'      "', b',\n      "', b"", layout.RECORDS_CLOSE


class Cut:
    """The parts of a verified file."""

    def __init__(self, data: bytes) -> None:
        """Find them.

        Raises:
            ValueError: ``data`` is not laid out so.
        """
        ours = data.rindex(layout.OURS_OPEN)
        self._records = _Section(data, 0, ours, *_RECORDS)
        self._details = _Section(data, ours, len(data), *_DETAILS)
        before, between = slice(self._records.first), slice(self._records.last, self._details.first)
        self.rest = data[before] + data[between] + data[self._details.last :]
        """The file without records and details."""

    def details(self) -> dict[str, bytes]:
        """Return the details of the sessions, by id, as they stand there."""
        found: dict[str, bytes] = {}
        for lines in self._details.slices():
            for line in lines:
                key, _, text = line.partition(b'": ')
                found[key.decode()] = text
        return found

    def entries(
        self, details: dict[str, bytes], verbatim: frozenset[str], previous: Mapping[str, Entry]
    ) -> dict[str, Entry]:
        """Return the entries of all records, by id; take their ``details`` out of the mapping.

        Args:
            verbatim: ids of those that only the exact parser reads.
            previous: an earlier reading.

        Raises:
            ValueError: a record is none, or two have the same id.
        """
        found: dict[str, Entry] = {}
        count = 0
        for records in self._records.slices():
            found |= _read(records, details, verbatim, previous)
            count += len(records)
        if len(found) != count:
            raise ValueError("two sessions have the same id")
        return found


class _Section:
    """Things of one kind that follow each other in the file. Offsets are in bytes."""

    def __init__(
        self,
        data: bytes,
        start: int,
        stop: int,
        opening: bytes,
        begin: bytes,
        between: bytes,
        end: bytes,
        closing: bytes,
    ) -> None:
        self.first = self.last = start
        """Where they begin and where they end."""
        self._start = self._stop = 0
        found = data.find(opening + begin, start, stop)
        if found >= 0:
            self.first = found + len(opening)
            self._start = self.first + len(begin)
            self._stop = data.index(end + closing, self._start, stop)
            self.last = self._stop + len(end)
        self._data = data
        self._between = between

    def slices(self) -> Iterator[list[bytes]]:
        """Yield the things, some at a time, without what opens and closes each."""
        position = self._start
        pace = Pace()
        while position < self._stop:
            found = self._data.find(self._between, position + SLICE, self._stop)
            stop = found if found >= 0 else self._stop
            yield self._data[position:stop].split(self._between)
            position = stop + len(self._between)
            pace.keep()


def _read(
    texts: list[bytes],
    details: dict[str, bytes],
    verbatim: frozenset[str],
    previous: Mapping[str, Entry],
) -> dict[str, Entry]:
    records = [b"{%b\n    }" % text for text in texts]
    if not (details or verbatim or previous):
        return _validated(records, records, repeat(b""))
    found: dict[str, Entry | None] = {}
    fresh: list[tuple[bytes, bytes, bytes]] = []
    for record in records:
        key = record[_ID].decode()
        its = details.pop(key, b"")
        entry = previous.get(key)
        if entry is None or entry.record != record or entry.details != its:
            entry = Entry.read(record, its, verbatim=True) if key in verbatim else None
        if entry is None:
            tree = b'%b,"details":%b}' % (record[:-1], its) if its else record
            fresh.append((tree, record, its))
        found[key] = entry
    return cast(
        "dict[str, Entry]", found | (_validated(*zip(*fresh, strict=True)) if fresh else {})
    )


def _validated(
    trees: Iterable[bytes], records: Iterable[bytes], details: Iterable[bytes]
) -> dict[str, Entry]:
    # One call for all: what each costs beyond its own validation adds up.
    sessions = _MANY.validate_json(b"[%b]" % b",".join(trees))
    entries = list(map(Entry, sessions, records, details, repeat(False)))
    return dict(zip([session.id for session in sessions], entries, strict=True))
