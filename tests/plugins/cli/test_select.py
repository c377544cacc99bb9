"""Which session the user means."""

from __future__ import annotations

import pytest

from frith.errors import SessionNotFoundError
from frith.model import Session, SessionStatus, now
from frith_cli.sessions import AmbiguousSessionError, called, select

ONE = "11112222-0000-4000-8000-000000000001"
TWO = "11113333-0000-4000-8000-000000000002"
THREE = "22222222-0000-4000-8000-000000000003"


def _session(id_: str, name: str) -> Session:
    return Session(
        id=id_,
        name=name,
        status=SessionStatus.IDLE,
        branch=f"feature/{id_}",
        worktree_path=f"/w/.worktrees/{id_}",
        created_at=now(),
        last_activity=now(),
    )


SESSIONS = [_session(ONE, "same"), _session(TWO, "same"), _session(THREE, "1111")]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (ONE, ONE),
        (ONE.upper(), ONE),
        ("11112", ONE),
        ("2222", THREE),
        ("1111", THREE),  # a name comes before the start of an id
    ],
)
def test_an_id_a_name_or_the_start_of_an_id_is_found(given: str, meant: str) -> None:
    assert select(SESSIONS, given).id == meant


def test_a_session_is_called_by_its_name_if_that_is_unique() -> None:
    assert [called(SESSIONS, session) for session in SESSIONS] == [ONE[:8], TWO[:8], "1111"]


def test_a_session_with_an_invalid_name_is_called_by_its_id() -> None:
    odd = _session(ONE, "a b")
    assert called([odd], odd) == ONE[:8]


@pytest.mark.parametrize("given", ["same", "1111"])
def test_an_ambiguous_name_is_refused_with_the_ids(given: str) -> None:
    with pytest.raises(AmbiguousSessionError) as caught:
        select(SESSIONS[:2], given)
    assert caught.value.session_ids == (ONE, TWO)
    assert ONE in str(caught.value)
    assert TWO in str(caught.value)


@pytest.mark.parametrize("given", ["other", "222", "", "22223"])
def test_an_unknown_session_is_refused(given: str) -> None:
    with pytest.raises(SessionNotFoundError):
        select(SESSIONS, given)
