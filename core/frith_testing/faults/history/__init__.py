"""The operations of several processes on a store, and the check that they fit one order."""
