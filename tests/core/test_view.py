"""Views: the screen, output, fresh screens where output alone would be wrong, and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep_forever, wait_all_tasks_blocked

from frith import Capability, Ended, Output, Redraw, Session, SessionManager, Size, View
from frith._flows import view as module
from frith.errors import (
    ManagerClosedError,
    ReadOnlyViewError,
    SessionNotRunningError,
    TerminalClosedError,
    TerminalError,
)
from frith.model import ExitStatus
from waiting import PATIENCE

from .fakes import FakeTerminal
from .managers import manager
from .world import World, a_session, as_running

Opens = Callable[..., AbstractAsyncContextManager[SessionManager]]
T = TypeVar("T")

OWN = Size(24, 80)
"""The size that every process is started with."""
OTHER = Size(10, 40)
ABILITIES = [Capability.WATCH, Capability.ADOPT, Capability.RECALL]


@pytest.fixture
def opened(world: World) -> Opens:
    """Open managers whose processes outlive them."""
    world.adoptable = True
    return partial(manager, world, capabilities=ABILITIES)


@pytest.fixture
async def ours(opened: Opens) -> AsyncIterator[SessionManager]:
    async with opened() as ours:
        yield ours


@pytest.fixture
async def session(ours: SessionManager) -> Session:
    """A session whose process is running."""
    return await ours.create_session("one", size=OWN)


@pytest.fixture
def terminal(world: World, session: Session) -> FakeTerminal:
    """The terminal of that process, which can tell what it shows."""
    (terminal,) = world.living()
    terminal.has_screen = True
    return terminal


async def soon(awaited: Awaitable[T]) -> T:
    with fail_after(PATIENCE):
        return await awaited


def screen(text: bytes, size: Size = OWN, own: Size = OWN) -> Redraw[bytes]:
    """What a fake terminal shows after the output ``text`` in a window of ``size``."""
    return Redraw(b"<%dx%d of " % (size.rows, size.columns) + text + b">", own)


async def test_the_screen_comes_first_and_then_output(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    terminal.say(b"before")
    async with ours.view(session.id) as view:
        assert await soon(anext(view)) == screen(b"before")
        terminal.say(b"after")
        assert await soon(anext(view)) == Output(b"after")
        await view.write(b"typed")
        assert await soon(anext(view)) == Output(b"typed")
        assert (view.session_id, view.terminal) == (session.id, terminal)


async def test_output_between_the_screen_and_attaching_is_shown_once(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    terminal.say(b"one ")

    async def say_two() -> None:
        terminal.say(b"two ")

    world.meanwhile["screen"] = [say_two]
    async with ours.view(session.id) as view:
        assert await soon(anext(view)) == screen(b"one two ")
        terminal.say(b"three")
        assert await soon(anext(view)) == Output(b"three")


async def test_the_process_gets_the_size_of_the_viewer_until_it_leaves(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "me", OTHER) as view:
        assert terminal.sizes == {"me": OTHER}
        assert await soon(anext(view)) == screen(b"", OTHER, OTHER)
        await view.resize(Size(5, 5))
        assert terminal.sizes == {"me": Size(5, 5)}
        assert await soon(anext(view)) == screen(b"", Size(5, 5), Size(5, 5))
    assert terminal.sizes == {}
    assert set(terminal.leavers) == {"me"}


async def test_a_view_that_gives_the_process_no_size_answers_no_queries(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "reader", OTHER, read_only=True) as view:
        await soon(anext(view))
    async with ours.view(session.id, "me") as view:
        await soon(anext(view))
        await view.resize(OTHER)
        await soon(anext(view))
    assert terminal.leavers == [None, None, "me"]


async def test_a_viewer_without_a_name_gets_one_of_its_own(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id) as one, ours.view(session.id) as other:
        assert one.viewer != other.viewer
        assert terminal.sizes == {}


async def test_an_impossible_size_is_refused_and_the_last_one_holds(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "me", OTHER) as view:
        with pytest.raises(ValueError, match="no rows"):
            await view.resize(Size(0, 0))
        assert view.size == OTHER
    with pytest.raises(ValueError, match="no rows"):
        async with ours.view(session.id, "me", Size(0, 0)):
            pytest.fail("it was opened")


async def test_a_read_only_view_passes_on_neither_input_nor_size(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, size=OTHER, read_only=True) as view:
        assert await soon(anext(view)) == screen(b"", OTHER)
        with pytest.raises(ReadOnlyViewError):
            await view.write(b"typed")
        await view.resize(Size(5, 5))
        assert await soon(anext(view)) == screen(b"", Size(5, 5))
        assert terminal.sizes == {}
        assert not terminal.output


async def test_after_a_gap_comes_a_fresh_screen(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id) as view:
        await soon(anext(view))
        terminal.say(b"lost kept")
        terminal.lose(5)
        assert await soon(anext(view)) == screen(b"lost kept")
        assert terminal.leavers == [None], "else it reads and drops queries that the screen covers"
        terminal.say(b" on")
        assert await soon(anext(view)) == Output(b" on")


async def test_output_that_a_fresh_screen_shows_in_part_is_continued(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async def say_more() -> None:
        terminal.say(b" shown")

    async with ours.view(session.id) as view:
        await soon(anext(view))
        world.meanwhile["screen"] = [say_more]
        terminal.say(b"lost kept")
        terminal.lose(5)
        assert await soon(anext(view)) == screen(b"lost kept shown")
        terminal.say(b" on")
        assert await soon(anext(view)) == Output(b" on")


async def test_output_lost_before_attaching_is_a_gap_too(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    attach = terminal.attach

    def attach_late(*args: object, **keywords: object) -> object:
        if not terminal.output:
            terminal.say(b"lost kept")
            terminal.lose(5)
        return attach(*args, **keywords)  # type: ignore[arg-type]

    terminal.attach = attach_late  # type: ignore[method-assign, assignment]
    async with ours.view(session.id) as view:
        assert await soon(anext(view)) == screen(b"")
        assert await soon(anext(view)) == screen(b"lost kept")


async def test_at_another_size_screens_stand_for_the_output(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "me", OTHER) as view:
        await soon(anext(view))
        terminal.fit(OWN)  # another viewer's
        for text in (b"a", b"ab"):
            terminal.say(b"ab"[len(text) - 1 : len(text)])
            assert await soon(anext(view)) == screen(text, OTHER, OWN)
        terminal.fit(OTHER)
        terminal.say(b"c")
        assert await soon(anext(view)) == screen(b"abc", OTHER, OTHER)
        terminal.say(b"d")
        assert await soon(anext(view)) == Output(b"d")


async def test_a_viewer_without_a_size_gets_a_fresh_screen_at_each_size_of_the_process(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id) as view:
        await soon(anext(view))
        terminal.fit(OTHER)
        terminal.say(b"a")
        assert await soon(anext(view)) == screen(b"a", OTHER, OTHER)
        terminal.say(b"b")
        assert await soon(anext(view)) == Output(b"b")


async def test_screens_are_bounded_to_a_rate(
    ours: SessionManager,
    session: Session,
    terminal: FakeTerminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def note(moment: float) -> None:
        waits.append(moment)
        terminal.say(b"meanwhile ")

    monkeypatch.setattr(module, "sleep_until", note)
    monkeypatch.setattr(module, "current_time", lambda: 100.0)
    async with ours.view(session.id, "me", OTHER) as view:
        await soon(anext(view))
        terminal.fit(OWN)
        terminal.say(b"a ")
        assert await soon(anext(view)) == screen(b"a meanwhile ", OTHER, OWN)
        terminal.say(b"b ")
        assert await soon(anext(view)) == screen(b"a meanwhile b meanwhile ", OTHER, OWN)
    assert waits == [100.0 + 1 / 30] * 2


async def test_a_redraw_may_be_asked_for(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id) as view, create_task_group() as tasks:
        await soon(anext(view))
        shown: list[object] = []

        async def show() -> None:
            shown.append(await anext(view))

        tasks.start_soon(show)
        await wait_all_tasks_blocked()
        view.redraw()
        await wait_all_tasks_blocked()
        assert shown == [screen(b"")]


async def test_a_view_goes_on_with_the_next_process(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "me", OTHER) as view:
        await soon(anext(view))
        terminal.say(b"last words")
        terminal.end(code=3)
        assert await soon(anext(view)) == Output(b"last words")
        assert await soon(anext(view)) == Ended(ExitStatus(code=3))
        with pytest.raises(TerminalClosedError):
            await view.write(b"too late")
        await ours.wait_ended(session.id)
        async with create_task_group() as tasks:
            tasks.start_soon(ours.resume_session, session.id)
            redraw = await soon(anext(view))
        (resumed,) = world.living()
        assert isinstance(redraw, Redraw)
        assert view.terminal is resumed
        assert resumed.sizes == {"me": OTHER}
        resumed.say(b"again")
        assert await soon(anext(view)) == Output(b"again")


async def test_a_size_given_after_the_end_is_that_of_the_next_process(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "me") as view:
        await soon(anext(view))
        terminal.end(code=0)
        assert await soon(anext(view)) == Ended(ExitStatus(code=0))
        await view.resize(OTHER)
        await ours.wait_ended(session.id)
        await ours.resume_session(session.id)
        assert isinstance(await soon(anext(view)), Redraw)
        assert world.living()[0].sizes == {"me": OTHER}


async def test_a_process_of_another_host_is_viewed_and_its_resume_there_is_followed(
    world: World, opened: Opens, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with opened(restore=False) as theirs, theirs.view(session.id) as view:
        assert await soon(anext(view)) == screen(b"")
        terminal.end(signal=9)
        assert await soon(anext(view)) == Ended(ExitStatus(signal=9))
        await ours.wait_ended(session.id)
        await ours.resume_session(session.id)
        assert isinstance(await soon(anext(view)), Redraw)
        assert view.terminal is world.living()[0]


async def test_a_view_ends_with_the_session(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id) as view:
        await soon(anext(view))
        await ours.destroy_session(session.id)
        assert await soon(anext(view)) == Ended(ExitStatus(signal=15))
        assert [item async for item in view] == []


async def test_after_another_owner_took_over_comes_a_fresh_screen(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id, "me", OTHER) as view:
        await soon(anext(view))
        terminal.say(b"mine ")
        assert await soon(anext(view)) == Output(b"mine ")

        async def reach_it() -> None:
            terminal.detached = False

        world.meanwhile["adopt"] = [reach_it]
        terminal.sizes.clear()
        world.take_away(session.id)
        assert await soon(anext(view)) == screen(b"mine ", OTHER, OTHER)
        assert terminal.sizes == {"me": OTHER}
        terminal.say(b"theirs")
        assert await soon(anext(view)) == Output(b"theirs")


async def test_an_end_that_only_the_record_tells_has_no_exit_status(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal, hasty: None
) -> None:
    async with ours.view(session.id) as view:
        await soon(anext(view))
        terminal.collected = True  # cannot be adopted any more
        world.take_away(session.id)
        world.write(a_session("one", id=session.id))
        assert await soon(anext(view)) == Ended(None)


async def test_an_exit_status_that_was_lost_is_not_known(
    ours: SessionManager,
    session: Session,
    terminal: FakeTerminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lost() -> ExitStatus:
        raise TerminalError("killed")

    async with ours.view(session.id) as view:
        await soon(anext(view))
        monkeypatch.setattr(terminal, "exited", lost)
        terminal.end(code=0)
        assert await soon(anext(view)) == Ended(None)


async def test_a_session_that_is_not_running_is_viewed_only_if_asked_for(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    terminal.say(b"last words")
    terminal.end(code=3)
    await ours.wait_ended(session.id)
    with pytest.raises(SessionNotRunningError, match="one"):
        async with ours.view(session.id):
            pytest.fail("it was opened")
    async with ours.view(session.id, ended=True) as view:
        assert await soon(anext(view)) == screen(b"last words")
        assert await soon(anext(view)) == Ended(ExitStatus(code=3))


async def test_a_process_that_only_another_host_can_show_is_refused_and_later_waited_for(
    world: World, ours: SessionManager, session: Session, terminal: FakeTerminal, hasty: None
) -> None:
    elsewhere = world.inhabit(as_running(a_session("two")).detail(terminal="unknown"))
    world.write(world.stored(session.id), elsewhere)
    with pytest.raises(SessionNotRunningError) as caught:
        async with ours.view(elsewhere.id):
            pytest.fail("it was opened")
    assert caught.value.elsewhere
    async with ours.view(session.id) as view, create_task_group() as tasks:
        await soon(anext(view))
        terminal.end(code=0)
        await soon(anext(view))
        ended = await ours.wait_ended(session.id)
        world.write(as_running(ended).detail(terminal="unknown"))
        shown: list[object] = []

        async def show() -> None:
            shown.append(await anext(view))

        tasks.start_soon(show)
        loads = world.loads
        while world.loads < loads + 3:
            await soon(wait_all_tasks_blocked())
        assert shown == []
        world.write(ended)
        await ours.load_sessions()
        await ours.resume_session(session.id)
        while not shown:
            await soon(wait_all_tasks_blocked())


async def test_without_screens_the_scrollback_is_shown_anew_after_a_gap(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    terminal.has_screen = False
    terminal.say(b"before")
    async with ours.view(session.id) as view:
        assert await soon(anext(view)) == Redraw(b"before", OWN)
        terminal.say(b"lost kept")
        terminal.lose(len(b"beforelost "))
        assert await soon(anext(view)) == Redraw(b"kept", OWN)
        terminal.say(b" on")
        assert await soon(anext(view)) == Output(b" on")


async def test_a_view_may_begin_with_the_scrollback(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    terminal.say(b"before")
    async with ours.view(session.id, scrollback=True) as view:
        assert await soon(anext(view)) == Output(b"before")
        terminal.say(b"lost kept")
        terminal.lose(len(b"beforelost "))
        assert await soon(anext(view)) == screen(b"beforelost kept")


async def test_text_is_decoded_across_pieces_and_begins_anew_with_a_screen(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    terminal.has_screen = False
    terminal.say("ä".encode()[:1])
    async with ours.view(session.id) as view:
        shown = view.text()
        assert await soon(anext(shown)) == Redraw("", OWN)
        terminal.say("ä€".encode()[1:3])
        assert await soon(anext(shown)) == Output("ä")
        terminal.say("€".encode()[1:2])
        assert await soon(anext(shown)) == Output("")
        terminal.say(b"lost new \xff")
        terminal.lose(len(terminal.output) - 5)
        assert await soon(anext(shown)) == Redraw("new \ufffd", OWN)
        terminal.end(code=0)
        assert await soon(anext(shown)) == Ended(ExitStatus(code=0))


async def cancelled_while_waiting(view: View) -> None:
    """Cancel an iteration once it waits."""
    with CancelScope() as scope:
        async with create_task_group() as tasks:

            async def cancel() -> None:
                await wait_all_tasks_blocked()
                scope.cancel()

            tasks.start_soon(cancel)
            await anext(view)
    assert scope.cancelled_caught


async def test_a_cancelled_iteration_goes_on_with_a_fresh_screen(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    async with ours.view(session.id) as view:
        await soon(anext(view))
        await cancelled_while_waiting(view)
        terminal.say(b"text")
        assert await soon(anext(view)) == screen(b"text")
        terminal.end(code=0)
        assert await soon(anext(view)) == Ended(ExitStatus(code=0))
        await ours.wait_ended(session.id)
        await cancelled_while_waiting(view)
        await ours.resume_session(session.id)
        assert isinstance(await soon(anext(view)), Redraw), "the end is not told again"


async def test_a_cancelled_view_leaves_nothing_behind(
    ours: SessionManager, session: Session, terminal: FakeTerminal
) -> None:
    attached = terminal.viewers
    with CancelScope() as scope:
        async with ours.view(session.id, "me", OTHER) as view:
            await soon(anext(view))
            assert terminal.viewers == attached + 1
            scope.cancel()
            await sleep_forever()
    assert terminal.sizes == {}
    assert terminal.leavers == ["me"]


async def test_a_view_of_a_closed_manager_raises(opened: Opens, world: World) -> None:
    told: list[object] = []

    async def watch(manager: SessionManager) -> None:
        async with manager.view(created.id) as view:
            told.extend([await anext(view), await anext(view)])
            with pytest.raises(ManagerClosedError):
                await anext(view)

    async with create_task_group() as tasks, opened() as closing:
        created = await closing.create_session("one")
        tasks.start_soon(watch, closing)
        await wait_all_tasks_blocked()
        terminal = world.living()[0]
        terminal.end(code=0)
        await wait_all_tasks_blocked()
    assert told == [Redraw(b"", OWN), Ended(ExitStatus(code=0))]
