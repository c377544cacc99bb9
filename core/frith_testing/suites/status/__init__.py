"""The promises of status providers."""
