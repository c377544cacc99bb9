"""Rebuilding and diagnosing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import STATE, Frith, Git, Outcome


@pytest.fixture
def created(frith: Frith) -> dict[str, object]:
    """The record of a session called ``one``."""
    record = frith("new", "one", "--no-attach", "--json", "--", "sleep", "9").json
    return dict(record)


@pytest.mark.requirement("R5.1")
@pytest.mark.parametrize("harm", ["missing", "corrupt"])
def test_ls_recovers_a_lost_state_file_with_a_warning(
    frith: Frith, repository: Path, created: dict[str, object], harm: str
) -> None:
    if harm == "missing":
        (repository / STATE).unlink()
    else:
        (repository / STATE).write_text('{"version": "1.0", "sess')
    listed = frith("ls", "--json")
    assert listed.json == [created]
    assert "frith: warning: sessions_recovered" in listed.err


def test_a_dry_run_of_rebuild_changes_nothing(
    frith: Frith, repository: Path, created: dict[str, object]
) -> None:
    before = (repository / STATE).read_bytes()
    rebuilt = frith("rebuild", "--dry-run", "--json")
    assert (rebuilt.code, rebuilt.json) == (0, [])
    assert (repository / STATE).read_bytes() == before
    assert "Nothing to rebuild" in frith("rebuild").err


@pytest.mark.requirement("R5.3")
def test_rebuild_restores_a_session_that_another_program_dropped(
    frith: Frith, repository: Path, created: dict[str, object]
) -> None:
    record = json.loads((repository / STATE).read_bytes())
    two = frith("new", "two", "--no-attach", "--json").json
    del record["frith"]
    (repository / STATE).write_text(json.dumps(record))
    assert frith("ls", "--json").json == [created]
    accepted = (repository / STATE).read_bytes()
    assert frith("rebuild", "--dry-run", "--json").json == [two]
    assert (repository / STATE).read_bytes() == accepted
    assert re.search(r"^two +idle +feature/two ", frith("rebuild").out, re.MULTILINE)
    assert frith("ls", "--json").json == [created, two]


@pytest.mark.requirement("R5.1")
def test_an_old_copy_of_the_state_file_loses_nothing(
    frith: Frith, repository: Path, created: dict[str, object]
) -> None:
    old = (repository / STATE).read_bytes()
    two = frith("new", "two", "--no-attach", "--json").json
    (repository / STATE).write_bytes(old)
    assert frith("ls", "--json").json == [created, two]


def test_doctor_finds_nothing_in_a_sound_workspace(
    frith: Frith, created: dict[str, object]
) -> None:
    assert frith("doctor") == Outcome(0, "", "frith: No findings.\n")
    assert frith("doctor", "--json").json == []


@pytest.mark.requirement("R4.4")
def test_doctor_reports_a_missing_worktree(
    frith: Frith, repository: Path, created: dict[str, object], git: Git
) -> None:
    path = str(created["worktreePath"])
    git(repository, "worktree", "remove", "--force", "--force", path)
    examined = frith("doctor")
    assert examined.code == 1
    assert "WORKTREE_MISSING" in examined.out
    assert path in examined.out
    finding = frith("doctor", "--json").json[0]
    assert finding["sessionId"] == created["id"]
    assert finding["repaired"] is False


@pytest.mark.requirement("R4.4")
def test_doctor_repairs_a_workspace_that_was_moved(
    frith: Frith,
    repository: Path,
    created: dict[str, object],
    git: Git,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = repository.with_name("moved")
    repository.rename(moved)
    monkeypatch.chdir(moved)
    git(moved, "worktree", "prune")
    assert frith("doctor").code == 1
    repaired = frith("doctor", "--fix")
    assert repaired.code == 0
    assert frith("doctor").err == "frith: No findings.\n"
    worktree = frith("show", "one", "--json").json["worktreePath"]
    assert Path(worktree) == moved / ".worktrees" / str(created["id"])
    assert git(Path(worktree), "status", "--short") == ""
