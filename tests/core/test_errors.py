"""Every error: its code, which never changes, and its message, which says what to do."""

from __future__ import annotations

import pytest

from frith import errors
from frith._engine.ledger import StoreVanishedError
from frith.errors import FrithError
from frith.model import AtStake
from frith.plugins import InvalidPluginError

CODES = {
    errors.BaseNotFoundError: "BASE_NOT_FOUND",
    errors.BranchBlockedError: "BRANCH_BLOCKED",
    errors.BranchInUseError: "BRANCH_IN_USE",
    errors.BranchNotFoundError: "BRANCH_NOT_FOUND",
    errors.BranchTakenError: "BRANCH_TAKEN",
    errors.ClaimDoubtfulError: "CLAIM_DOUBTFUL",
    errors.ClaimHeldError: "CLAIM_HELD",
    errors.ClaimLostError: "CLAIM_LOST",
    errors.CommandNotFoundError: "COMMAND_NOT_FOUND",
    errors.CommitOutcomeUnknownError: "COMMIT_OUTCOME_UNKNOWN",
    errors.ConfigurationError: "CONFIGURATION",
    errors.CorruptStoreError: "STORE_CORRUPT",
    errors.DuplicateProviderError: "DUPLICATE_PROVIDER",
    errors.InvalidBranchError: "INVALID_BRANCH",
    errors.InvalidNameError: "INVALID_NAME",
    errors.InvalidWorkspaceError: "INVALID_WORKSPACE",
    errors.LineTooLongError: "LINE_TOO_LONG",
    errors.ManagerClosedError: "MANAGER_CLOSED",
    errors.PluginError: "PLUGIN_FAILED",
    errors.ProviderCycleError: "PROVIDER_CYCLE",
    errors.ProviderFailedError: "PROVIDER_FAILED",
    errors.ProviderNotFoundError: "PROVIDER_NOT_FOUND",
    errors.ReadOnlyViewError: "VIEW_READ_ONLY",
    errors.RemovalBlockedError: "REMOVAL_BLOCKED",
    errors.SessionError: "SESSION_FAILED",
    errors.SessionLimitError: "MAX_SESSIONS",
    errors.SessionNotFoundError: "SESSION_NOT_FOUND",
    errors.SessionNotRunningError: "SESSION_NOT_RUNNING",
    errors.SessionOwnedError: "SESSION_OWNED",
    errors.SessionRunningError: "SESSION_RUNNING",
    errors.SessionVetoed: "SESSION_VETOED",
    errors.SpawnError: "SPAWN_FAILED",
    errors.FrithError: "FRITH_ERROR",
    errors.StoreBusyError: "STORE_BUSY",
    errors.StoreError: "STORE_FAILED",
    errors.StoreMismatchError: "STORE_MISMATCH",
    errors.StoreVersionError: "STORE_VERSION",
    errors.TerminalBusyError: "TERMINAL_BUSY",
    errors.TerminalClosedError: "TERMINAL_CLOSED",
    errors.TerminalError: "TERMINAL_FAILED",
    errors.UnsupportedCapabilityError: "UNSUPPORTED_CAPABILITY",
    errors.UnsupportedPlatformError: "UNSUPPORTED_PLATFORM",
    errors.VetoHookFailedError: "VETO_HOOK_FAILED",
    errors.WorkAtStakeError: "WORK_AT_STAKE",
    errors.WorkingDirectoryError: "WORKING_DIRECTORY",
    errors.WorkspaceError: "WORKSPACE_FAILED",
    errors.WorktreeMissingError: "WORKTREE_MISSING",
    errors.WorktreeRedirectedError: "WORKTREE_REDIRECTED",
    InvalidPluginError: "INVALID_PLUGIN",
    StoreVanishedError: "STORE_VANISHED",
}
"""Programs compare these: a code that is changed here breaks them."""

ADVICE = [
    (errors.BaseNotFoundError("v9"), "Give a branch, a tag or a commit id as base."),
    (errors.BranchInUseError("b", "/w"), "Switch that worktree to another branch"),
    (errors.BranchInUseError("b", "/w", "id"), "Ask to share it, or choose another branch."),
    (errors.BranchNotFoundError("b"), "Create it, or ask for a new branch."),
    (errors.BranchTakenError("b"), "Choose another name, or ask for the existing branch."),
    (errors.BranchBlockedError("a/b", "a"), "Choose another branch, or rename that one."),
    (errors.BranchTakenError("b", "id"), "taken by session id. Choose another name"),
    (errors.ClaimHeldError("id"), "is held by another process. Stop it there first."),
    (errors.ClaimHeldError("id", certain=False), "may be held by another process."),
    (errors.ConfigurationError("a.stroe", "unknown key", known=["store"]), "mean 'store'?"),
    (errors.ConfigurationError("zzz", "unknown key", known=["b", "a"]), "Known: a, b."),
    (errors.CorruptStoreError("/f", "cut off", "t"), "Rebuild it from the worktrees."),
    (errors.DuplicateProviderError("store", "x", ["a", "b"]), "Uninstall or block one of them."),
    (errors.InvalidBranchError("a..b"), "See `git help check-ref-format`."),
    (errors.InvalidNameError("a b"), "use 1 to 50 letters, digits and hyphens."),
    (errors.LineTooLongError(5000, 4095), "Send shorter lines."),
    (errors.ManagerClosedError(), "Use it inside `async with`."),
    (errors.ProviderCycleError(["store:a", "store:a"]), "Let one of them open another provider."),
    (errors.ProviderFailedError("store", "x", "why"), "Fix the cause, then reopen the manager."),
    (
        errors.ProviderFailedError("store", "x", "why", ended=False),
        "Fix the cause, then try again.",
    ),
    (errors.ProviderNotFoundError("store", "x", []), "available: none. Install the plugin"),
    (errors.ProviderNotFoundError("store", "jsn", ["json"]), "Did you mean 'json'?"),
    (errors.RemovalBlockedError("/w", ["it is main"]), "it is main. Resolve that first."),
    (errors.SessionNotFoundError("id"), "List the sessions to see their ids."),
    (errors.SessionNotRunningError("id"), "Resume it first."),
    (errors.SessionOwnedError("id"), "Stop it first, then try again."),
    (errors.SessionOwnedError("id", certain=False), "may be owned by another process."),
    (errors.SessionRunningError("id"), "Stop it first."),
    (errors.SessionVetoed("it is late", "clock"), "Refused by plugin 'clock': it is late"),
    (errors.SpawnError(["a", "b"], "why"), "'a b': why. Check the command, then try again."),
    (errors.StoreMismatchError("/w", "a:x", "b:y", "/s"), "Configure 'a:x'; or, if"),
    (errors.StoreVersionError("/f", "9", "1"), "Upgrade frith; the file was not changed."),
    (errors.TerminalBusyError(1, 2), "Send the rest once it reads."),
    (errors.UnsupportedCapabilityError("X", "watch"), "Use a provider that declares it."),
    (errors.UnsupportedPlatformError("X", "plan9"), "Use a different provider."),
    (errors.VetoHookFailedError("clock", "broke"), "Fix or block the plugin, then try again."),
    (errors.WorkAtStakeError("/w", AtStake(changed=("a",))), "Commit or copy it, keep the"),
]


def _kinds(root: type[FrithError]) -> set[type[FrithError]]:
    return {root}.union(*(_kinds(kind) for kind in root.__subclasses__()))


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=lambda value: str(value))
def test_an_error_has_its_code(kind: type[FrithError], code: str) -> None:
    assert kind.code == code


@pytest.mark.requirement("R1.12")
def test_every_public_error_of_the_core_has_a_code_of_its_own() -> None:
    kinds = {
        kind
        for kind in _kinds(FrithError)
        if kind.__module__.startswith("frith.") and not kind.__name__.startswith("_")
    }
    assert kinds == CODES.keys()
    assert len(set(CODES.values())) == len(CODES)


def test_every_error_is_public() -> None:
    offered = {getattr(errors, name) for name in errors.__all__} - {errors.nearest}
    assert offered == {kind for kind in CODES if kind.__module__.startswith("frith.errors")}


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize(("error", "advice"), ADVICE, ids=lambda value: type(value).__name__)
def test_a_message_says_what_to_do_next(error: FrithError, advice: str) -> None:
    assert advice in str(error)
    assert "\n" not in str(error)


@pytest.mark.requirement("R2.3")
def test_the_limit_has_the_agreed_message() -> None:
    error = errors.SessionLimitError(4)
    assert error.code == "MAX_SESSIONS"
    assert str(error) == ("Maximum 4 sessions supported. Destroy a session to create a new one.")
    assert error.limit == 4


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("error", [error for error, _ in ADVICE], ids=lambda e: type(e).__name__)
def test_an_error_has_its_arguments_as_attributes(error: FrithError) -> None:
    attributes = vars(error)
    assert attributes or type(error) is errors.ManagerClosedError


@pytest.mark.requirement("R6.2")
def test_a_doubled_provider_is_reported_with_both_distributions() -> None:
    error = errors.DuplicateProviderError("store", "json", ["one (json)", "two (json)"])
    assert error.distributions == ("one (json)", "two (json)")
    assert "one (json) and two (json)" in str(error)


def test_the_nearest_word_is_guessed_only_when_one_is_near() -> None:
    assert errors.nearest("jsn", ["json", "git"]) == "json"
    assert errors.nearest("zzz", ["json", "git"]) is None
    assert errors.nearest("x", []) is None
