"""One process on a pseudo-terminal, without an event loop: its owner waits and calls.

The terminal `pty` drives it from the host's event loop, a keeper from its own.
"""
