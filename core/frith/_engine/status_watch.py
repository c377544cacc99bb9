"""The status detector's conclusions about one process, recorded and announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from anyio import Lock

from frith._engine.claims import HeldClaim
from frith._engine.pending import Amendment
from frith._engine.tasks import closing
from frith.config import NO_STATUS
from frith.errors import ClaimLostError, SessionNotFoundError
from frith.events import SessionStuck, SessionWaiting
from frith.logs import log
from frith.model import Session, SessionStatus, Source, now
from frith.ports import Conclusion, StatusWatch, Stuck, Terminal
from frith.providers import Role

if TYPE_CHECKING:
    from frith._engine.context import Engine


async def check_detector(engine: Engine) -> None:
    """Open the chosen status provider, if any, so that an error of it is raised at once.

    Raises:
        PluginError: it is missing, doubled or broken.
        ConfigurationError: an option of it is wrong.
    """
    if engine.config.status != NO_STATUS:
        async with engine.providers.use(Role.STATUS):
            pass


class StatusRecorder:
    """Records and announces the status of one process."""

    def __init__(self, engine: Engine, claim: HeldClaim, terminal: Terminal) -> None:
        self._engine = engine
        self._claim = claim
        self._id = claim.session_id
        self._terminal = terminal
        self._watch: StatusWatch | None = None
        self._announced: Conclusion | None = None
        """What the session waits for, if that was announced."""
        self._announcing = Lock()

    def tell(self, session: Session) -> None:
        """Pass on the status of ``session`` to the detector, if it was reported."""
        conclusion = _conclusion_of(session)
        if self._watch is not None and conclusion is not None and conclusion.source is Source.TOLD:
            self._watch.tell(conclusion)

    async def run(self) -> None:
        """Record and announce the detector's conclusions until the process has ended."""
        session = self._engine.ledger.get(self._id)
        if session is None or self._engine.config.status == NO_STATUS:
            return
        if session.status is SessionStatus.WAITING:  # an earlier host has announced that
            self._announced = _conclusion_of(session)
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
                if session.details.stuck_since is None:
                    since = now() - timedelta(seconds=finding.silent)
                    self._engine.ledger.defer(self._id, "stuck", _stuck(since), claim=self._claim)
                self._engine.tasks.start(self._announce_stuck, session, finding)
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

    # Announcements have tasks of their own, so that a slow plugin does not delay the recording.

    async def _announce_stuck(self, session: Session, stuck: Stuck) -> None:
        async with self._announcing:
            await self._engine.hooks.notify(
                SessionStuck(workspace=self._engine.workspace, session=session, silent=stuck.silent)
            )

    async def _announce(self, before: Session, session: Session, conclusion: Conclusion) -> None:
        engine = self._engine
        async with self._announcing:
            await engine.announce_status(before, session)
            if self._is_news(conclusion) and session.evidence is not None:
                await engine.hooks.notify(
                    SessionWaiting(
                        workspace=engine.workspace, session=session, evidence=session.evidence
                    )
                )

    def _is_news(self, conclusion: Conclusion) -> bool:
        """Tell whether the session waits for something that was not announced yet."""
        announced = self._announced
        self._announced = conclusion if conclusion.status is SessionStatus.WAITING else None
        return self._announced is not None and (
            announced is None or conclusion.message not in (None, announced.message)
        )


def _stuck(since: datetime) -> Amendment:
    def amendment(session: Session) -> Session:
        return session if session.pty_pid is None else session.detail(stuck_since=since)

    return amendment


def _conclusion_of(session: Session) -> Conclusion | None:
    known = session.evidence
    if known is None:
        return None
    return Conclusion(known.status, known.source, known.confidence, known.message)
