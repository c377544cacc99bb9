"""The shipped conformance suites."""
