"""The planted faults still fit the text of the tree, so that `python3 dev.py faults` can plant each of them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from planting import FAULTS
from run import misfits

LEAST = 40


def test_there_are_enough_faults_and_each_fits_the_text_of_the_tree():
    """Whoever changed such a line changes the fault too: it must stand in its file exactly once."""
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= LEAST
    assert misfits(FAULTS) == []
