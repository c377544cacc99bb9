"""Code that the terminal providers share in the host. Not a plugin: it offers no provider."""
