"""The options of the terminal provider `pty`."""

from __future__ import annotations

from frith_terminals.options import TerminalOptions


class PtyOptions(TerminalOptions):
    """The options of the provider `pty`."""
