"""Attaching this terminal to the terminal of a session."""
