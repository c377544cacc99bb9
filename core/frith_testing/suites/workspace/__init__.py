"""The promises of workspace providers."""
