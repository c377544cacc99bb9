"""The parts of the status provider's suite."""
