"""Broken workspaces."""

from __future__ import annotations

from functools import partial

from frith.providers import Role
from frith_mutants import _default_threads as threads
from frith_mutants import _hasty_workspaces as hasty
from frith_mutants import _wrapped_workspaces as wrapped
from frith_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.WORKSPACE)

WORKSPACES = (
    _mutant(
        "has-any-store",
        "A workspace does not remember its store.",
        "a workspace is bound to the first store for every host",
        wraps=wrapped.HasAnyStore,
    ),
    _mutant(
        "binds-by-asking",
        "To ask which store a workspace has binds it.",
        "checking the binding of a workspace changes nothing",
        wraps=wrapped.BindsByAsking,
    ),
    _mutant(
        "plans-by-doing",
        "Planning creates.",
        "planning changes nothing",
        wraps=wrapped.PlansByDoing,
    ),
    _mutant(
        "names-no-blocking-branch",
        "A branch that cannot exist beside another one is said to exist itself.",
        "a conflicting branch is named",
        wraps=wrapped.NamesNoBlockingBranch,
    ),
    _mutant(
        "creates-an-empty-shell",
        "A directory with the files is made, which git knows nothing of.",
        "a created worktree has the files of its branch and no work",
        wraps=wrapped.CreatesAnEmptyShell,
    ),
    _mutant(
        "leaves-what-was-cancelled",
        "A creation that is cancelled leaves what it had made so far.",
        "a creation cancelled at any moment leaves nothing",
        wraps=wrapped.LeavesWhatWasCancelled,
    ),
    _mutant(
        "follows-git-dir",
        "Git is run with the variables that the host was started with.",
        "git variables in the environment are ignored",
        wraps=wrapped.FollowsGitDir,
    ),
    _mutant(
        "creates-where-git-works-elsewhere",
        "Where git in a new worktree works on another is not looked at.",
        "a worktree in which git would be redirected is not created",
        replaces={"frith_git.create:redirection": wrapped.is_content},
    ),
    _mutant(
        "starts-where-git-works-elsewhere",
        "A worktree in which git works on another passes for a good one.",
        "a worktree in which git is redirected is located as redirected",
        replaces={"frith_git.workspace:redirection": wrapped.is_content},
    ),
    _mutant(
        "looks-elsewhere",
        "What is at stake is what git tells, even if it speaks of another worktree.",
        "work in a redirected worktree is at stake",
        replaces={"frith_git.git:_work_tree": wrapped.follows_the_settings},
    ),
    _mutant(
        "tracks-the-base",
        "A new branch tracks its base.",
        "a new branch has no upstream",
        wraps=wrapped.TracksTheBase,
    ),
    _mutant(
        "unstages",
        "Creating drops what is staged in the main worktree.",
        "creating does not change the main worktree",
        wraps=wrapped.Unstages,
    ),
    _mutant(
        "forgets-ignored-files",
        "Ignored files do not count as work.",
        "ignored files are at stake",
        wraps=wrapped.ForgetsIgnoredFiles,
    ),
    _mutant(
        "forgets-detached-commits",
        "Commits that only a detached HEAD reaches do not count as work.",
        "commits of a detached head are at stake",
        wraps=wrapped.ForgetsDetachedCommits,
    ),
    _mutant(
        "forgets-operations",
        "An operation in progress does not count as work.",
        "a merge in progress is at stake",
        wraps=wrapped.ForgetsOperations,
    ),
    _mutant(
        "removes-unasked",
        "Work is removed whether or not force was asked for.",
        "changed files are at stake",
        wraps=wrapped.RemovesUnasked,
    ),
    _mutant(
        "removes-on-old-news",
        "Removing relies on the last inspection.",
        "work that appears after an inspection is not removed",
        wraps=wrapped.RemovesOnOldNews,
    ),
    _mutant(
        "forces-past-worktrees",
        "Force deletes also a worktree that lies beneath.",
        "a worktree inside the worktree blocks even force",
        wraps=wrapped.ForcesPastWorktrees,
    ),
    _mutant(
        "deletes-what-is-no-worktree",
        "Force deletes whatever lies at the path.",
        "a path that is not a worktree blocks even force",
        wraps=wrapped.DeletesWhatIsNoWorktree,
    ),
    _mutant(
        "deletes-the-branch",
        "Removing a worktree deletes its branch, too.",
        "removing a worktree does not move its branch",
        wraps=wrapped.DeletesTheBranch,
    ),
    _mutant(
        "writes-the-index",
        "Inspecting takes the lock of the index, and writes it.",
        "inspecting writes nothing",
        wraps=wrapped.WritesTheIndex,
    ),
    _mutant(
        "discards-blindly",
        "Discarding deletes whatever lies at the path of the plan.",
        "discarding keeps foreign files at the path",
        wraps=wrapped.DiscardsBlindly,
    ),
    _mutant(
        "discards-work",
        "Discarding deletes a worktree with work.",
        "discarding keeps a worktree with work",
        wraps=wrapped.DiscardsWork,
    ),
    _mutant(
        "discards-commits",
        "Discarding deletes a branch with new commits.",
        "discarding keeps a branch with new commits",
        wraps=wrapped.DiscardsCommits,
    ),
    _mutant(
        "discards-by-name",
        "Discarding deletes the branch, whoever made it.",
        "discarding keeps a branch created after the plan",
        wraps=wrapped.DiscardsByName,
    ),
    _mutant(
        "leaves-the-branch",
        "Discarding leaves the branch that was created.",
        "discarding removes what was created",
        wraps=wrapped.LeavesTheBranch,
    ),
    _mutant(
        "sees-what-is-gone",
        "A worktree that is missing is said to be there.",
        "a missing worktree is located as missing",
        wraps=wrapped.SeesWhatIsGone,
    ),
    _mutant(
        "restores-over",
        "Restoring undoes the work in a worktree that is there.",
        "restoring a present worktree changes nothing",
        wraps=wrapped.RestoresOver,
    ),
    _mutant(
        "forgets-submodules",
        "Commits of submodules that were not pushed do not count as work.",
        "commits of a submodule that were not pushed are at stake",
        wraps=hasty.ForgetsSubmodules,
    ),
    _mutant(
        "looks-one-level-deep",
        "Repositories inside are looked for directly in the worktree alone.",
        "a worktree of another repository inside blocks even force",
        replaces={"frith_git.inspect:nested_repositories": hasty.looks_one_level_deep},
    ),
    _mutant(
        "forgets-who-lives-there",
        "Force removes a worktree in which another session lives.",
        "another session in the worktree blocks even force",
        replaces={"frith_git.inspect:Inspector._forbidden": hasty.forgets_who_lives_there},
    ),
    _mutant(
        "sees-what-the-settings-show",
        "Untracked files do not count as work where a setting of git hides them.",
        "untracked files that git is configured not to show are at stake",
        replaces={"frith_git.status:_STATUS": hasty.leaves_it_to_the_settings},
    ),
    _mutant(
        "believes-the-index",
        "Files that the index says to assume unchanged do not count as work.",
        "changes that the index hides are at stake",
        replaces={"frith_git.status:_hidden_changes": hasty.asks_the_index_alone},
        case="assume",
    ),
    _mutant(
        "knows-merges-alone",
        "No operation in progress but a merge counts as work.",
        "every operation in progress is at stake",
        replaces={"frith_git.inspect:operation_in": hasty.knows_merges_alone},
        case="bisect",
    ),
    _mutant(
        "looks-where-the-host-points",
        "Inspecting follows the variables that the host was started with.",
        "environment variables of another repository hide no work",
        wraps=hasty.LooksWhereTheHostPoints,
    ),
    _mutant(
        "clears-the-path",
        "Creating deletes what lies at the path of the plan.",
        "creating keeps foreign files at the path",
        wraps=hasty.ClearsThePath,
    ),
    _mutant(
        "sees-any-directory",
        "Whatever directory lies at the path passes for the worktree.",
        "a directory that is not a worktree is not located as present",
        wraps=hasty.SeesAnyDirectory,
    ),
    _mutant(
        "prunes",
        "Removing a worktree drops every other one that is not there at the moment.",
        "worktrees that are temporarily unavailable are kept",
        wraps=hasty.Prunes,
    ),
    _mutant(
        "empties-links",
        "Removing a worktree deletes what its symbolic links lead to.",
        "removing a worktree keeps the targets of its symbolic links",
        wraps=hasty.EmptiesLinks,
    ),
    _mutant(
        "takes-tags-for-branches",
        "A tag passes for an existing branch.",
        "a tag is not taken for a branch",
        wraps=hasty.TakesTagsForBranches,
    ),
    _mutant(
        "begins-where-the-base-is-now",
        "The base is looked up again after the plan was made.",
        "a worktree starts at the commit of its plan",
        wraps=hasty.BeginsWhereTheBaseIsNow,
    ),
    _mutant(
        "leaves-a-thread",
        "Each opening has a thread, which stays.",
        "a closed workspace leaves no descriptor and no thread",
        wraps=hasty.LeavesAThread,
    ),
    _mutant(
        "shares-its-threads",
        "Its git commands wait for threads that other workspaces occupy.",
        "its operations do not need the default threads",
        wraps=threads.drops_the_limiter(),
    ),
)
