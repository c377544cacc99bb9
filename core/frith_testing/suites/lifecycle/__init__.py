"""The promises of plugins with lifecycle hooks."""
