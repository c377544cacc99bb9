"""What several processes did to a store, and whether it fits one order."""
