"""The last lines that a program wrote, as text."""

from __future__ import annotations

import pytest

from frith_status._screen import Screen


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
def test_a_last_line_that_asks_is_a_question(output: bytes, question: str | None) -> None:
    assert Screen(output).question == question


@pytest.mark.parametrize("prompt", [b"$ ", b"# ", b">>> ", b"(gdb) >", "❯ ".encode(), b"name: "])
def test_a_last_line_may_end_like_a_prompt(prompt: bytes) -> None:
    assert Screen(b"before\r\n" + prompt).prompts


def test_pieces_of_a_full_screen_stay_apart() -> None:
    screen = Screen(b"\x1b[2J\x1b[1;1HTitle\x1b[5;1H> 1. Yes\x1b[6;1H  2. No\x1b[24;1H\x1b[K")
    assert screen.text == "Title\n> 1. Yes\n  2. No"


def test_a_line_that_is_written_anew_is_not_joined_to_what_it_was() -> None:
    assert Screen(b"50%\r100%\r\nok").text.splitlines()[-2:] == ["100%", "ok"]


def test_titles_and_colours_are_no_text() -> None:
    assert Screen(b"\x1b]0;title\x07\x1b[38;5;1mred\x1b[0m").text == "red"


def test_a_question_is_cut_to_what_fits_a_line() -> None:
    assert len(Screen(b"x" * 5000 + b"?").question or "") == 200
