"""The implementations of the commands, by subject. Each function returns the exit code."""
