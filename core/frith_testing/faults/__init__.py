"""The fault laboratory: what a provider must survive, done to it on purpose.

A :class:`~frith_testing.faults.scenario.Scenario` is a piece of a provider's work; each module
here throws one kind of fault at it. The suites use them where a provider declares the capability
that they rely on; what a machine cannot run is skipped with its reason, never silently.
"""
