"""What the process of a session is doing: the detector's conclusions, recorded and announced."""

from __future__ import annotations

from anyio import Lock

from frith._engine.claims import Owned
from frith._engine.context import Engine
from frith._engine.tasks import closing
from frith.config import NO_STATUS
from frith.errors import ClaimLostError, SessionNotFoundError
from frith.events import SessionStuck, SessionWaiting
from frith.logs import log
from frith.model import Session, SessionStatus, Source
from frith.ports import Conclusion, StatusWatch, Stuck, Terminal
from frith.providers import Role


async def check_detector(engine: Engine) -> None:
    """Open the chosen status provider, if any, so that what is wrong with it is said at once.

    Raises:
        PluginError: it is missing, doubled or broken.
        ConfigurationError: an option of it is wrong.
    """
    if engine.config.status != NO_STATUS:
        async with engine.providers.use(Role.STATUS):
            pass


class Watching:
    """The watch over one process, on behalf of its session."""

    def __init__(self, engine: Engine, claim: Owned, terminal: Terminal) -> None:
        self._engine = engine
        self._claim = claim
        self._id = claim.session_id
        self._terminal = terminal
        self._watch: StatusWatch | None = None
        self._asked: Conclusion | None = None
        """For what the user was called last, while that lasts."""
        self._announcing = Lock()

    def tell(self, conclusion: Conclusion) -> None:
        """Take what somebody says the process is doing; it is recorded already."""
        if self._watch is not None:
            self._watch.tell(conclusion)

    async def run(self) -> None:
        """Record and announce what the process is doing, until it has ended."""
        session = self._engine.ledger.get(self._id)
        if session is None or self._engine.config.status == NO_STATUS:
            return
        if session.status is SessionStatus.WAITING:  # an earlier host has called for that
            self._asked = concluded(session)
        try:
            async with (
                self._engine.providers.use(Role.STATUS) as detector,
                detector.watch(session, self._terminal) as watch,
                closing(watch) as findings,
            ):
                self._watch = watch
                async for finding in findings:
                    await self._take(finding)
        except Exception as error:
            log.warning("status_lost", session_id=self._id, reason=error)
        finally:
            self._watch = None

    async def _take(self, finding: Conclusion | Stuck) -> None:
        if isinstance(finding, Stuck):
            session = self._engine.ledger.get(self._id)
            if session is not None:
                self._engine.tasks.start(self._announce, None, session, finding)
            return
        before: list[Session] = []

        def amendment(session: Session) -> Session:
            before[:] = [session]
            if session.pty_pid is None:  # it has ended meanwhile
                return session
            return session.conclude(
                finding.status,
                finding.source,
                confidence=finding.confidence,
                message=finding.message,
            )

        try:
            after = await self._engine.ledger.amend(self._id, amendment, claim=self._claim)
        except (SessionNotFoundError, ClaimLostError):
            return
        if after.pty_pid is not None:
            self._engine.markers.write_later(self._id)
            self._engine.tasks.start(self._announce, before[0], after, finding)

    async def _announce(
        self, before: Session | None, session: Session, finding: Conclusion | Stuck
    ) -> None:
        # In a task of its own, one after the other: a slow plugin must not delay what is recorded.
        engine = self._engine
        async with self._announcing:
            if isinstance(finding, Stuck):
                await engine.hooks.session_stuck(
                    SessionStuck(workspace=engine.workspace, session=session, silent=finding.silent)
                )
                return
            if before is not None:
                await engine.announce_status(before, session)
            if self._is_news(finding) and session.evidence is not None:
                await engine.hooks.session_waiting(
                    SessionWaiting(
                        workspace=engine.workspace, session=session, evidence=session.evidence
                    )
                )

    def _is_news(self, conclusion: Conclusion) -> bool:
        """Tell whether the user has not been called for this yet."""
        asked = self._asked
        self._asked = conclusion if conclusion.status is SessionStatus.WAITING else None
        if self._asked is None:
            return False
        return asked is None or conclusion.message not in (None, asked.message)


def told(session: Session) -> Conclusion | None:
    """Return what somebody said of ``session``, if its status comes from there."""
    conclusion = concluded(session)
    return conclusion if conclusion is not None and conclusion.source is Source.TOLD else None


def concluded(session: Session) -> Conclusion | None:
    """Return the conclusion that the status of ``session`` is recorded with."""
    known = session.evidence
    if known is None:
        return None
    return Conclusion(known.status, known.source, known.confidence, known.message)
