"""A program of curses that uses what full-screen programs use; ends with `q`."""

from __future__ import annotations

import curses
import os
import sys


def main(window: curses.window) -> None:
    curses.start_color()
    curses.use_default_colors()
    for number in range(1, 16):
        curses.init_pair(number, number, 16 - number if number % 3 else -1)
    curses.mousemask(curses.ALL_MOUSE_EVENTS)
    window.keypad(True)
    sys.stdout.write("\x1b[?2004h")
    sys.stdout.flush()
    count = 0
    while True:
        window.erase()
        window.border()
        for number in range(1, 16):
            window.addstr(number, 3, f"colour {number} 漢字 é", curses.color_pair(number))
        window.addstr(17, 3, f"keys: {count}", curses.A_BOLD | curses.A_UNDERLINE)
        inner = window.derwin(3, 20, 18, 3)
        inner.setscrreg(0, 2)
        inner.scrollok(True)
        for line in range(count + 5):
            inner.addstr(f"scrolled {line}\n")
        window.move(17, 9)
        window.refresh()
        match window.getkey():
            case "q":
                return
            case "KEY_RESIZE":
                columns, rows = os.get_terminal_size(0)
                curses.resizeterm(rows, columns)
            case _:
                count += 1


curses.wrapper(main)
