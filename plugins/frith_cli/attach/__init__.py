"""This terminal attached to the terminal of a session."""
