"""The parts of the workspace's suite."""
