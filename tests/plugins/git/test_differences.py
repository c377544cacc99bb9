"""Changed files and diffs in repositories that are out of the ordinary."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith.errors import WorktreeMissingError
from frith.model import Session
from frith.ports import ChangedFile, Diff, DiffScope, FileChange
from frith_git import GitWorkspaceOptions, git
from frith_git.git import GitError
from frith_git.workspace import GitWorkspace

from .conftest import MakeRepo, Repo

SCOPES = list(DiffScope)


async def changed(repo: Repo, session: Session, scope: DiffScope) -> dict[str, FileChange]:
    return {file.path: file.kind for file in await repo.workspace.changed_files(session, scope)}


async def since_branching(repo: Repo, session: Session) -> list[str]:
    return list(await changed(repo, session, DiffScope.BRANCH))


async def diff(repo: Repo, session: Session, scope: DiffScope, limit: int = 1 << 20) -> Diff:
    return await repo.workspace.diff(session, scope, limit=limit)


@pytest.fixture
def applied(repo: Repo, tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Apply a diff to a commit, and return the directory with the resulting files."""

    def apply(commit: str, content: bytes) -> Path:
        tree, patch = tmp_path / "applied", tmp_path / "patch"
        repo.git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        patch.write_bytes(content)
        repo.git("apply", "--index", str(patch), at=tree)
        return tree

    return apply


async def test_a_clean_worktree_has_no_changes(repo: Repo, session: Session) -> None:
    for scope in SCOPES:
        assert await repo.workspace.changed_files(session, scope) == ()
        assert await diff(repo, session, scope) == Diff(b"")


async def test_on_a_branch_without_commits_every_file_is_new(
    repo: Repo, session: Session, tree: Path, applied: Callable[[str, bytes], Path]
) -> None:
    repo.git("switch", "--quiet", "--orphan", "unborn", at=tree)
    (tree / "staged").write_text("staged\n")
    repo.git("add", "staged", at=tree)
    (tree / "new").write_text("new\n")
    assert await changed(repo, session, DiffScope.STAGED) == {"staged": FileChange.ADDED}
    assert await changed(repo, session, DiffScope.UNSTAGED) == {}
    both = {"new": FileChange.UNTRACKED, "staged": FileChange.ADDED}
    assert await changed(repo, session, DiffScope.BRANCH) == both
    assert b"+staged" in (await diff(repo, session, DiffScope.BRANCH)).content


async def test_a_branch_that_shares_no_commit_is_wholly_new(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("switch", "--quiet", "--orphan", "other", at=tree)
    (tree / "file").write_text("new\n")
    repo.commit(at=tree)
    assert await changed(repo, session, DiffScope.BRANCH) == {"file": FileChange.ADDED}


async def test_a_detached_head_has_the_base_of_the_sessions_branch(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "first").touch()
    repo.commit(at=tree)
    stacked = await repo.create("feature/y", base=session.branch)
    (Path(stacked.worktree_path) / "second").touch()
    repo.commit(at=stacked.worktree_path)
    repo.git("checkout", "--quiet", "--detach", at=stacked.worktree_path)
    assert await since_branching(repo, stacked) == ["second"]


async def test_conflicts_of_a_merge_are_shown_as_changes_of_our_side(
    repo: Repo, session: Session, tree: Path, applied: Callable[[str, bytes], Path]
) -> None:
    for place, word in ((repo.path, "theirs"), (tree, "ours")):
        (place / "README").write_text(f"{word}\n")
        (place / f"{word}.txt").touch()
        repo.commit(word, at=place)
    ours = repo.git("rev-parse", "HEAD", at=tree)
    with pytest.raises(AssertionError):
        repo.git("merge", "--quiet", "main", at=tree)
    assert await changed(repo, session, DiffScope.STAGED) == {
        "README": FileChange.UNMERGED,
        "theirs.txt": FileChange.ADDED,
    }
    (conflict,) = await repo.workspace.changed_files(session, DiffScope.UNSTAGED)
    assert conflict == ChangedFile("README", FileChange.UNMERGED, 4, 0)
    found = await diff(repo, session, DiffScope.UNSTAGED)
    assert (applied(ours, found.content) / "README").read_text() == (tree / "README").read_text()
    assert await since_branching(repo, session) == ["README", "ours.txt", "theirs.txt"]


async def test_a_conflict_with_a_deleted_file_is_shown(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.path / "README").write_text("theirs\n")
    repo.commit("theirs")
    (tree / "README").unlink()
    repo.commit("ours", at=tree)
    with pytest.raises(AssertionError):
        repo.git("merge", "--quiet", "main", at=tree)
    assert await changed(repo, session, DiffScope.UNSTAGED) == {"README": FileChange.UNMERGED}
    await diff(repo, session, DiffScope.UNSTAGED)


async def test_a_file_that_became_a_link_has_changed_its_type(
    repo: Repo, session: Session, tree: Path, applied: Callable[[str, bytes], Path]
) -> None:
    (tree / "README").unlink()
    (tree / "README").symlink_to("elsewhere")
    assert await changed(repo, session, DiffScope.UNSTAGED) == {"README": FileChange.TYPE_CHANGED}
    found = await diff(repo, session, DiffScope.BRANCH)
    assert os.readlink(applied("main", found.content) / "README") == "elsewhere"


async def test_a_file_that_became_a_directory_is_shown(
    repo: Repo, session: Session, tree: Path, applied: Callable[[str, bytes], Path]
) -> None:
    (tree / "README").unlink()
    (tree / "README").mkdir()
    (tree / "README" / "inner").write_text("new\n")
    found = await changed(repo, session, DiffScope.BRANCH)
    assert found == {"README": FileChange.DELETED, "README/inner": FileChange.UNTRACKED}
    content = (await diff(repo, session, DiffScope.BRANCH)).content
    assert (applied("main", content) / "README" / "inner").read_text() == "new\n"


async def test_a_file_that_is_only_no_longer_tracked_has_not_changed_since_branching(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("rm", "--quiet", "--cached", "README", at=tree)
    assert await changed(repo, session, DiffScope.STAGED) == {"README": FileChange.DELETED}
    assert await changed(repo, session, DiffScope.UNTRACKED) == {"README": FileChange.UNTRACKED}
    assert await changed(repo, session, DiffScope.BRANCH) == {}


async def test_a_file_that_is_intended_to_be_added_is_new_and_not_staged(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / "new").write_text("new\n")
    repo.git("add", "--intent-to-add", "new", at=tree)
    assert await changed(repo, session, DiffScope.STAGED) == {}
    assert await changed(repo, session, DiffScope.UNSTAGED) == {"new": FileChange.ADDED}
    assert await changed(repo, session, DiffScope.BRANCH) == {"new": FileChange.ADDED}


async def test_of_a_submodule_only_its_commit_counts(
    repo: Repo, make_repo: MakeRepo, applied: Callable[[str, bytes], Path]
) -> None:
    make_repo("lib")
    repo.git("submodule", "--quiet", "add", "../lib", "lib")
    repo.commit("with a submodule")
    session = await repo.create()
    tree = Path(session.worktree_path)
    repo.git("submodule", "--quiet", "update", "--init", at=tree)
    (tree / "lib" / "README").write_text("changed\n")
    assert await since_branching(repo, session) == []
    commit = repo.commit("in the submodule", at=tree / "lib")
    (tree / "lib" / "new").touch()
    repo.git("config", "diff.submodule", "log")
    repo.git("config", "submodule.lib.ignore", "all")
    assert await changed(repo, session, DiffScope.UNSTAGED) == {"lib": FileChange.MODIFIED}
    found = await diff(repo, session, DiffScope.BRANCH)
    where = applied("main", found.content)
    assert commit in repo.git("ls-files", "--stage", "lib", at=where)


async def test_a_repository_inside_the_worktree_is_one_untracked_path(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("init", "--quiet", "inner", at=tree)
    (tree / "inner" / "file").touch()
    repo.commit(at=tree / "inner")
    for scope in (DiffScope.UNTRACKED, DiffScope.BRANCH):
        files = await repo.workspace.changed_files(session, scope)
        assert files == (ChangedFile("inner/", FileChange.UNTRACKED),)
        assert await diff(repo, session, scope) == Diff(b"")


@pytest.mark.parametrize("name", ["git~1", ".g\u200cit"])
async def test_names_that_other_systems_confuse_are_shown(
    repo: Repo, session: Session, tree: Path, name: str
) -> None:
    for setting in ("core.protectNTFS", "core.protectHFS"):
        repo.git("config", setting, "true")
    (tree / name).write_text("new\n")
    files = await repo.workspace.changed_files(session, DiffScope.UNTRACKED)
    assert files == (ChangedFile(name, FileChange.UNTRACKED, 1, 0),)
    assert b"+new" in (await diff(repo, session, DiffScope.UNTRACKED)).content


async def test_a_name_that_git_reserves_is_listed_and_in_no_diff(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / ".GIT").write_text("new\n")
    (tree / "new").write_text("new\n")
    files = await repo.workspace.changed_files(session, DiffScope.BRANCH)
    assert [(file.path, file.added) for file in files] == [(".GIT", None), ("new", 1)]
    assert b".GIT" not in (await diff(repo, session, DiffScope.BRANCH)).content


async def test_what_is_neither_file_nor_link_is_no_change(
    repo: Repo, session: Session, tree: Path
) -> None:
    os.mkfifo(tree / "fifo")
    (tree / "empty").mkdir()
    assert await since_branching(repo, session) == []


async def test_a_sparse_worktree_misses_no_files(repo: Repo, make_repo: MakeRepo) -> None:
    for name in ("in/file", "out/file"):
        (repo.path / name).parent.mkdir()
        (repo.path / name).write_text("old\n")
    repo.commit()
    session = await repo.create()
    tree = Path(session.worktree_path)
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "in", at=tree)
    assert not (tree / "out").exists()
    (tree / "in" / "new").write_text("new\n")
    (tree / "out").mkdir()
    (tree / "out" / "new").write_text("new\n")
    new = {"in/new": FileChange.UNTRACKED, "out/new": FileChange.UNTRACKED}
    assert await changed(repo, session, DiffScope.UNTRACKED) == new
    assert await changed(repo, session, DiffScope.BRANCH) == new
    assert await changed(repo, session, DiffScope.UNSTAGED) == {}


async def test_a_split_index_is_read_and_not_written(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("config", "core.splitIndex", "true")
    repo.git("config", "splitIndex.maxPercentChange", "0")
    repo.git("update-index", "--split-index", at=tree)
    (tree / "new").touch()
    before = sorted(path.name for path in repo.admin(session).iterdir())
    assert await since_branching(repo, session) == ["new"]
    assert sorted(path.name for path in repo.admin(session).iterdir()) == before


async def test_a_repository_with_sha256_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "sha256"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", path], check=True)
    repo = Repo(path)
    repo.commit()
    session = await repo.create()
    (Path(session.worktree_path) / "new").write_text("new\n")
    for scope in (DiffScope.UNTRACKED, DiffScope.BRANCH):
        assert await changed(repo, session, scope) == {"new": FileChange.UNTRACKED}
        assert b"+new" in (await diff(repo, session, scope)).content


async def test_line_ends_are_compared_as_git_stores_them(
    repo: Repo, session: Session, tree: Path
) -> None:
    (tree / ".gitattributes").write_text("*.txt text eol=crlf\n")
    (tree / "a.txt").write_bytes(b"one\n")
    repo.commit(at=tree)
    (tree / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    (file,) = await repo.workspace.changed_files(session, DiffScope.UNSTAGED)
    assert (file.added, file.deleted) == (1, 0)
    assert b"\r" not in (await diff(repo, session, DiffScope.UNSTAGED)).content


async def test_many_warnings_do_not_block_a_diff_with_a_limit(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("config", "core.autocrlf", "input")
    for number in range(2000):
        (tree / f"a-name-that-is-as-long-as-some-names-are-{number}").write_bytes(b"\r\n")
    found = await diff(repo, session, DiffScope.UNTRACKED)
    assert found.content.count(b"diff --git") == 2000
    cut = await diff(repo, session, DiffScope.UNTRACKED, limit=1000)
    assert cut == Diff(found.content[:1000], is_cut=True)


async def test_of_a_huge_file_only_the_beginning_is_read(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tree / "huge").open("wb") as file:
        file.write(b"0123456789abcde\n" * (1 << 21))
    received: list[int] = []
    run_process = git.run_process

    async def measuring(argv: Any, **options: Any) -> Any:
        code, output, errors = await run_process(argv, **options)
        received.append(len(output))
        return code, output, errors

    monkeypatch.setattr(git, "run_process", measuring)
    found = await diff(repo, session, DiffScope.BRANCH, limit=1000)
    assert (len(found.content), found.is_cut) == (1000, True)
    assert max(received) == 1001


async def test_a_failure_below_the_limit_is_raised(
    repo: Repo, session: Session, tree: Path
) -> None:
    with pytest.raises(GitError, match="outside repository"):
        await repo.workspace.diff(session, DiffScope.STAGED, paths=["../x"], limit=1000)


async def test_a_file_that_vanishes_while_it_is_compared_is_left_out(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gone", "here"):
        (tree / name).write_text("new\n")
    run_process = git.run_process

    async def deleting(argv: Any, **options: Any) -> Any:
        found = await run_process(argv, **options)
        if "ls-files" in argv:
            (tree / "gone").unlink()
        return found

    monkeypatch.setattr(git, "run_process", deleting)
    found = await diff(repo, session, DiffScope.BRANCH)
    assert b"gone" not in found.content
    assert b"b/here" in found.content


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_EXTERNAL_DIFF", "false"),
        ("GIT_DIFF_OPTS", "--unified=0"),
        ("GIT_ICASE_PATHSPECS", "1"),
        ("GIT_GLOB_PATHSPECS", "1"),
        ("GIT_NOGLOB_PATHSPECS", "1"),
        ("GIT_PAGER", "false"),
    ],
)
async def test_variables_do_not_change_a_diff(
    repo: Repo, session: Session, tree: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    (tree / "README").write_text("".join(f"{number}\n" for number in range(20)))
    repo.commit(at=tree)
    (tree / "README").write_text("".join(f"{number}\n" for number in range(20) if number != 9))
    (tree / "readme").touch()

    async def shown() -> list[Diff]:
        paths = ["README"]
        return [
            await repo.workspace.diff(session, scope, paths=paths, limit=1 << 20)
            for scope in SCOPES
        ]

    before = await shown()
    monkeypatch.setenv(name, value)
    assert await shown() == before


@pytest.mark.parametrize("scope", ["unstaged", "branch"])
async def test_a_file_that_is_as_old_as_the_index_is_read(
    repo: Repo, session: Session, tree: Path, scope: str
) -> None:
    repo.git("config", "core.trustctime", "false")
    file, index, moment = tree / "README", repo.admin(session) / "index", (10**9, 10**9)
    file.write_text("one\n")
    os.utime(file, moment)
    repo.commit(at=tree)
    repo.git("branch", "--quiet", "base", at=tree)
    repo.git("branch", "--quiet", "--set-upstream-to=base", at=tree)
    os.utime(index, moment)
    file.write_text("two\n")
    os.utime(file, moment)
    (tree / "new").touch()
    found = await changed(repo, session, DiffScope(scope))
    assert found["README"] is FileChange.MODIFIED


async def test_filters_of_the_user_apply(repo: Repo, session: Session, tree: Path) -> None:
    # Otherwise every file in a large file storage would differ from what git has stored.
    repo.git("config", "filter.upper.clean", "tr a-z A-Z")
    (tree / ".gitattributes").write_text("*.txt filter=upper\n")
    (tree / "a.txt").write_text("one\n")
    repo.commit(at=tree)
    os.utime(tree / "a.txt", (1, 1))
    assert await changed(repo, session, DiffScope.UNSTAGED) == {}


async def test_a_file_system_monitor_is_not_started(
    repo: Repo, session: Session, tree: Path
) -> None:
    repo.git("config", "core.fsmonitor", "false-monitor-that-does-not-exist")
    (tree / "README").write_text("changed\n")
    assert await changed(repo, session, DiffScope.UNSTAGED) == {"README": FileChange.MODIFIED}


async def test_a_redirected_worktree_is_compared_itself(
    repo: Repo, session: Session, tree: Path
) -> None:
    (repo.path / "of-the-user").touch()
    (tree / "of-the-session").touch()
    repo.git("config", "core.worktree", str(repo.path))
    repo.git("config", "extensions.worktreeConfig", "true")
    assert await since_branching(repo, session) == ["of-the-session"]
    assert b"of-the-session" in (await diff(repo, session, DiffScope.UNTRACKED)).content


async def test_a_moved_worktree_is_refused(repo: Repo, session: Session, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(repo.path, moved)
    workspace = GitWorkspace(GitWorkspaceOptions(), moved)
    with pytest.raises(WorktreeMissingError, match="Repair the workspace"):
        await workspace.changed_files(session, DiffScope.BRANCH)


async def test_an_interrupted_checkout_is_refused(repo: Repo, session: Session) -> None:
    (repo.admin(session) / "index").unlink()
    with pytest.raises(WorktreeMissingError, match="Resume the session"):
        await repo.workspace.changed_files(session, DiffScope.STAGED)


@pytest.mark.nightly
async def test_ten_thousand_files_are_compared(repo: Repo, session: Session, tree: Path) -> None:
    for number in range(10_000):
        (tree / f"{number}").touch()
    assert len(await since_branching(repo, session)) == 10_000
    repo.git("add", "--all", at=tree)
    assert len(await changed(repo, session, DiffScope.STAGED)) == 10_000


@pytest.mark.parametrize(
    ("scope", "most"), [("staged", 1), ("unstaged", 1), ("untracked", 4), ("branch", 8)]
)
async def test_few_git_processes_are_started(
    repo: Repo, session: Session, tree: Path, git_runs: list[Any], scope: str, most: int
) -> None:
    (tree / "new").touch()
    await repo.workspace.changed_files(session, DiffScope(scope))
    assert len(git_runs) == most
