"""What the suites share: the base classes, the report, and means to observe a provider."""
