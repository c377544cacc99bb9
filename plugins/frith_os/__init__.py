"""Files, locks, processes and pseudo-terminals, for plugins and keepers; standard library only."""
