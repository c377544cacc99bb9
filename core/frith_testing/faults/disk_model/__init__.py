"""The possible states of a disk after a crash."""
