"""`python -m shop …`: the command line."""

from shop.cli import main

main()
