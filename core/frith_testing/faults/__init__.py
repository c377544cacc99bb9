"""The fault laboratory: it makes system calls fail, kills processes, and damages files.

A :class:`~frith_testing.faults.scenario.Scenario` is an operation of a provider and the check that
follows it. Each module injects one kind of fault. The suites use them for providers that declare
the capability ``file-backed``; what a machine cannot run is skipped with the reason. See README.md.
"""
