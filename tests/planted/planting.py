"""Planted faults: single mistakes in formulation and audit that the tests must notice, as `faults.txt` lists them.

A fault is a name, a file, the text that stands there exactly once, and what somebody could have written instead. Whoever
changes such a line changes it there too: `run.py` names every fault whose text is not there just once. What a fault leaves
valid (a rule that binds nowhere, an equal optimum) would be no fault; each of these makes some plan wrong, worse than it is
said to be, or not refused.
"""

from pathlib import Path
from typing import NamedTuple

LISTED = Path(__file__).with_name("faults.txt")


class Fault(NamedTuple):
    """One mistake: where, what stands there, and what is put in its place."""

    name: str
    file: str
    old: str
    new: str


def listed(text: str) -> tuple[Fault, ...]:
    """Read faults of four lines each, parted by an empty one: name, file, `- ` and the old text, `+ ` and the new.

    Raises:
        ValueError: a fault is not written so.
    """
    found = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        if len(lines) != 4 or not lines[2].startswith("- ") or not lines[3].startswith("+"):
            raise ValueError(f"expected four lines, name, file, `- old` and `+ new`, got {block!r}")
        found.append(Fault(lines[0], lines[1], lines[2][2:], lines[3][2:]))
    return tuple(found)


FAULTS = listed(LISTED.read_text())
