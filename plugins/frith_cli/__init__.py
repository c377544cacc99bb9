"""The ``frith`` command: a host like any other, in a terminal."""
