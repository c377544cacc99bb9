"""What terminal providers of this machine share: commands, processes, readiness, screens.

No plugin: nothing is offered here. Other distributions may use it as they use the ports.
"""
