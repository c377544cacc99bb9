"""The promises of each suite, in a package for each port."""
