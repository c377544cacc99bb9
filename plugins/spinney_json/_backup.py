"""One backup: an earlier state, whole, under a second name.

It costs no copy and no fsync: link(2) gives a file that is on the medium already a second name,
rename(2) puts that name in the place of the backup before. Whatever fails here fails nothing else.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from spinney.logs import log
from spinney.model import Integrity, Session
from spinney_json import _files
from spinney_json._content import Content, content_of
from spinney_json._document import Document
from spinney_json._files import Identity
from spinney_json._reading import DamagedError, read
from spinney_json._salvage import salvage


@dataclass(frozen=True, slots=True)
class Copy:
    """What the backup holds."""

    path: str
    content: Content
    document: Document | None
    """``None`` if it is damaged."""
    sessions: tuple[Session, ...]
    """All that can be read of it."""

    @property
    def is_of_use(self) -> bool:
        """Tell whether it holds more than an empty state of ours."""
        foreign = self.document is None or any(self.document.top.values())
        return bool(foreign or self.sessions)


class Backup:
    """The backup of one state file. Only who holds the lock makes one; anybody may read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._temporary = f"{path}.tmp"
        self._is_prepared = False
        self._told = False

    def take(self, source: str, expected: Identity) -> bool:
        """Make the file at ``source`` the backup, or go without one where that is impossible.

        Returns:
            Whether it is as ``expected``, but for the time of change, which a link sets.
        """
        as_expected = self.prepare(source, expected)
        if as_expected:
            self.settle()
        return as_expected

    def prepare(self, source: str, expected: Identity) -> bool:
        """As :meth:`take`, but what was the backup stays that until :meth:`settle`."""
        try:
            if self._is(_files.status(source)):
                return True
            self._link(source)
            found = _files.identity_of(_files.status(source))
            if found._replace(changed=expected.changed) != expected:
                _files.unlink(self._temporary)
                return False
            self._is_prepared = True
        except OSError as error:
            self._go_without(error)
        return True

    def settle(self) -> None:
        """Put what was prepared in the place of the backup before, whose blocks are freed then."""
        if self._is_prepared:
            self._is_prepared = False
            try:
                _files.rename(self._temporary, self.path)
            except OSError as error:
                self._go_without(error)

    def read(self) -> Copy | None:
        """Return what the backup holds, ``None`` if there is none.

        One that was prepared and never settled, because its writer died, is the newer.

        Raises:
            StoreError: it cannot be told.
            StoreVersionError: a newer version wrote it.
        """
        prepared = _copy_at(self._temporary)
        return prepared if prepared and prepared.document else _copy_at(self.path)

    def _is(self, source: os.stat_result) -> bool:
        """Tell whether the backup is that file already; rename(2) would do nothing then."""
        try:
            return source.st_nlink > 1 and os.path.samestat(source, _files.status(self.path))
        except FileNotFoundError:
            return False

    def _link(self, source: str) -> None:
        try:
            _files.link(source, self._temporary)
        except FileExistsError:  # a dead writer's
            _files.unlink(self._temporary)
            _files.link(source, self._temporary)

    def _go_without(self, error: OSError) -> None:
        """Leave no backup rather than one that grows old: it would revive what was destroyed."""
        for path in (self._temporary, self.path):
            with suppress(OSError):
                _files.unlink(path)
        if not self._told:
            self._told = True
            log.warning("state_file_not_backed_up", path=self.path, reason=str(error))


def _copy_at(path: str) -> Copy | None:
    content = content_of(path)
    if content is None:
        return None
    with suppress(DamagedError):
        document = read(content.data, path)
        if document.snapshot.integrity is Integrity.VERIFIED:
            return Copy(path, content, document, tuple(document.snapshot.sessions.values()))
    return Copy(path, content, None, salvage(content.data).sessions)
