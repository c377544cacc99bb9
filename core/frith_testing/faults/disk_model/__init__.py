"""What a disk may hold after a crash."""
