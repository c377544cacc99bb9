"""The parts of the store's suite."""
