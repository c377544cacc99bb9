"""The keeper: one small process that is parent of a command and holds its terminal.

It outlives the host that started it, so it loads the standard library and nothing else; hosts
import :mod:`wire` and :mod:`ring`, which say how to speak to it. It
avoids what is slow to import, as typing and dataclasses are: each start and each keeper's memory
would pay for it.
"""
