"""Every combination of state file, worktree and marker, against the documented tables.

Each test is one state file in a repository with a session for every combination of worktree and
marker. The expected results are read from ``docs/explanation/recovery.md``.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import pytest

from frith import ManagerConfig, Session, SessionManager, SessionStatus, hookimpl
from frith.errors import StoreVersionError
from frith.events import Event, SessionsRestored
from frith.model import Changes, Snapshot
from frith.ports import Marker, MarkerState
from frith_git import recovery
from frith_json.text import Document

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "recovery.md"
NAME = ".claude-container-sessions.json"
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)

STATES = ("verified", "foreign", "edited", "earlier", "missing", "damaged", "unparsable", "newer")
PLACES = ("in place", "moved")
RECORDS = ("there", "none", "going")
"""The record of a session in the state file: present, none, or being removed."""
WORKTREES = ("there", "vanished")
EMPTY_INDEX = b"DIRC" + (2).to_bytes(4, "big") + (0).to_bytes(4, "big")
"""See gitformat-index(5); its checksum follows."""
MARKERS = (
    *("equal", "contradicting", "old", "creating", "removing", "released"),
    *("broken", "newer", "none", "gone"),
)
LATEST = 9
"""The highest revision ever written."""
AGES = {"file": 0, "contradicting": 0, "earlier": 3, "old": 5}
"""Hours since the last activity of a session, by source."""


@dataclass(frozen=True)
class Case:
    """One session in one combination."""

    record: str
    worktree: str
    marker: str

    @property
    def id(self) -> str:
        return str(uuid.UUID(bytes=sha256(repr(self).encode()).digest()[:16], version=4))

    @property
    def name(self) -> str:
        return f"{self.record}-{self.worktree}-{self.marker}"

    def session(self, workspace: Path, source: str) -> Session:
        """Return the session in ``source``."""
        other = source == "contradicting"
        name = f"other-{self.name}" if other else self.name
        session = Session(
            id=self.id,
            name=name,
            status=SessionStatus.IDLE,
            branch=f"feature/{name}",
            worktree_path=f"{workspace}/.worktrees/{self.id}",
            created_at=BEGINNING + timedelta(days=other),
            last_activity=BEGINNING + timedelta(days=9, hours=-AGES[source]),
            metadata={"from": source},
        )
        return session.detail(command=(source,), terminal="pty")

    def marked(self, workspace: Path) -> Session:
        """Return the session in its marker, if that can be read."""
        source = self.marker if self.marker in ("contradicting", "old") else "file"
        return self.session(workspace, source)


CASES = [
    Case(record, worktree, marker)
    for record, worktree, marker in itertools.product(RECORDS, WORKTREES, MARKERS)
    # Without its administrative directory, a worktree does not exist for git and frith.
    if marker != "gone" or worktree == "vanished"
]


# The documented tables ----------------------------------------------------------------------------


@cache
def table(heading: str) -> tuple[dict[str, str], ...]:
    """Return the rows of the table whose first line starts with ``heading``."""
    lines = iter(PAGE.read_text("utf-8").splitlines())
    names = cells(next(line for line in lines if line.startswith(heading)))
    next(lines)
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return tuple(dict(zip(names, cells(row), strict=True)) for row in rows)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def row(heading: str, **words: str) -> dict[str, str]:
    """Return the only row for ``words``; spaces in the names of columns are ``_``."""
    found = [
        row
        for row in table(heading)
        if all(
            {"any", word} & set(row[column.replace("_", " ")].split(", "))
            for column, word in words.items()
        )
    ]
    assert len(found) == 1, f"{words}: {len(found)} rows"
    return found[0]


def test_the_documented_tables_cover_exactly_the_tested_combinations() -> None:
    assert [row["state file"] for row in table("| state file | description")] == list(STATES)
    assert {row["marker"] for row in table("| marker | description")} == set(MARKERS)


# What must come of a session ----------------------------------------------------------------------


@dataclass(frozen=True)
class Disk:
    """One state file, with the previous and the current path of the workspace."""

    state: str
    was: Path
    workspace: Path

    @property
    def documented(self) -> dict[str, str]:
        return row("| state file | description", state_file=self.state) | row(
            "| state file | record", state_file=self.state
        )

    def record(self, case: Case) -> Session | None:
        """Return the record of a session in the file."""
        if case.record == "none":
            return None
        session = case.session(self.was, "earlier" if self.state == "earlier" else "file")
        if self.state == "foreign":
            return session.evolve(details=type(session.details)())
        return session.detail(removing=True) if case.record == "going" else session

    def expected(self, case: Case) -> Session | None:
        """Return the session expected for ``case``."""
        record = self.record(case) if self.documented["record from"] == "file" else None
        said = row(
            "| sessions are | record",
            sessions_are=self.documented["sessions are"],
            record="yes" if record else "no",
            marker=case.marker,
        )["the session"]
        session = self._as_said(said, case, record)
        if session and session.details.removing and case.worktree == "vanished":
            return None
        return session and session.detail(removing=None)

    def _is_newer(self, marked: Session, record: Session) -> bool:
        if record.metadata == {"from": "file"}:
            return marked.last_activity > record.last_activity
        return marked.last_activity >= record.last_activity

    def _as_said(self, said: str, case: Case, record: Session | None) -> Session | None:
        marked = case.marked(self.workspace)
        if said in ("none", "the record"):
            return record if said == "the record" else None
        if said == "what git knows":
            return case.session(self.workspace, "file").evolve(metadata=None)
        if record is None or (said.startswith("the newer") and self._is_newer(marked, record)):
            return marked
        identity = ("name", "branch", "worktree_path", "created_at")
        session = record.evolve(**{name: getattr(marked, name) for name in identity})
        if record.details.command is None:
            session = session.evolve(details=marked.details)
        return session


def essence(session: Session) -> dict[str, Any]:
    """Return the fields to compare; git has no times, metadata or command."""
    known = (session.name, session.branch, session.worktree_path)
    if session.metadata is None:
        return {session.id: known}
    details = session.details.command, session.details.removing
    times = session.created_at, session.last_activity
    return {session.id: (*known, *times, session.metadata, details)}


# What lies on the disk ----------------------------------------------------------------------------


def write_state(path: Path, disk: Disk) -> None:
    """Write the state file."""
    content, revision = disk.state, 5 if disk.state == "earlier" else LATEST
    sessions = [session for case in CASES if (session := disk.record(case))]
    top = {"dashboard": {"from": "file"}}
    document = Document(Snapshot(revision=revision - 1), top=top)
    data = b"".join(document.changed(Changes(put=tuple(sessions))).sealed()[1])
    if content == "foreign":
        tree = json.loads(data)
        del tree["frith"]
        data = json.dumps(tree).encode()
    elif content == "edited":
        data = data.replace(b'"from": "file"', b'"from":  "file"', 1)
    elif content == "damaged":
        data = data[:-3]
    elif content == "unparsable":
        data = b"\0" * len(data)
    elif content == "newer":
        data = data.replace(b'"version": "1.0"', b'"version": "2.0"', 1)
    path.write_bytes(data)


def marker(case: Case, workspace: Path) -> bytes:
    states: set[str] = {*MarkerState}
    state = MarkerState(case.marker) if case.marker in states else MarkerState.LIVE
    content = recovery.encode([Marker(case.marked(workspace), state)])
    if case.marker == "broken":
        return content[:-9]
    if case.marker == "newer":
        _, _, rest = content.replace(b'"format": 1', b'"format": 2').partition(b"\n")
        return b'{"checksum": "%b",\n%b' % (sha256(rest).hexdigest().encode(), rest)
    return content


def inhabit(workspace: Path, case: Case) -> None:
    """Create the worktree of ``case`` as git does (gitrepository-layout(5))."""
    path = workspace / ".worktrees" / case.id
    admin = workspace / ".git" / "worktrees" / case.id
    if case.worktree == "there":
        path.mkdir()
        (path / ".git").write_text(f"gitdir: {admin}\n")
    if case.marker != "gone":
        admin.mkdir()
        (admin / "HEAD").write_text(f"ref: refs/heads/feature/{case.name}\n")
        (admin / "commondir").write_text("../..\n")
        (admin / "gitdir").write_text(f"{path}/.git\n")
        (admin / "locked").write_text(f"frith {case.id}")
        if case.worktree == "there":
            (admin / "index").write_bytes(EMPTY_INDEX + sha1(EMPTY_INDEX).digest())
        if case.marker != "none":
            (admin / recovery.NAME).write_bytes(marker(case, workspace))


@pytest.fixture
def disk(state: str, place: str, tmp_path: Path) -> Disk:
    was = tmp_path / "workspace"
    disk = Disk(state, was, was if place == "in place" else tmp_path / "moved")
    subprocess.run(["git", "init", "--quiet", str(was)], check=True)
    (was / ".git" / "worktrees").mkdir()
    (was / ".git" / "frith").mkdir()
    (was / ".worktrees").mkdir()
    for case in CASES:
        inhabit(was, case)
    (was / ".git" / "frith" / f"{NAME}.lock").write_text(f"{LATEST:020d}\n")
    if state != "missing":
        write_state(was / NAME, disk)
    if place == "moved":
        was.rename(disk.workspace)
    return disk


# The walk -----------------------------------------------------------------------------------------


@dataclass
class Witness:
    """Records events."""

    events: list[Event] = field(default_factory=list)

    @hookimpl
    async def frith_store_corrupted(self, event: Event) -> None:
        self.events.append(event)

    @hookimpl
    async def frith_sessions_recovered(self, event: Event) -> None:
        self.events.append(event)

    @hookimpl
    async def frith_sessions_restored(self, event: Event) -> None:
        self.events.append(event)


async def start(workspace: Path) -> tuple[list[Event], tuple[Session, ...]]:
    """Open a manager; return its events and sessions."""
    witness = Witness()
    config = ManagerConfig(workspace=workspace, blocked_plugins=frozenset({"log"}))
    async with SessionManager(config, plugins={"witness": witness}) as manager:
        return witness.events, manager.get_all_sessions()


def content(workspace: Path) -> dict[Path, bytes]:
    """Return every file of frith."""
    files = (*workspace.glob(f"{NAME}*"), *workspace.glob(".git/worktrees/*/frith.json*"))
    return {path: path.read_bytes() for path in files}


@pytest.mark.expensive("repairs dozens of sessions")
@pytest.mark.requirement("R5.1")
@pytest.mark.requirement("R5.3")
@pytest.mark.requirement("R5.5")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("state", STATES)
async def test_every_combination_has_the_documented_result(disk: Disk) -> None:
    before = content(disk.workspace)
    if disk.state == "newer":
        with pytest.raises(StoreVersionError):
            await start(disk.workspace)
        assert content(disk.workspace) == before
        return
    events, sessions = await start(disk.workspace)

    found = {session.id: session for session in sessions}
    wanted = {case: disk.expected(case) for case in CASES}
    for case, expected in wanted.items():
        session = found.get(case.id)
        if expected is None or session is None:
            assert session is expected, case
        else:
            known = session if expected.metadata else session.evolve(metadata=None)
            assert essence(known) == essence(expected), case
    told = {type(event).__name__ for event in events} - {"SessionsRestored"}
    assert told == set(disk.documented["reported as"].split(", ")) - {"nothing"}
    (restored,) = (event for event in events if isinstance(event, SessionsRestored))
    missing = {c.id for c in CASES if wanted[c] and c.worktree == "vanished"}
    assert set(restored.missing) == missing

    after = content(disk.workspace)
    nothing_is_gone(disk, before, after)
    top = json.loads(after[disk.workspace / NAME]).get("dashboard", {"from": "none"})
    assert top == {"from": disk.documented["other programs' fields"]}

    events, sessions = await start(disk.workspace)
    assert {session.id: session for session in sessions} == found
    assert [type(event) for event in events] == [SessionsRestored]
    assert content(disk.workspace) == after


def nothing_is_gone(disk: Disk, before: dict[Path, bytes], after: dict[Path, bytes]) -> None:
    """Require that files that were not used are unchanged."""
    state = before.get(disk.workspace / NAME)
    aside = [data for path, data in after.items() if ".corrupt-" in path.name]
    assert (state in aside) is (disk.documented["kept aside"] == "yes")
    kept = {path.parent: data for path, data in after.items() if ".broken-" in path.name}
    for case in CASES:
        marker = disk.workspace / ".git" / "worktrees" / case.id / recovery.NAME
        if marker in before and marker not in after:  # a removal was finished
            assert (case.record, case.worktree, disk.expected(case)) == ("going", "vanished", None)
        elif case.marker == "newer":
            assert after[marker] == before[marker]
        elif case.marker == "broken" and after[marker] != before[marker]:
            assert kept[marker.parent] == before[marker]
