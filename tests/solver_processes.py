"""Solver children of this process that are alive; a browser or a database that other tests keep open is none of them."""

import contextlib
import sys

import psutil

from optimizer.child import TOKEN

SLEEPS = (sys.executable, "-c", "import time; time.sleep(1000)")
"""A child that never has the time."""


def solver_children() -> list[psutil.Process]:
    """Return all living descendants of this process that carry the mark of a contained child."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE and TOKEN in child.environ():
                found.append(child)
    return found
