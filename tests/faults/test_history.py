"""The check of a history: one that fits one order passes, others are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from frith_testing.faults.history.counters import State
from frith_testing.faults.history.order import Commit, Load, violations

START = State(1, 0, "", (0, 0, 0))
SLACK = st.integers(0, 25)
"""Begin and end of an operation, relative to its moment; moments are 10 apart."""
OUTCOMES = ("acknowledged", "killed after", "killed before", "refused", "loaded")

History = tuple[list[Commit], list[Load]]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Return a history of several processes that use a correct store."""
    state, commits, loads = START, [], []
    for number, outcome in enumerate(draw(st.lists(st.sampled_from(OUTCOMES), min_size=1))):
        moment = number * 10
        begin, end = moment - draw(SLACK), moment + draw(SLACK)
        if outcome == "loaded":
            loads.append(Load(f"reader-{number}", begin, end, state))
            continue
        commit = Commit(f"a{number}", draw(st.integers(0, 2)), begin)
        if outcome != "killed before" or draw(st.booleans()):
            commit = replace(commit, saw=state)
        if outcome == "refused":
            commit = replace(commit, end=end)
        elif outcome != "killed before":
            state = state.after(commit.attempt, commit.writer)
            if outcome == "acknowledged":
                commit = replace(commit, end=end, made=state)
        commits.append(commit)
    loads.append(Load("the end", 10**6, 10**6 + 1, state))
    return draw(st.permutations(commits)), loads


@given(histories())
def test_a_history_that_fits_one_order_passes(history: History) -> None:
    assert violations(START, *history) == []


@given(histories(), st.data())
def test_a_torn_read_is_found(history: History, data: st.DataObject) -> None:
    commits, loads = history
    *_, last = loads
    own = data.draw(st.sampled_from(range(3)))
    torn = tuple(n + (index == own) for index, n in enumerate(last.saw.own))
    assert violations(START, commits, [*loads, replace(last, saw=replace(last.saw, own=torn))])


@given(histories().filter(lambda history: any(c.made for c in history[0])), st.data())
def test_an_acknowledged_commit_that_is_lost_is_found(
    history: History, data: st.DataObject
) -> None:
    commits, loads = history
    lost = data.draw(st.sampled_from([c for c in commits if c.made]))
    assert lost.saw is not None
    after = [replace(load, saw=lost.saw) for load in loads[-1:]]
    found = violations(START, commits, [*loads[:-1], *after])
    assert any("had been acknowledged before it began" in sentence for sentence in found)


def chain(*attempts: str) -> Iterator[Commit]:
    """Yield acknowledged commits of writer 0, one after the other."""
    state = START
    for attempt, moment in zip(attempts, count(0, 10), strict=False):
        made = state.after(attempt, 0)
        yield Commit(attempt, 0, moment, moment + 5, state, made)
        state = made


def test_a_lost_update_is_found() -> None:
    first, second = chain("a", "b")
    assert first.made is not None
    overwritten = replace(first.made.after("b", 0), count=first.made.count)
    (found, *_) = violations(START, [first, replace(second, made=overwritten)], [])
    assert "an update was lost: commit b" in found


def test_one_revision_given_to_two_commits_is_found() -> None:
    one = Commit("a", 0, 0, 5, START, START.after("a", 0))
    other = Commit("b", 1, 0, 5, START, START.after("b", 1))
    (found, *_) = violations(START, [one, other], [])
    assert found.startswith("revision 2 is both ")


def test_a_stale_read_is_found() -> None:
    first, second = chain("a", "b")
    assert first.made is not None
    stale = Load("reader", second.begin + 6, second.begin + 7, first.made)
    assert violations(START, [first, second], [stale]) == [
        "a load of reader saw revision 2, though 3 had been acknowledged before it began"
    ]


def test_a_reader_that_goes_back_is_found() -> None:
    commit = replace(next(chain("a")), end=None, made=None)
    new, old = Load("one", 1, 2, START.after("a", 0)), Load("two", 3, 4, START)
    assert violations(START, [commit], [new, old]) == [
        "a load of two saw revision 1, though 2 had been acknowledged before it began"
    ]


def test_an_attempt_that_took_effect_twice_is_found() -> None:
    made = START.after("a", 0)
    twice = Load("the end", 10, 11, made.after("a", 0))
    found = violations(START, [Commit("a", 0, 0, saw=made)], [Load("one", 1, 2, made), twice])
    assert "commit a took effect twice, as revision 2 and 3" in found


def test_a_refused_attempt_that_took_effect_is_found() -> None:
    refused = Commit("a", 0, 0, 5, START)
    assert violations(START, [refused], [Load("the end", 6, 7, START.after("a", 0))]) == [
        "commit a was refused, and is revision 2"
    ]


def test_a_state_that_no_commit_made_is_found() -> None:
    (found,) = violations(START, [], [Load("reader", 0, 1, START.after("x", 0))])
    assert found.startswith("no commit made revision 2: ")


def test_a_revision_that_is_left_out_is_found() -> None:
    (commit,) = chain("a")
    assert commit.made is not None
    skipping = replace(commit, made=replace(commit.made, revision=3))
    found = violations(START, [skipping], [])
    assert "no process saw revision 2, but some saw later ones" in found


def test_a_state_older_than_the_first_is_found() -> None:
    (found, *_) = violations(START, [], [Load("reader", 0, 1, replace(START, revision=0))])
    assert found == "revision 0 was seen again after 1"
