"""Mounts, disk images and resource limits, and the processes that they apply to."""
