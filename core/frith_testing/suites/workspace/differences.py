"""The changes in a worktree: changed files and diffs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from frith.errors import UnsupportedCapabilityError, WorktreeMissingError
from frith.model import Session
from frith.ports import ChangedFile, DiffScope, FileChange, WorkspaceProvider
from frith.providers import Capability
from frith_testing.harness.files import files_of
from frith_testing.harness.promises import promise
from frith_testing.suites.workspace.git_view import GitView
from frith_testing.suites.workspace.open_workspace import (
    OpenWorkspaceConformance,
    created,
    request,
    session_of,
)

NO_LIMIT = 1 << 20

SETTINGS = {
    "diff.external": "false",
    "diff.orderFile": "no-such-file",
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.renames": "false",
    "diff.relative": "true",
    "diff.context": "0",
    "diff.interHunkContext": "9",
    "diff.algorithm": "patience",
    "diff.suppressBlankEmpty": "true",
    "diff.submodule": "log",
    "diff.ignoreSubmodules": "all",
    "diff.odd.command": "false",
    "diff.odd.textconv": "false",
    "color.ui": "always",
    "core.quotePath": "false",
    "core.pager": "false",
    "status.showUntrackedFiles": "no",
    "status.relativePaths": "true",
    "status.renames": "false",
}


class DifferencesConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about what has changed in a worktree."""

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_each_scope_has_its_own_changed_files(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        work(view, session)
        seen = {scope: await trees.changed_files(session, scope) for scope in DiffScope}
        staged = ChangedFile("staged.txt", FileChange.ADDED, 1, 0)
        changed = ChangedFile("tracked.txt", FileChange.MODIFIED, 1, 1)
        new = ChangedFile("untracked.txt", FileChange.UNTRACKED, 1, 0)
        committed = ChangedFile("committed.txt", FileChange.ADDED, 1, 0)
        assert seen == {
            DiffScope.STAGED: (staged,),
            DiffScope.UNSTAGED: (changed,),
            DiffScope.UNTRACKED: (new,),
            DiffScope.BRANCH: (committed, staged, changed, new),
        }

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_diff_has_every_change_since_branching(
        self, trees: WorkspaceProvider, view: GitView, session: Session, tmp_path: Path
    ) -> None:
        work(view, session)
        found = await trees.diff(session, DiffScope.BRANCH, limit=NO_LIMIT)
        assert applied(view, "main", [found.content], tmp_path) == contents(session)

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_diff_can_be_applied(
        self, trees: WorkspaceProvider, view: GitView, session: Session, tmp_path: Path
    ) -> None:
        tree = Path(session.worktree_path)
        Path(tree, "moved.txt").write_text("".join(f"{number}\n" for number in range(50)))
        Path(tree, "script").write_text("#!/bin/sh\n")
        Path(tree, "binary").write_bytes(bytes(range(256)))
        Path(tree, "link").symlink_to("moved.txt")
        view.git("add", "--all", at=tree)
        view.git("commit", "-q", "-m", "files", at=tree)
        start = view.git("rev-parse", "HEAD", at=tree)
        view.git("mv", "moved.txt", "to.txt", at=tree)
        Path(tree, "tracked.txt").unlink()
        Path(tree, "script").chmod(0o755)
        Path(tree, "binary").write_bytes(bytes(reversed(range(256))))
        Path(tree, "link").unlink()
        Path(tree, "link").write_text("no link")
        Path(tree, "empty").touch()
        Path(tree, "no newline").write_text("the end")
        Path(tree, "new link").symlink_to("nowhere")
        Path(tree, "new binary").write_bytes(b"\0\1\2\n")
        for odd in (b'quote"\\', b"new\nline", b"not-utf-8-\xff", b" blank ", b"[a]*?", b":(top)x"):
            Path(tree, os.fsdecode(odd)).write_text("odd\n")
        parts = [
            (await trees.diff(session, scope, limit=NO_LIMIT)).content
            for scope in (DiffScope.STAGED, DiffScope.UNSTAGED, DiffScope.UNTRACKED)
        ]
        assert applied(view, start, parts, tmp_path / "parts") == contents(session)
        whole = (await trees.diff(session, DiffScope.BRANCH, limit=NO_LIMIT)).content
        assert applied(view, "main", [whole], tmp_path / "whole") == contents(session)

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_renamed_file_has_its_previous_path(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        view.git("mv", "tracked.txt", "renamed.txt", at=session.worktree_path)
        renamed = ChangedFile("renamed.txt", FileChange.RENAMED, 0, 0, "tracked.txt")
        for scope in (DiffScope.STAGED, DiffScope.BRANCH):
            assert await trees.changed_files(session, scope) == (renamed,)

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_binary_files_have_no_line_counts(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        Path(session.worktree_path, "new").write_bytes(b"\0\n\1")
        binary = ChangedFile("new", FileChange.UNTRACKED)
        assert await trees.changed_files(session, DiffScope.UNTRACKED) == (binary,)

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_commits_of_the_base_after_branching_are_not_in_a_diff(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        view.commit(session.worktree_path, "ours.txt")
        view.commit(str(view.workspace), "theirs.txt")
        found = await trees.changed_files(session, DiffScope.BRANCH)
        assert [file.path for file in found] == ["ours.txt"]
        view.git("rebase", "-q", "main", at=session.worktree_path)
        assert await trees.changed_files(session, DiffScope.BRANCH) == found

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_branch_begins_at_the_base_that_was_given(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        view.commit(session.worktree_path, "first.txt")
        stacked = session_of(await created(trees, request("feature/two", base=session.branch)))
        view.commit(stacked.worktree_path, "second.txt")
        found = await trees.changed_files(stacked, DiffScope.BRANCH)
        assert [file.path for file in found] == ["second.txt"]

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_settings_of_the_user_do_not_change_a_diff(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        work(view, session)
        tree = session.worktree_path
        file = Path(tree, "\N{LATIN SMALL LETTER A WITH DIAERESIS}.txt")
        # Algorithms differ in what they find in these lines, and settings in the empty ones.
        lines = [*"bcaddb", *([""] * 12), "end"]
        file.write_text("\n".join(lines))
        view.git("add", "--", file.name, at=tree)
        view.git("commit", "-q", "-m", "lines", at=tree)
        file.write_text("\n".join([*"aaadec", *lines[6:-1], "the end"]))
        view.git("mv", "committed.txt", "moved.txt", at=tree)
        Path(tree, ".gitattributes").write_text("*.txt diff=odd\n")
        before = await everything(trees, session)
        for name, value in SETTINGS.items():
            view.git("config", name, value)
        assert await everything(trees, session) == before

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_diff_writes_nothing(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        work(view, session)
        # Git would write the index, because the time of this file is not the one recorded there.
        os.utime(Path(session.worktree_path, "committed.txt"), (1, 1))
        before = files_of(view.workspace)
        await everything(trees, session)
        assert files_of(view.workspace) == before

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_diff_that_was_cut_says_so(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        work(view, session)
        whole = await trees.diff(session, DiffScope.BRANCH, limit=NO_LIMIT)
        length = len(whole.content)
        assert await trees.diff(session, DiffScope.BRANCH, limit=length) == whole
        assert not whole.is_cut
        cut = await trees.diff(session, DiffScope.BRANCH, limit=length - 1)
        assert (cut.content, cut.is_cut) == (whole.content[:-1], True)

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_diff_of_given_paths_has_no_others(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        tree = Path(session.worktree_path)
        for name in ("a*", "ab", "directory/one", "directory/two"):
            Path(tree, name).parent.mkdir(exist_ok=True)
            Path(tree, name).write_text("new\n")
        found = await trees.diff(
            session, DiffScope.BRANCH, paths=["a*", "directory"], limit=NO_LIMIT
        )
        headers = [line for line in found.content.splitlines() if line.startswith(b"+++")]
        assert headers == [b"+++ b/a*", b"+++ b/directory/one", b"+++ b/directory/two"]

    @promise(since="1.1", needs=Capability.DIFF)
    async def test_a_diff_of_a_missing_worktree_is_refused(
        self, trees: WorkspaceProvider, view: GitView, session: Session
    ) -> None:
        view.git("worktree", "remove", "-f", "-f", session.worktree_path)
        for scope in DiffScope:
            with pytest.raises(WorktreeMissingError):
                await trees.changed_files(session, scope)
            with pytest.raises(WorktreeMissingError):
                await trees.diff(session, scope, limit=NO_LIMIT)

    @promise(since="1.1", without=Capability.DIFF)
    async def test_a_diff_is_refused_unless_declared(
        self, trees: WorkspaceProvider, session: Session
    ) -> None:
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await trees.changed_files(session, DiffScope.BRANCH)
        assert caught.value.capability == Capability.DIFF
        with pytest.raises(UnsupportedCapabilityError) as caught:
            await trees.diff(session, DiffScope.BRANCH, limit=NO_LIMIT)
        assert caught.value.capability == Capability.DIFF


def work(view: GitView, session: Session) -> None:
    """Commit a file, stage one, change one, and leave one untracked, and another one ignored."""
    tree = Path(session.worktree_path)
    view.commit(session.worktree_path, "committed.txt")
    Path(tree, "staged.txt").write_text("staged\n")
    view.git("add", "staged.txt", at=tree)
    Path(tree, "tracked.txt").write_text("changed\n")
    Path(tree, "untracked.txt").write_text("untracked\n")
    exclude = view.workspace / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    with exclude.open("a") as lines:
        lines.write("ignored.txt\n")
    Path(tree, "ignored.txt").write_text("ignored\n")


async def everything(trees: WorkspaceProvider, session: Session) -> list[object]:
    """Return changed files and diff of every scope."""
    return [
        (
            await trees.changed_files(session, scope),
            await trees.diff(session, scope, limit=NO_LIMIT),
        )
        for scope in DiffScope
    ]


Contents = dict[str, tuple[int, bytes]]


def contents(session: Session) -> Contents:
    """Return type, permission to execute, and content of every file that is not ignored."""
    return _contents(Path(session.worktree_path))


def _contents(tree: Path) -> Contents:
    found = {}
    for folder, directories, names in os.walk(tree):
        if ".git" in directories:
            directories.remove(".git")
        for name in set(names) - {".git", "ignored.txt"}:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            is_link = stat.S_ISLNK(mode)
            content = os.readlink(os.fsencode(path)) if is_link else path.read_bytes()
            kind = stat.S_IFMT(mode) | (0 if is_link else mode & stat.S_IXUSR)
            found[str(path.relative_to(tree))] = kind, content
    return found


def applied(view: GitView, commit: str, diffs: Iterable[bytes], directory: Path) -> Contents:
    """Return the files of ``commit`` after each of ``diffs`` was applied to them."""
    tree, patch = directory / "tree", directory / "patch"
    view.git("worktree", "add", "-q", "--detach", str(tree), commit)
    for diff in filter(None, diffs):
        patch.write_bytes(diff)
        view.git("apply", "--index", str(patch), at=tree)
    return _contents(tree)
