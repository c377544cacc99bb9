"""What a manager does, one verb a module."""
