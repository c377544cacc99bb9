"""The parts of the suite of lifecycle plugins."""
