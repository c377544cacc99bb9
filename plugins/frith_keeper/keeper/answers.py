"""Answers to the queries of the command while no host is connected.

The emulator is imported only then: it takes as much memory as a whole keeper.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from frith_vt import Picture

    from .claims import Claims
    from .command import Command

_MOST = 64
"""Queries that are answered at once; a command that asks more does not read the answers."""


class Answers:
    """Answers the queries of the last second that no host has had answered."""

    def __init__(self, command: Command, claims: Claims) -> None:
        self._command = command
        self._claims = claims
        self._searched = 0
        self._picture: Picture | None = None
        self._is_broken = False

    def answer(self) -> None:
        """Answer what the command has asked since the last call."""
        ring = self._command.output.ring
        at = max(self._searched, self._claims.recent, ring.start)
        if self._is_broken or not ring.holds(b"\x1b", at):
            self._searched = ring.end
            return
        try:
            self._answer_from(at)
        except Exception:  # the command matters more, also if this software was replaced meanwhile
            self._is_broken = True

    def _answer_from(self, at: int) -> None:
        from frith_os.pty import queries

        ring = self._command.output.ring
        data = ring.read(at, ring.end - at)
        spans, rest = queries.find(data)
        self._searched = at + rest
        found = {at + start: data[start:end] for start, end in spans[:_MOST]}
        for offset, _ in self._claims.claim(None, found, None):
            self.write(self._answer(found[offset], offset))

    def write(self, answer: bytes) -> None:
        """Write ``answer`` unless earlier input waits: it would come too late."""
        if answer and not self._command.input.waits:
            self._command.input.add(answer)

    def _answer(self, query: bytes, at: int) -> bytes:
        from frith_vt import Picture, fixed_answer

        if (fixed := fixed_answer(query)) is not None:
            return fixed
        if self._picture is None:
            self._picture = Picture(self._command.output.ring, self._command.output.sizes)
        self._picture.bring_to(at)
        return self._picture.answer(query)
