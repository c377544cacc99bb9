"""Names of branches, compared with git."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frith.errors import InvalidBranchError
from frith_git.branches import check_branch, is_valid_branch

_PARTS = ["a", "-", ".", "..", "/", "@", "{", "lock", ".lock", "~", "^", ":", " ", "*", "?", "["]
_NAMES = st.lists(st.sampled_from([*_PARTS, "\\", "\x7f", "\n", "ü", "HEAD"]), max_size=5).map(
    "".join
)


def _git_accepts(name: str) -> bool:
    # As a branch, so that HEAD and a leading dash are refused, too.
    command = ["git", "check-ref-format", "--branch", name]
    said = subprocess.run(command, capture_output=True, cwd="/")
    return said.returncode == 0 and said.stdout.decode() == f"{name}\n"


@settings(max_examples=150)
@given(_NAMES)
@example("@")
@example("a/@")
@example("@a")
@example("a.lock/b")
@example("-a")
@example("a/-b")
@example("a\u2028b")
def test_a_name_is_accepted_if_and_only_if_git_accepts_it(name: str) -> None:
    assert is_valid_branch(name) == _git_accepts(name)


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize("name", ["", "a" * 251, "\udcff", "a b"])
def test_the_error_names_the_branch_in_printable_text(name: str) -> None:
    with pytest.raises(InvalidBranchError) as caught:
        check_branch(name)
    str(caught.value).encode()
