"""The promises of recovery providers."""
