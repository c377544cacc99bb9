"""``python -m frith_cli``: the command where its script is not on the path."""

from frith_cli.main import main

main()
