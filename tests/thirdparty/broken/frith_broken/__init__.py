"""A plugin of frith that cannot be imported."""

raise ImportError("a library that this plugin needs is not installed")
