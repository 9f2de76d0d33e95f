"""`python -m service.cli` is `wattsplit`."""

from service.cli import main

main()
