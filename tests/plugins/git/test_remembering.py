"""Markers in worktrees, and the sessions rebuilt from them."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frith.errors import InvalidWorkspaceError
from frith.model import ExitStatus, Session, SessionStatus
from frith.ports import Marker, MarkerState
from frith_git.recovery import (
    GitRecovery,
    MarkerFile,
    NewerMarkerError,
    Trust,
    decode,
    encode,
)
from frith_git.repository import GitFileError
from frith_os import atomic

from .conftest import Repo


@pytest.fixture
async def session(repo: Repo) -> Session:
    session = await repo.create()
    return session.evolve(
        status=SessionStatus.WAITING,
        pty_pid=4711,
        current_phase="thinking",
        metadata={"deep": {"list": [1, 2.5, None, "ü"]}},
    ).detail(command=("agent", "--loud"), exit=ExitStatus(signal=9), terminal="pty")


@pytest.fixture
def marker(repo: Repo, session: Session) -> Path:
    return repo.admin(session) / "frith.json"


async def rebuilt(repo: Repo) -> list[Marker]:
    return list(await repo.recovery.rebuild())


async def test_unknown_fields_are_rebuilt(repo: Repo, session: Session) -> None:
    record = {**session.to_record(), "theirs": {"number": 12345678901234567890}}
    with_more = Session.model_validate(record)
    await repo.recovery.remember(with_more, MarkerState.LIVE)
    (found,) = await rebuilt(repo)
    assert found.session.to_record() == record


async def test_a_session_whose_worktree_is_removed_during_the_write_is_not_remembered(
    repo: Repo, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(_admin: Any) -> Any:
        shutil.rmtree(repo.admin(session))
        return MarkerFile(Trust.ABSENT)

    monkeypatch.setattr("frith_git.recovery.read_marker_file", removed)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert not repo.admin(session).exists()


async def test_a_worktree_removed_right_after_the_write_is_not_an_error(
    repo: Repo, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_directory = atomic.sync_directory

    def removed(path: str, directory: int | None = None) -> None:
        shutil.rmtree(path)
        sync_directory(path, directory)

    monkeypatch.setattr(atomic, "sync_directory", removed)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert not repo.admin(session).exists()


async def test_a_session_whose_directory_is_missing_is_remembered(
    repo: Repo, session: Session
) -> None:
    await repo.recovery.remember(session, MarkerState.LIVE)
    shutil.rmtree(session.worktree_path)
    later = session.evolve(name="later")
    await repo.recovery.remember(later, MarkerState.LIVE)
    assert [found.session for found in await rebuilt(repo)] == [later]


async def test_sessions_of_a_moved_workspace_are_rebuilt_and_remembered_there(
    repo: Repo, session: Session, tmp_path: Path
) -> None:
    await repo.recovery.remember(session, MarkerState.LIVE)
    repo.path.rename(tmp_path / "moved")
    there = GitRecovery(tmp_path / "moved")
    (found,) = await there.rebuild()
    assert found.session.worktree_path == f"{tmp_path}/moved/.worktrees/{session.id}"
    await there.remember(session.evolve(name="later"), MarkerState.LIVE)
    (found,) = await there.rebuild()
    assert found.session.name == "later"


async def test_a_worktree_moved_by_git_is_rebuilt_at_its_new_path(
    repo: Repo, session: Session, tmp_path: Path
) -> None:
    await repo.recovery.remember(session, MarkerState.LIVE)
    repo.git("worktree", "move", "-f", "-f", session.worktree_path, str(tmp_path / "out"))
    (found,) = await rebuilt(repo)
    assert found.session.worktree_path == str(tmp_path / "out")


@pytest.mark.requirement("R5.3")
async def test_sessions_with_broken_markers_in_another_checkout_are_not_rebuilt(
    repo: Repo, session: Session, tmp_path: Path
) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))
    other = type(repo)(tmp_path / "other")
    theirs = await other.create("feature/theirs")
    for one, where in ((session, repo), (theirs, other)):
        await where.recovery.remember(one, MarkerState.LIVE)
        (repo.admin(one) / "frith.json").write_bytes(b"rubbish")
    assert [found.session.id for found in await rebuilt(repo)] == [session.id]
    assert [found.session.id for found in await rebuilt(other)] == [theirs.id]


@pytest.mark.requirement("R5.4")
async def test_a_worktree_named_by_a_uuid_is_rebuilt_without_a_marker(
    repo: Repo, session: Session
) -> None:
    commit_time = datetime.now(UTC)
    (found,) = await rebuilt(repo)
    assert not found.complete
    assert found.state == MarkerState.LIVE
    assert found.session.id == session.id
    assert found.session.name == "x"
    assert found.session.branch == "feature/x"
    assert found.session.status == SessionStatus.IDLE
    assert found.session.worktree_path == session.worktree_path
    assert abs((found.session.created_at - commit_time).total_seconds()) < 60


async def test_a_branch_that_is_not_a_valid_name_gives_a_recovered_name(repo: Repo) -> None:
    session = await repo.create("feature/with_underscore")
    (found,) = await rebuilt(repo)
    assert found.session.name == f"recovered-{session.id[:8]}"
    assert found.session.branch == "feature/with_underscore"


async def test_a_detached_head_gives_a_recovered_branch(repo: Repo, session: Session) -> None:
    repo.git("checkout", "--quiet", "--detach", at=session.worktree_path)
    (found,) = await rebuilt(repo)
    assert found.session.branch == f"feature/recovered-{session.id[:8]}"


async def test_a_branch_that_is_not_unicode_gives_a_recovered_branch(
    repo: Repo, session: Session
) -> None:
    (repo.admin(session) / "HEAD").write_bytes(b"ref: refs/heads/caf\xe9\n")
    (found,) = await rebuilt(repo)
    assert found.session.branch == f"feature/recovered-{session.id[:8]}"


async def test_the_branch_of_a_rebase_in_progress_is_rebuilt(repo: Repo, session: Session) -> None:
    repo.git("checkout", "--quiet", "--detach", at=session.worktree_path)
    rebasing = repo.admin(session) / "rebase-merge"
    rebasing.mkdir()
    (rebasing / "head-name").write_text("refs/heads/feature/x\n")
    (found,) = await rebuilt(repo)
    assert found.session.branch == "feature/x"


@pytest.mark.requirement("R5.4")
@pytest.mark.parametrize("where", [".worktrees/not-a-uuid", "{uuid}", ".worktrees/a/{uuid}"])
async def test_worktrees_not_named_by_a_uuid_in_the_sessions_directory_are_not_sessions(
    repo: Repo, where: str
) -> None:
    path = repo.path / where.format(uuid=uuid.uuid4())
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(path))
    assert await rebuilt(repo) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 300, b'{"checksum": "00",\n}', b"[]"])
async def test_a_broken_marker_is_incomplete_and_kept(
    repo: Repo, session: Session, marker: Path, content: bytes
) -> None:
    marker.write_bytes(content)
    (found,) = await rebuilt(repo)
    assert not found.complete
    assert found.session.id == session.id
    assert marker.read_bytes() == content
    await repo.recovery.remember(session, MarkerState.LIVE)
    await repo.recovery.remember(session, MarkerState.LIVE)
    (kept,) = marker.parent.glob("frith.json.broken-*")
    assert kept.read_bytes() == content
    assert [m.session for m in await rebuilt(repo)] == [session]


async def test_a_worktree_elsewhere_with_a_broken_marker_is_rebuilt_from_its_lock(
    repo: Repo, session: Session, marker: Path, tmp_path: Path
) -> None:
    await repo.recovery.remember(session, MarkerState.LIVE)
    marker.write_bytes(b"rubbish")
    repo.git("worktree", "move", "-f", "-f", session.worktree_path, str(tmp_path / "out"))
    (found,) = await rebuilt(repo)
    assert found.session.id == session.id


@pytest.mark.requirement("R5.6")
async def test_a_marker_of_a_newer_version_is_not_changed(
    repo: Repo, session: Session, marker: Path
) -> None:
    rest = b'  "format": 2,\n  "sessions": "in another shape"}\n'
    marker.write_bytes(b'{"checksum": "' + sha256(rest).hexdigest().encode() + b'",\n' + rest)
    before = marker.read_bytes()
    with pytest.raises(NewerMarkerError) as caught:
        await repo.recovery.remember(session, MarkerState.LIVE)
    assert caught.value.code == "MARKER_VERSION"
    assert marker.read_bytes() == before
    (found,) = await rebuilt(repo)
    assert not found.complete


@pytest.mark.requirement("R5.2")
async def test_a_marker_that_cannot_be_read_is_an_error(
    repo: Repo, session: Session, marker: Path
) -> None:
    marker.symlink_to(marker)
    with pytest.raises(GitFileError) as caught:
        await repo.recovery.rebuild()
    assert caught.value.path == str(marker)
    with pytest.raises(GitFileError):
        await repo.recovery.remember(session, MarkerState.LIVE)


@pytest.mark.requirement("R5.2")
async def test_worktrees_that_cannot_be_listed_are_an_error(repo: Repo, session: Session) -> None:
    (repo.path / ".git/worktrees").rename(repo.path / "aside")
    (repo.path / ".git/worktrees").write_text("no directory")
    with pytest.raises(GitFileError):
        await repo.recovery.rebuild()


async def test_a_full_disk_does_not_change_the_marker(
    repo: Repo, session: Session, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await repo.recovery.remember(session, MarkerState.LIVE)
    before = marker.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(GitFileError, match="No space"):
            await repo.recovery.remember(session.evolve(name="later"), MarkerState.LIVE)
    assert marker.read_bytes() == before
    assert not list(marker.parent.glob("*.tmp"))


async def test_a_stale_temporary_file_does_not_prevent_writing(
    repo: Repo, session: Session, marker: Path
) -> None:
    marker.with_name("frith.json.tmp").write_text("x" * 10_000)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert [found.session for found in await rebuilt(repo)] == [session]


async def test_a_durable_marker_syncs_file_and_directory_another_only_the_file(
    repo: Repo, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync = os.fsync

    def recording(descriptor: Any) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve().is_dir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert synced == [False, True]
    synced.clear()
    await repo.recovery.remember(session, MarkerState.LIVE, durable=False)
    assert synced == [False]


async def test_recovery_runs_no_git(
    repo: Repo, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    await repo.recovery.remember(session, MarkerState.LIVE)
    await repo.recovery.rebuild()


async def test_a_workspace_that_is_not_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkspaceError):
        await GitRecovery(tmp_path).rebuild()


_SESSION = Session(
    id="00000000-0000-4000-8000-000000000000",
    name="x",
    status=SessionStatus.IDLE,
    branch="feature/x",
    worktree_path="/w/.worktrees/x",
    created_at=datetime(2025, 1, 2, tzinfo=UTC),
    last_activity=datetime(2025, 1, 2, tzinfo=UTC),
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\n"), inner),
    max_leaves=10,
)


@pytest.mark.expensive("tries many examples")
@settings(max_examples=40)
@given(st.dictionaries(st.text("abc"), _JSON), st.sampled_from(MarkerState))
def test_any_metadata_is_encoded_and_decoded(metadata: dict[str, Any], state: MarkerState) -> None:
    remembered = Marker(_SESSION.evolve(metadata=metadata), state)
    assert decode(encode([remembered])) == MarkerFile(Trust.WHOLE, (remembered,))


@given(st.data())
def test_a_marker_with_a_flipped_bit_is_broken(data: st.DataObject) -> None:
    content = bytearray(encode([Marker(_SESSION, MarkerState.LIVE)]))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(content)).trust is Trust.BROKEN


@given(st.data())
def test_a_truncated_marker_is_broken(data: st.DataObject) -> None:
    content = encode([Marker(_SESSION, MarkerState.LIVE)])
    length = data.draw(st.integers(0, len(content) - 1))
    assert decode(content[:length]).trust is Trust.BROKEN


def test_a_marker_is_indented_json() -> None:
    content = encode([Marker(_SESSION, MarkerState.LIVE)])
    document = json.loads(content)
    assert document["format"] == 1
    assert document["sessions"][0]["session"] == _SESSION.to_record()
    assert b'\n  "sessions": [\n' in content


async def test_a_path_through_a_symbolic_link_is_rebuilt_as_recorded(
    repo: Repo, session: Session, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(repo.path)
    through = session.evolve(worktree_path=f"{link}/.worktrees/{session.id}")
    await repo.recovery.remember(through, MarkerState.LIVE)
    (found,) = await rebuilt(repo)
    assert found.session.worktree_path == through.worktree_path
