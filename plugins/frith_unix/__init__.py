"""Private files and lock holders, until both are in frith_os."""
