"""The command line `wattsplit`: thin commands over the optimiser, the scenarios and the running service."""

import sys


def main() -> None:
    """Run the command line and leave with its exit code; what is heavy is imported by the command that needs it."""
    from service.cli.app import run

    sys.exit(run(sys.argv[1:]))
