"""The promises of terminal providers."""
