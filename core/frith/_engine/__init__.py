"""What runs while a manager is open."""
