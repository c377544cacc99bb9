"""Shared by the suites: the base classes, the report, and means to observe a provider."""
