"""The stronger source wins, and later observations outdate a report."""

from __future__ import annotations

from typing import Any

import pytest

from frith.model import SessionStatus, Source
from frith.ports import Conclusion, Foreground, Reading
from frith_status.conclude import Observation, Report, conclude
from frith_status.last_lines import LastLines
from frith_status.marks import Kind
from frith_status.options import Rule, StatusOptions
from frith_status.rules import Rules, built_in

OPTIONS = StatusOptions()
RULES = Rules([Rule(program="agent", pattern="Allow", status="waiting"), *built_in()])
CALL = Conclusion(SessionStatus.WAITING, Source.TOLD, 0.9, "Come")


def seen(output: bytes = b"", silent: float = 1.0, **foreground: Any) -> Observation:
    at = Foreground(**foreground) if foreground else None
    return Observation(
        now=1000.0, last_output=1000.0 - silent, foreground=at, screen=LastLines(output)
    )


def verdict(what: Observation, told: Report | None = None) -> tuple[str, str]:
    conclusion = conclude(what, told, RULES, OPTIONS)
    return conclusion.status.value, conclusion.source.value


def a_call(kind: Kind = Kind.CALL, **changes: Any) -> Report:
    return Report(**{"kind": kind, "conclusion": CALL, "at": 990.0, "written": 5, **changes})


def test_a_report_wins_over_everything_observed() -> None:
    busy = Report(Kind.STATED, Conclusion(SessionStatus.ACTIVE, Source.TOLD), 0.0, None)
    assert verdict(seen(b"Continue?", 900, reading=Reading.ONLY), busy) == ("active", "told")


def test_a_process_that_only_reads_waits_whatever_is_on_the_screen() -> None:
    assert verdict(seen(b"done", reading=Reading.ONLY)) == ("waiting", "process")
    assert verdict(seen(b"done", 9999, reading=Reading.ONLY)) == ("waiting", "process")


def test_a_process_that_does_not_read_is_active_whatever_is_on_the_screen() -> None:
    assert verdict(seen(b"Continue?", 60, reading=Reading.NOT)) == ("active", "process")


def test_a_terminal_that_hides_input_means_waiting_if_reads_are_unknown() -> None:
    assert verdict(seen(b"Password:", secret=True)) == ("waiting", "process")


def test_a_rule_for_the_program_applies_without_silence() -> None:
    here = {"reading": Reading.ALSO, "programs": frozenset({"node", "agent"})}
    assert verdict(seen(b"Allow this?", 0.3, **here)) == ("waiting", "screen")
    assert verdict(seen(b"Allow this?", 0.3, reading=Reading.ALSO)) == ("active", "time")


@pytest.mark.parametrize(("silent", "status"), [(9.9, "active"), (10.1, "waiting")])
def test_a_question_means_waiting_after_ten_seconds_of_silence(silent: float, status: str) -> None:
    assert verdict(seen(b"Continue?", silent))[0] == status


@pytest.mark.parametrize(("silent", "status"), [(9.9, "active"), (10.1, "waiting")])
def test_a_program_that_also_reads_waits_after_ten_seconds_of_silence(
    silent: float, status: str
) -> None:
    assert verdict(seen(b"anything", silent, reading=Reading.ALSO))[0] == status


def test_a_process_is_idle_after_five_minutes_of_silence() -> None:
    assert verdict(seen(b"done", 299)) == ("active", "time")
    assert verdict(seen(b"done", 301)) == ("idle", "time")
    assert verdict(seen(b"done", 301, reading=Reading.NOT)) == ("idle", "time")


def test_a_call_holds_until_the_user_answers_and_output_follows() -> None:
    assert not a_call().is_outdated_by(seen(silent=1, reading=Reading.ALSO, written=5))
    assert not a_call().is_outdated_by(seen(silent=20, reading=Reading.ALSO, written=6))
    assert a_call().is_outdated_by(seen(silent=1, reading=Reading.ALSO, written=6))
    assert not a_call().is_outdated_by(seen(silent=1, reading=Reading.ONLY, written=6))


def test_later_output_ends_a_call_if_input_is_not_counted() -> None:
    assert a_call(written=None).is_outdated_by(seen(silent=1))
    assert not a_call(written=None).is_outdated_by(seen(silent=9.5))


def test_a_prompt_holds_until_a_program_runs_that_does_not_read() -> None:
    prompt = a_call(Kind.PROMPT)
    assert not prompt.is_outdated_by(seen(silent=1, reading=Reading.ALSO, written=6))
    assert prompt.is_outdated_by(seen(silent=1, reading=Reading.NOT, written=6))


def test_progress_ends_when_a_process_only_reads() -> None:
    progress = a_call(Kind.PROGRESS)
    assert progress.is_outdated_by(seen(reading=Reading.ONLY))
    assert not progress.is_outdated_by(seen(reading=Reading.ALSO))


@pytest.mark.parametrize(
    ("program", "shown", "status"),
    [
        ("claude", "✻ Thinking… (3s · esc to interrupt)", SessionStatus.ACTIVE),
        ("claude", "Do you want to make this edit?\n❯ 1. Yes\n  2. No", SessionStatus.WAITING),
        ("codex", "> 1. Sign in with ChatGPT\n  Press enter to continue", SessionStatus.WAITING),
        ("codex", "• Working (2s • esc to interrupt)", SessionStatus.ACTIVE),
        ("gemini", "⠏ Thinking (esc to cancel, 3s)", SessionStatus.ACTIVE),
        ("gemini", "● 1. Login with Google\n  (Use Enter to select)", SessionStatus.WAITING),
        ("gemini", "nothing of the kind", None),
        ("other", "esc to interrupt", None),
    ],
)
def test_the_built_in_rules_recognize_coding_agents(
    program: str, shown: str, status: SessionStatus | None
) -> None:
    assert Rules(built_in()).status({program}, shown) is status
