"""The keeper: one small process that is parent of a command and holds its terminal.

It outlives the host that started it, so it loads the standard library and nothing else; hosts
import :mod:`wire` and :mod:`ring`, which say how to speak to it.
"""
