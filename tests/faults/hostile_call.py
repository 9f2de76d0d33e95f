"""A child that does what a variable tells: the module that a server of children is asked to make one of."""

import os

BODY = "DASK_HOSTILE_BODY"
"""Nothing else of this process's environment than what begins so reaches a child."""


def main(parent: int) -> None:
    """Run the body."""
    exec(compile(os.environ[BODY], "body", "exec"), {"__name__": "__main__", "parent": parent})
