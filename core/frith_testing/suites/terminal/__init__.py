"""The parts of the terminal's suite."""
