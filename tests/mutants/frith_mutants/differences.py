"""Workspaces that are broken in what they show of changes and branches."""

from __future__ import annotations

from functools import partial

from frith.providers import Capability, Role
from frith_mutants import _shown_differences as shown
from frith_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.WORKSPACE)

DIFFERENCES = (
    _mutant(
        "mixes-scopes",
        "What is staged counts as not staged, too.",
        "each scope has its own changed files",
        wraps=shown.MixesScopes,
    ),
    _mutant(
        "omits-untracked-files",
        "Files that are not tracked are no change.",
        "a diff has every change since branching",
        replaces={"frith_git.diff:_register": shown.registers_nothing},
    ),
    _mutant(
        "omits-binary-content",
        "Of binary files a diff says that they differ, not how.",
        "a diff can be applied",
        replaces={"frith_git.diff:_AS_PATCH": shown.without("--binary")},
    ),
    _mutant(
        "sees-no-renames",
        "A renamed file is a deleted one and a new one.",
        "a renamed file has its previous path",
        replaces={"frith_git.diff:_DIFF": shown.with_option("--no-renames")},
    ),
    _mutant(
        "counts-no-lines-as-zero",
        "A binary file has zero lines.",
        "binary files have no line counts",
        replaces={"frith_git.diff:_count": shown.counts_zero},
    ),
    _mutant(
        "compares-with-the-tip-of-the-base",
        "The worktree is compared with the last commit of the base.",
        "commits of the base after branching are not in a diff",
        replaces={"frith_git.diff:base_of": shown.compares_with_the_tip},
    ),
    _mutant(
        "begins-at-the-workspace",
        "Every branch has begun at the HEAD of the workspace.",
        "a branch begins at the base that was given",
        replaces={"frith_git.diff:created_at": shown.knows_no_creation},
    ),
    _mutant(
        "obeys-the-external-diff",
        "The program that the user has configured makes the diff.",
        "settings of the user do not change a diff",
        replaces={"frith_git.diff:_DIFF": shown.without("--no-ext-diff")},
    ),
    _mutant(
        "refreshes-the-index",
        "To show changes writes the index.",
        "a diff writes nothing",
        wraps=shown.RefreshesTheIndex,
    ),
    _mutant(
        "cuts-silently",
        "A diff that was cut passes for a whole one.",
        "a diff that was cut says so",
        wraps=shown.CutsSilently,
    ),
    _mutant(
        "takes-paths-for-patterns",
        "A path with an asterisk stands for others.",
        "a diff of given paths has no others",
        replaces={"frith_git.diff:_ENVIRONMENT": shown.takes_patterns},
    ),
    _mutant(
        "sees-no-change-in-what-is-gone",
        "A worktree that is missing has no changes.",
        "a diff of a missing worktree is refused",
        wraps=shown.SeesNoChangeInWhatIsGone,
    ),
    _mutant(
        "hides-that-it-compares",
        "It can compare, and does not declare it.",
        "a diff is refused unless declared",
        hides=frozenset({Capability.DIFF}),
    ),
    _mutant(
        "names-no-worktrees-of-branches",
        "Where a branch is checked out is not said.",
        "branches are listed with their commits and worktrees",
        wraps=shown.NamesNoWorktrees,
    ),
    _mutant(
        "takes-a-rebased-branch-for-free",
        "A branch that is being rebased passes for one that is not in use.",
        "a branch that is being rebased is listed with its worktree",
        replaces={"frith_git.branches:checked_out": shown.sees_no_rebase},
    ),
    _mutant(
        "hides-that-it-lists-branches",
        "It can list branches, and does not declare it.",
        "listing branches is refused unless declared",
        hides=frozenset({Capability.BRANCHES}),
    ),
)
