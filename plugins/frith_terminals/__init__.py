"""What the terminal providers share on the host's side. Not a plugin: it offers no provider."""
