"""Limits, mounts and images of this machine, and processes that may have them."""
