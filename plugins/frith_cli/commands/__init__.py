"""What the commands do, by subject. Each function returns the exit code."""
