"""``frith demo``: sessions from creation to removal in seconds, with a check of each step."""
