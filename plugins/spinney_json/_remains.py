"""What is left of a state that is lost: its file, its backup, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spinney.model import Changes, Integrity, Session, Snapshot
from spinney_json._backup import Copy
from spinney_json._document import EMPTY, Document
from spinney_json._salvage import newest


@dataclass(frozen=True, slots=True)
class Remains:
    """What can be read where no state can be believed."""

    base: Document
    """The whole copy with the highest revision; what other programs keep is taken from it."""
    earlier: tuple[Session, ...]
    """The sessions of that copy; of a backup that is damaged, all that can be read."""

    @classmethod
    def of(cls, earlier: Document | None, backup: Copy | None) -> Remains:
        """Gather what is left.

        Args:
            earlier: the file, if it is whole and was written before another that is lost.
            backup: its backup, if there is one.
        """
        copies = (earlier, backup.document if backup else None)
        whole = [document for document in copies if document is not None]
        base = max(whole, key=lambda document: document.snapshot.revision, default=EMPTY)
        damaged = backup.sessions if backup and backup.document is None else ()
        return cls(base, newest(damaged, base.snapshot.sessions.values()))

    def rebuilt(self, snapshot: Snapshot) -> Document:
        """Return a document of ``snapshot``, with what other programs keep in the :attr:`base`.

        Raises:
            UnstorableError: it cannot be written.
        """
        there = self.base.snapshot
        document = self.base.changed(
            Changes(
                put=tuple(snapshot.sessions.values()),
                delete=frozenset(there.sessions.keys() - snapshot.sessions.keys()),
                reserve=tuple(snapshot.reservations.values()),
                release=frozenset(there.reservations.keys() - snapshot.reservations.keys()),
            )
        )
        revision = max(there.revision, snapshot.revision)
        rebuilt = replace(document.snapshot, revision=revision, integrity=Integrity.VERIFIED)
        return replace(document, snapshot=rebuilt)
