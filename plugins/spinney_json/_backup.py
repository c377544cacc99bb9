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
        self._replaced = -1
        self._told = False

    def take(self, source: str, expected: Identity) -> bool:
        """Make the file at ``source`` the backup, or go without one where that is impossible.

        Returns:
            Whether it is as ``expected``, but for the time of change, which a link sets.
        """
        try:
            if self._is(_files.status(source)):
                return True
            self._link(source)
            found = _files.identity_of(_files.status(source))
            if found._replace(changed=expected.changed) != expected:
                _files.unlink(self._temporary)
                return False
            self._hold()
            _files.rename(self._temporary, self.path)
        except OSError as error:
            self._go_without(error)
        return True

    def let_go(self) -> None:
        """Give up the backup before: its blocks are freed now, which takes a while."""
        fd, self._replaced = self._replaced, -1
        if fd >= 0:
            with suppress(OSError):  # the descriptor is gone whatever close(2) says
                _files.close(fd)

    def _hold(self) -> None:
        """Keep the backup before open, so that replacing it does not free its blocks yet."""
        self.let_go()
        with suppress(OSError):
            self._replaced = _files.open_for_reading(self.path)

    def read(self) -> Copy | None:
        """Return what the backup holds, ``None`` if there is none.

        Raises:
            StoreError: it cannot be told.
            StoreVersionError: a newer version wrote it.
        """
        content = content_of(self.path)
        if content is None:
            return None
        with suppress(DamagedError):
            document = read(content.data, self.path)
            if document.snapshot.integrity is Integrity.VERIFIED:
                return Copy(content, document, tuple(document.snapshot.sessions.values()))
        return Copy(content, None, salvage(content.data).sessions)

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
