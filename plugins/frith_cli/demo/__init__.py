"""``frith demo``: the life of a session in seconds, with every claim checked."""
