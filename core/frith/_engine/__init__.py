"""The parts of an open manager: ledger, claims, markers, processes, hooks, providers, tasks."""
