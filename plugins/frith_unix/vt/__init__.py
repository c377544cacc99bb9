"""What a terminal shows, worked out from what was written to it.

Needs nothing but the standard library. Sources: ECMA-48; "XTerm Control Sequences"; the state
machine is Paul Williams' "A parser for DEC's ANSI-compatible video terminals".
"""

from frith_unix.vt.emulator import Emulator
from frith_unix.vt.plain import SPECIAL, TAIL_A_CELL
from frith_unix.vt.render import render

__all__ = ["SPECIAL", "TAIL_A_CELL", "Emulator", "render"]
