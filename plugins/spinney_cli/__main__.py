"""``python -m spinney_cli``: the command where its script is not on the path."""

from spinney_cli import main

main()
