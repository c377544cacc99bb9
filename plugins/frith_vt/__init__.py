"""A terminal emulator: the screen that some output produces.

It imports the standard library only. Sources: ECMA-48; "XTerm Control Sequences"; the state
machine is Paul Williams' "A parser for DEC's ANSI-compatible video terminals".
"""

from frith_vt.answers import fixed_answer
from frith_vt.emulator import Emulator
from frith_vt.picture import Picture
from frith_vt.render import render

__all__ = ["Emulator", "Picture", "fixed_answer", "render"]
