"""The parts of the recovery's suite."""
