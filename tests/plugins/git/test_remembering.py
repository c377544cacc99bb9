"""Markers in the worktrees, and what is rebuilt from them."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frith.errors import InvalidWorkspaceError
from frith.model import ExitStatus, Session, SessionStatus
from frith.ports import Marker, MarkerState
from frith_git.marker import MarkerFile, Trust, decode, encode
from frith_git.recovery import GitRecovery, NewerMarkerError
from frith_git.repository import GitFileError


@pytest.fixture
async def session(repo):
    session = await repo.create()
    return session.evolve(
        status=SessionStatus.WAITING,
        pty_pid=4711,
        current_phase="thinking",
        metadata={"deep": {"list": [1, 2.5, None, "ü"]}},
    ).detail(command=("agent", "--loud"), exit=ExitStatus(signal=9), terminal="pty")


@pytest.fixture
def marker(repo, session):
    return repo.admin(session) / "frith.json"


async def rebuilt(repo):
    return list(await repo.recovery.rebuild())


@pytest.mark.requirement("R5.3")
@pytest.mark.parametrize("state", list(MarkerState))
@pytest.mark.parametrize("durable", [True, False])
async def test_what_is_remembered_comes_back_whole(repo, session, state, durable):
    await repo.recovery.remember(session, state, durable=durable)
    (found,) = await rebuilt(repo)
    assert (found.session, found.state, found.complete) == (session, state, True)
    assert found.session.details == session.details


async def test_a_later_marker_replaces_an_earlier_one(repo, session):
    await repo.recovery.remember(session, MarkerState.CREATING)
    later = session.evolve(name="renamed")
    await repo.recovery.remember(later, MarkerState.LIVE)
    (found,) = await rebuilt(repo)
    assert (found.session, found.state) == (later, MarkerState.LIVE)


async def test_unknown_fields_come_back(repo, session):
    record = {**session.to_record(), "theirs": {"number": 12345678901234567890}}
    with_more = Session.model_validate(record)
    await repo.recovery.remember(with_more, MarkerState.LIVE)
    (found,) = await rebuilt(repo)
    assert found.session.to_record() == record


async def test_sessions_that_share_a_worktree_are_all_remembered(repo, session):
    later = session.created_at + timedelta(seconds=1)
    other = session.evolve(id=str(uuid.uuid4()), created_at=later)
    await repo.recovery.remember(session, MarkerState.LIVE)
    await repo.recovery.remember(other, MarkerState.LIVE)
    assert [found.session for found in await rebuilt(repo)] == [session, other]
    await repo.recovery.forget(session.id)
    assert [found.session for found in await rebuilt(repo)] == [other]


async def test_they_come_in_the_order_of_creation(repo):
    sessions = [await repo.create(f"feature/{n}") for n in range(3)]
    for session in reversed(sessions):
        await repo.recovery.remember(session, MarkerState.LIVE)
    assert [found.session for found in await rebuilt(repo)] == sessions


@pytest.mark.requirement("R5.5")
async def test_a_released_session_is_told_as_released(repo, session):
    await repo.recovery.remember(session, MarkerState.RELEASED)
    assert [found.state for found in await rebuilt(repo)] == [MarkerState.RELEASED]


async def test_a_session_whose_worktree_is_gone_is_not_remembered(repo, session):
    await repo.workspace.remove(session)
    await repo.recovery.remember(session, MarkerState.LIVE)
    await repo.recovery.forget(session.id)
    assert await rebuilt(repo) == []


async def test_one_whose_worktree_goes_meanwhile_is_not_remembered(repo, session, monkeypatch):
    def removed(_admin):
        shutil.rmtree(repo.admin(session))
        return MarkerFile(Trust.ABSENT)

    monkeypatch.setattr("frith_git.recovery.read_marker_file", removed)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert not repo.admin(session).exists()


async def test_forgetting_what_was_never_known_is_no_error(repo, session):
    await repo.recovery.forget(str(uuid.uuid4()))


async def test_a_missing_directory_is_still_remembered(repo, session):
    await repo.recovery.remember(session, MarkerState.LIVE)
    shutil.rmtree(session.worktree_path)
    later = session.evolve(name="later")
    await repo.recovery.remember(later, MarkerState.LIVE)
    assert [found.session for found in await rebuilt(repo)] == [later]


async def test_the_path_is_where_the_worktree_is_now(repo, session, tmp_path):
    await repo.recovery.remember(session, MarkerState.LIVE)
    repo.path.rename(tmp_path / "moved")
    there = GitRecovery(tmp_path / "moved")
    (found,) = await there.rebuild()
    assert found.session.worktree_path == f"{tmp_path}/moved/.worktrees/{session.id}"
    await there.remember(session.evolve(name="later"), MarkerState.LIVE)
    (found,) = await there.rebuild()
    assert found.session.name == "later"


async def test_a_worktree_that_git_moved_out_is_told_where_it_is(repo, session, tmp_path):
    await repo.recovery.remember(session, MarkerState.LIVE)
    repo.git("worktree", "move", "-f", "-f", session.worktree_path, str(tmp_path / "out"))
    (found,) = await rebuilt(repo)
    assert found.session.worktree_path == str(tmp_path / "out")


@pytest.mark.requirement("R5.3")
@pytest.mark.parametrize("is_broken", [False, True])
async def test_sessions_of_another_checkout_that_is_a_workspace_are_its_own(
    repo, session, tmp_path, is_broken
):
    repo.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))
    other = type(repo)(tmp_path / "other")
    theirs = await other.create("feature/theirs")
    for one, where in ((session, repo), (theirs, other)):
        await where.recovery.remember(one, MarkerState.LIVE)
        if is_broken:
            (repo.admin(one) / "frith.json").write_bytes(b"rubbish")
    assert [found.session.id for found in await rebuilt(repo)] == [session.id]
    assert [found.session.id for found in await rebuilt(other)] == [theirs.id]


@pytest.mark.requirement("R5.4")
async def test_without_a_marker_a_worktree_named_by_a_uuid_is_restored(repo, session):
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


async def test_a_branch_that_gives_no_name_gives_a_recovered_one(repo):
    session = await repo.create("feature/with_underscore")
    (found,) = await rebuilt(repo)
    assert found.session.name == f"recovered-{session.id[:8]}"
    assert found.session.branch == "feature/with_underscore"


async def test_a_detached_head_gives_a_recovered_branch(repo, session):
    repo.git("checkout", "--quiet", "--detach", at=session.worktree_path)
    (found,) = await rebuilt(repo)
    assert found.session.branch == f"feature/recovered-{session.id[:8]}"


async def test_a_branch_that_is_not_unicode_gives_a_recovered_one(repo, session):
    (repo.admin(session) / "HEAD").write_bytes(b"ref: refs/heads/caf\xe9\n")
    (found,) = await rebuilt(repo)
    assert found.session.branch == f"feature/recovered-{session.id[:8]}"


async def test_during_a_rebase_the_branch_is_the_one_being_rebased(repo, session):
    repo.git("checkout", "--quiet", "--detach", at=session.worktree_path)
    rebasing = repo.admin(session) / "rebase-merge"
    rebasing.mkdir()
    (rebasing / "head-name").write_text("refs/heads/feature/x\n")
    (found,) = await rebuilt(repo)
    assert found.session.branch == "feature/x"


@pytest.mark.requirement("R5.4")
@pytest.mark.parametrize("where", [".worktrees/not-a-uuid", "{uuid}", ".worktrees/a/{uuid}"])
async def test_other_worktrees_are_the_users_own(repo, where):
    path = repo.path / where.format(uuid=uuid.uuid4())
    repo.git("worktree", "add", "--quiet", "-b", "mine", str(path))
    assert await rebuilt(repo) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 300, b'{"checksum": "00",\n}', b"[]"])
async def test_a_broken_marker_is_told_and_kept(repo, session, marker, content):
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


async def test_a_broken_marker_in_a_worktree_elsewhere_is_known_by_its_lock(
    repo, session, marker, tmp_path
):
    await repo.recovery.remember(session, MarkerState.LIVE)
    marker.write_bytes(b"rubbish")
    repo.git("worktree", "move", "-f", "-f", session.worktree_path, str(tmp_path / "out"))
    (found,) = await rebuilt(repo)
    assert found.session.id == session.id


@pytest.mark.requirement("R5.6")
async def test_a_marker_of_a_newer_version_is_not_touched(repo, session, marker):
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
async def test_what_cannot_be_read_is_an_error_never_gone(repo, session, marker):
    marker.symlink_to(marker)
    with pytest.raises(GitFileError) as caught:
        await repo.recovery.rebuild()
    assert caught.value.path == str(marker)
    with pytest.raises(GitFileError):
        await repo.recovery.remember(session, MarkerState.LIVE)


@pytest.mark.requirement("R5.2")
async def test_worktrees_that_cannot_be_listed_are_an_error(repo, session):
    (repo.path / ".git/worktrees").rename(repo.path / "aside")
    (repo.path / ".git/worktrees").write_text("no directory")
    with pytest.raises(GitFileError):
        await repo.recovery.rebuild()


async def test_a_full_disk_leaves_the_marker_as_it_was(repo, session, marker, monkeypatch):
    await repo.recovery.remember(session, MarkerState.LIVE)
    before = marker.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(GitFileError, match="No space"):
            await repo.recovery.remember(session.evolve(name="later"), MarkerState.LIVE)
    assert marker.read_bytes() == before
    assert not list(marker.parent.glob("*.tmp"))


async def test_a_stale_temporary_file_is_in_nobodys_way(repo, session, marker):
    marker.with_name("frith.json.tmp").write_text("x" * 10_000)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert [found.session for found in await rebuilt(repo)] == [session]


async def test_durable_means_file_and_directory_and_otherwise_the_file(repo, session, monkeypatch):
    synced = []
    fsync = os.fsync

    def recording(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve().is_dir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    await repo.recovery.remember(session, MarkerState.LIVE)
    assert synced == [False, True]
    synced.clear()
    await repo.recovery.remember(session, MarkerState.LIVE, durable=False)
    assert synced == [False]


async def test_many_at_once_lose_nothing(repo, session):
    others = [session.evolve(id=str(uuid.uuid4()), name=f"n{n}") for n in range(20)]
    async with anyio.create_task_group() as tasks:
        for other in others:
            tasks.start_soon(repo.recovery.remember, other, MarkerState.LIVE)
    assert {m.session.id for m in await rebuilt(repo)} == {other.id for other in others}


async def test_it_runs_no_git(repo, session, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    await repo.recovery.remember(session, MarkerState.LIVE)
    await repo.recovery.rebuild()


async def test_a_workspace_that_is_no_repository_is_refused(tmp_path):
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
def test_any_metadata_survives(metadata, state):
    remembered = Marker(_SESSION.evolve(metadata=metadata), state)
    assert decode(encode([remembered])) == MarkerFile(Trust.WHOLE, (remembered,))


@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data):
    content = bytearray(encode([Marker(_SESSION, MarkerState.LIVE)]))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(content)).trust is Trust.BROKEN


@given(st.data())
def test_no_truncation_goes_unnoticed(data):
    content = encode([Marker(_SESSION, MarkerState.LIVE)])
    length = data.draw(st.integers(0, len(content) - 1))
    assert decode(content[:length]).trust is Trust.BROKEN


def test_a_marker_is_json_that_people_can_read():
    content = encode([Marker(_SESSION, MarkerState.LIVE)])
    document = json.loads(content)
    assert document["format"] == 1
    assert document["sessions"][0]["session"] == _SESSION.to_record()
    assert b'\n  "sessions": [\n' in content


async def test_a_path_through_a_link_stays_as_it_was_recorded(repo, session, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(repo.path)
    through = session.evolve(worktree_path=f"{link}/.worktrees/{session.id}")
    await repo.recovery.remember(through, MarkerState.LIVE)
    (found,) = await rebuilt(repo)
    assert found.session.worktree_path == through.worktree_path
