"""The promises of each suite, a package for each port."""
