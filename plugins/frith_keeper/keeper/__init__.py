"""The keeper: one small process that is parent of a command and holds its terminal.

It outlives the host that started it, so it loads the standard library and ``frith_os`` only, and
nothing that is slow to import, such as typing and dataclasses: each start and each keeper's memory
would pay for it.
"""
