"""The last lines that a program wrote, as plain text.

This is not a terminal emulator: a cursor movement starts a new line, which keeps the parts of a
full-screen program apart and suffices to find a question or the pattern of a rule.
"""

from __future__ import annotations

import re

LENGTH = 8192
"""Bytes of output that are read."""
_LINES = 24

_JUMPS = re.compile(r"\x1b\[[\d;]*[ABEFHdf]|\r(?!\n)|\x1b[78DEM]")
_GAPS = re.compile(r"\x1b\[\d*[CG]")
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_QUESTION = re.compile(r"[?:]\s*$|\[[yn]/[yn]\]|\([yn]/[yn]\)|\(yes/no", re.IGNORECASE)
_PROMPT = re.compile(r"[?:>$#%❯›»]\s*$|\[[yn]/[yn]\]|\([yn]/[yn]\)|\(yes/no", re.IGNORECASE)
_LONGEST_QUESTION = 200


class LastLines:
    """The last non-empty lines of ``output``, at most 24, without control sequences."""

    def __init__(self, output: bytes) -> None:
        text = output[-LENGTH:].decode(errors="replace")
        text = _SEQUENCES.sub("", _GAPS.sub(" ", _JUMPS.sub("\n", text)))
        lines = [_CONTROLS.sub("", line).rstrip() for line in text.split("\n")]
        self._lines = [line for line in lines if line][-_LINES:]

    @property
    def text(self) -> str:
        """The lines, joined by newlines."""
        return "\n".join(self._lines)

    @property
    def question(self) -> str | None:
        """The last line if it is a question; at most its last 200 characters."""
        last = self._lines[-1].strip() if self._lines else ""
        return last[-_LONGEST_QUESTION:] if _QUESTION.search(last) else None

    @property
    def prompts(self) -> bool:
        """Whether the last line is a question or ends like a prompt."""
        return bool(self._lines) and _PROMPT.search(self._lines[-1]) is not None
