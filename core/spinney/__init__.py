"""Session manager for parallel development work: a small core plus plugins."""
