"""`python -m mambino.cli`."""

from mambino.cli.main import main

main()
