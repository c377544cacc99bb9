"""The last lines that a program wrote, as text."""

from __future__ import annotations

import pytest

from frith_status.last_lines import LastLines


@pytest.mark.parametrize(
    ("output", "question"),
    [
        (b"Continue? ", "Continue?"),
        (b"\x1b[1mProceed\x1b[0m [y/N] ", "Proceed [y/N]"),
        (b"Password: ", "Password:"),
        (b"Are you sure (yes/no/[fingerprint])? ", "Are you sure (yes/no/[fingerprint])?"),
        (b"\x1b[2GMay\x1b[6GI?\r\n", "May I?"),
        (b"100 files done\r\n", None),
        (b"$ ", None),
        (b"", None),
    ],
)
def test_the_last_line_may_be_a_question(output: bytes, question: str | None) -> None:
    assert LastLines(output).question == question


@pytest.mark.parametrize("prompt", [b"$ ", b"# ", b">>> ", b"(gdb) >", "❯ ".encode(), b"name: "])
def test_the_last_line_may_be_a_prompt(prompt: bytes) -> None:
    assert LastLines(b"before\r\n" + prompt).prompts


def test_text_at_different_cursor_positions_is_on_different_lines() -> None:
    screen = LastLines(b"\x1b[2J\x1b[1;1HTitle\x1b[5;1H> 1. Yes\x1b[6;1H  2. No\x1b[24;1H\x1b[K")
    assert screen.text == "Title\n> 1. Yes\n  2. No"


def test_an_overwritten_line_is_not_joined_to_its_previous_text() -> None:
    assert LastLines(b"50%\r100%\r\nok").text.splitlines()[-2:] == ["100%", "ok"]


def test_titles_and_colours_are_not_text() -> None:
    assert LastLines(b"\x1b]0;title\x07\x1b[38;5;1mred\x1b[0m").text == "red"


def test_a_question_is_cut_to_two_hundred_characters() -> None:
    assert len(LastLines(b"x" * 5000 + b"?").question or "") == 200
