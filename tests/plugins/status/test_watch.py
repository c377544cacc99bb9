"""A watch checks a process after events and when thresholds are due, and yields what is new."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import pytest
from anyio import move_on_after
from pydantic import ValidationError

from frith.model import SessionStatus, Source
from frith.ports import Conclusion, Foreground, Reading, Stuck
from frith_status.options import StatusOptions
from frith_status.watch import Watch

from .conftest import Watching

SLOW = {"settle": 0.05, "quiet": 3000.0, "idle": 3000.0}
UNTIL_MADE = "while ! [ -e made ]; do sleep 0.01; done"
WAITING = Conclusion(SessionStatus.WAITING, Source.TOLD, message="May I?")
WORKS = Conclusion(SessionStatus.ACTIVE, Source.TOLD, message="All is well")


async def test_a_notification_is_concluded_at_once_with_its_text(watching: Watching) -> None:
    script = r"printf '\033]777;notify;Agent;May I?\007'; exec sleep 100"
    async with watching("sh", "-c", script, **SLOW) as process:
        call = await process.until("waiting")
        assert (call.source, call.message) == (Source.TOLD, "Agent: May I?")


async def test_a_bell_followed_by_silence_is_a_call(watching: Watching) -> None:
    async with watching("sh", "-c", r"printf '\007'; exec sleep 100", **SLOW) as process:
        call = await process.until("waiting")
        assert (call.source, call.confidence) == (Source.TOLD, 0.6)


@pytest.mark.expensive("writes megabytes of output")
async def test_a_bell_before_a_flood_of_output_is_not_a_call(watching: Watching) -> None:
    script = r"printf '\007'; yes working | head -c 30000000; printf '\033]9;end\007'; cat"
    async with watching("sh", "-c", script, **{**SLOW, "settle": 5.0}) as process:
        assert (await process.until("waiting")).message == "end"


async def test_bells_in_a_flood_of_output_are_not_calls(watching: Watching) -> None:
    async with watching("sh", "-c", r"yes \"$(printf 'x\007')\"", **SLOW) as process:
        async with process.terminal.attach() as view:
            async for item in view:
                if item.offset > 10_000_000:
                    break
        process.watch.tell(WORKS)
        assert await process.next() == WORKS


async def test_a_mark_amid_output_is_checked_again_once_the_output_has_settled(
    watching: Watching,
) -> None:
    script = r"printf '\033]133;C\007'; sleep 0.1; read x"
    async with watching("sh", "-c", script, **{**SLOW, "settle": 2.0}) as process:
        assert (await process.until("waiting")).source is Source.PROCESS


async def test_prompt_marks_of_a_shell_report_when_it_waits_and_when_it_works(
    watching: Watching, tmp_path: Path
) -> None:
    script = (
        r"printf '\033]133;A\007$ \033]133;B\007'; read command;"
        rf"printf '\033]133;C\007'; {UNTIL_MADE};"
        r"printf '\033]133;D;0\007\033]133;A\007'; sleep 100"
    )
    async with watching("sh", "-c", script, **SLOW) as process:
        assert (await process.until("waiting")).source is Source.TOLD
        await process.terminal.write(b"make\n")
        assert (await process.until("active")).source is not Source.TOLD
        (tmp_path / "made").touch()
        assert (await process.until("waiting")).source is Source.TOLD


async def test_a_report_by_tell_holds_until_the_user_answers(watching: Watching) -> None:
    async with watching("sh", "-c", "read x; echo go; exec sleep 100", **SLOW) as process:
        await process.until("waiting")
        process.watch.tell(WAITING)
        assert await process.until("waiting") == WAITING
        await process.terminal.write(b"yes\n")
        assert (await process.until("active")).source is Source.PROCESS


async def test_a_later_watch_does_not_conclude_a_call_that_was_answered(
    watching: Watching,
) -> None:
    script = r"printf '\033]9;May I?\007'; read x; echo go; exec sleep 100"
    async with watching("sh", "-c", script, settle=0.05, quiet=3000.0, idle=0.3) as process:
        assert (await process.until("waiting")).source is Source.TOLD
        await process.terminal.write(b"yes\n")
        await process.until("active")
        async with process.again() as later:
            finding = await later.next()
            assert isinstance(finding, Conclusion)
            assert finding.status is SessionStatus.IDLE


async def test_a_later_watch_concludes_a_call_that_was_not_answered(watching: Watching) -> None:
    script = r"read x; printf '\033]9;May I?\007'; read x"
    async with watching("sh", "-c", script, **SLOW) as process:
        await process.terminal.write(b"on\n")
        while (await process.until("waiting")).message != "May I?":
            pass
        async with process.again() as later:
            call = await later.until("waiting")
            assert (call.source, call.message) == (Source.TOLD, "May I?")


async def test_a_question_on_the_screen_means_waiting_after_silence(watching: Watching) -> None:
    # Of a program that another user runs, only the screen is known.
    async with watching("sh", "-c", "printf 'Continue? '; read x", **SLOW) as process:
        found = await process.until("waiting")
        assert found.message == "Continue?"


async def test_configured_rules_come_before_the_built_in_ones(watching: Watching) -> None:
    rules = [{"program": "sh", "pattern": "Ready", "status": "idle"}]
    script = "echo Ready; sleep 100; :"
    async with watching("sh", "-c", script, rules=rules, **SLOW) as process:
        assert (await process.until("idle")).source is Source.SCREEN


async def test_silence_makes_a_process_idle_and_output_makes_it_active(
    watching: Watching, tmp_path: Path
) -> None:
    script = f"{UNTIL_MADE}; echo on; exec sleep 100"
    async with watching("sh", "-c", script, settle=0.05, quiet=0.1, idle=0.2) as process:
        assert (await process.until("idle")).source is Source.TIME
        (tmp_path / "made").touch()
        await process.until("active")
        await process.until("idle")


async def test_a_silent_program_that_is_seen_running_once_is_found_waiting(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {**SLOW, "quiet": 0.05}
    async with watching("sh", "-c", "echo on; exec sleep 100", **options) as process:
        looks = iter([Reading.NOT])

        async def foreground(_: object) -> Foreground:
            return Foreground(frozenset(), next(looks, Reading.ALSO), secret=False)

        monkeypatch.setattr(type(process.terminal), "foreground", foreground)
        assert (await process.until("waiting")).source is Source.PROCESS


async def test_a_process_that_stays_silent_is_reported_stuck_repeatedly(
    watching: Watching,
) -> None:
    options: dict[str, Any] = {**SLOW, "stuck": 0.2, "remind": 0.3}
    async with watching("sleep", "100", **options) as process:
        first, second = await process.next(), await process.next()
        assert isinstance(first, Stuck)
        assert isinstance(second, Stuck)
        assert first.silent >= 0.2
        assert second.silent >= 0.5


async def test_no_timer_runs_while_a_process_waits_for_the_user(watching: Watching) -> None:
    async with watching("cat", settle=0.05, stuck=0.1) as process:
        await process.until("waiting")
        assert isinstance(process.watch, Watch)
        with move_on_after(0.3):
            pytest.fail(f"{await process.next()} of a process that waits")
        assert process.watch._due() == inf


@pytest.mark.parametrize(
    "wrong", [{"quiet": 0}, {"rules": [{"program": "x", "pattern": "(", "status": "idle"}]}]
)
def test_an_invalid_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StatusOptions(**wrong)
