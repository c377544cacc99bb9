"""What the built-in providers share: private files, locks, commands, processes, readiness, screens.

No plugin: nothing is offered here. Other distributions may use it as they use the ports.
"""
