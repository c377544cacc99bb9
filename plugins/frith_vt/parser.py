"""Splits a stream of bytes into text, control characters and sequences, wherever it is cut."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frith_vt.emulator import Emulator

_LONGEST = 256
"""Characters of parameters; a longer sequence is ignored."""
_LONGEST_STRING = 4096

_PIECE = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]{1,256})"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f-\x9f])"
    r"|\x1b\[(?P<body>[ -?]*)(?P<final>[@-~])"
)
_BODY = re.compile(r"([<=>?]?)([0-9;:]*)([ -/]*)")
_IN_STRING = re.compile(r"[^\x07\x18\x1a\x1b]*")
_STRINGS = {"]": "osc", "P": "dcs", "X": "sos", "^": "pm", "_": "apc"}
_CANCEL = ("\x18", "\x1a")
_HARMLESS = {"]": "\x1b]999;"}
"""The begin of a string without effect, in place of one that is too long to be repeated."""


class _State(Enum):
    GROUND = auto()
    ESCAPE = auto()
    CONTROL = auto()
    STRING = auto()


class Parser:
    """The state between two pieces of output."""

    def __init__(self, emulator: Emulator) -> None:
        """Call ``emulator`` with each piece."""
        self._emulator = emulator
        self.reset()

    def reset(self) -> None:
        """Drop an unfinished sequence, and what is not interpreted yet."""
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begin(_State.GROUND)

    @property
    def at_rest(self) -> bool:
        """Whether no sequence and no character is unfinished."""
        return self._state is _State.GROUND and not self._rest and not self._decoder.getstate()[0]

    @property
    def unfinished(self) -> bytes:
        """An unfinished sequence: written to a terminal, the rest completes it."""
        begun = {
            _State.GROUND: "",
            _State.ESCAPE: "\x1b" + self._body,
            _State.CONTROL: "\x1b[" + self._body,
            _State.STRING: f"\x1b{self._kind}{self._body}",
        }[self._state]
        if len(self._body) >= _LONGEST_STRING:
            begun = _HARMLESS.get(self._kind, "\x1bX")
        return begun.encode() + self._decoder.getstate()[0]

    def feed(self, data: bytes, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Split ``data``, after what was left, until ``is_over``; return whether nothing is left.

        One piece is always taken. What is left is taken by the next call.
        """
        text = self._rest + self._decoder.decode(data)
        at, end = 0, len(text)
        while at < end:
            at = self._take(text, at)
            if is_over():
                break
        self._rest = text[at:]
        return not self._rest

    def _take(self, text: str, at: int) -> int:
        """Take one piece of ``text``; return where the next one begins."""
        if self._state is _State.GROUND:
            if piece := _PIECE.match(text, at):
                self._found(piece)
                return piece.end()
            self._begin(_State.ESCAPE)
        elif self._state is _State.STRING:
            stop = _IN_STRING.match(text, at).end()  # type: ignore[union-attr]
            self._body += text[at : min(stop, at + _LONGEST_STRING - len(self._body))]
            if stop == len(text):
                return stop
            self._end_string(text[stop])
            return stop + 1
        else:
            self._step(text[at])
        return at + 1

    def _found(self, piece: re.Match[str]) -> None:
        match piece.lastgroup:
            case "text":
                self._emulator.text(piece["text"])
            case "control":
                self._emulator.execute(piece["control"])
            case _:
                self._control(piece["body"], piece["final"])

    def _begin(self, state: _State, kind: str = "") -> None:
        self._state, self._kind, self._body = state, kind, ""

    def _step(self, char: str) -> None:
        """Take one character within a sequence."""
        if char == "\x1b":
            self._begin(_State.ESCAPE)
        elif char in _CANCEL:
            self._begin(_State.GROUND)
        elif char < " ":
            self._emulator.execute(char)
        elif char >= "\x7f":
            pass
        elif self._state is _State.CONTROL:
            if char >= "@":
                body = self._body
                self._begin(_State.GROUND)
                self._control(body, char)
            elif len(self._body) <= _LONGEST:
                self._body += char
        elif char < "0":
            self._body = (self._body + char)[:2]
        elif char == "[" and not self._body:
            self._begin(_State.CONTROL)
        elif char in _STRINGS and not self._body:
            self._begin(_State.STRING, char)
        else:
            sequence = self._body + char
            self._begin(_State.GROUND)
            self._emulator.escape(sequence)

    def _control(self, body: str, final: str) -> None:
        if len(body) <= _LONGEST and (parts := _BODY.fullmatch(body)):
            marker, parameters, intermediates = parts.groups()
            self._emulator.control(marker + intermediates + final, parameters)

    def _end_string(self, char: str) -> None:
        kind, body = self._kind, self._body
        if char == "\x07" and kind != "]":
            self._body = (body + char)[:_LONGEST_STRING]
            return
        self._begin(_State.ESCAPE if char == "\x1b" else _State.GROUND)
        if char not in _CANCEL and len(body) < _LONGEST_STRING:
            self._emulator.string(kind, body)
