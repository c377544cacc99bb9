"""The commands, by subject: coroutine functions that return the exit code."""
