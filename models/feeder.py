"""Feeders: the wires between a site's meter and its machines, each with a limit of its own."""

from collections.abc import Sequence
from typing import Annotated, Literal

from annotated_types import Gt, Len

from models.base import Name, Record, Text, Watts


class Feeder(Record):
    """What carries power to its members: ASIC groups, GPU pools, or other feeders that stand before it in the list.

    All metered power of the members, their cooling included, stays within `limit_w` in every step. A feeder whose limit
    in a step lies below what its sleeping members draw is dead in it, and so is all that hangs on it: nothing draws there.
    """

    name: Name
    kind: Literal["device", "container", "transformer", "line"] = "transformer"
    limit_w: Annotated[Watts, Gt(0)]
    members: Annotated[tuple[Name, ...], Len(1, 200)]
    source: Text = ""

    def below(self, feeders: "Sequence[Feeder]") -> tuple[str, ...]:
        """Return the machines that hang on it, at any depth, given all feeders of the site."""
        known = {feeder.name: feeder for feeder in feeders}
        return tuple(name for m in self.members for name in (known[m].below(feeders) if m in known else (m,)))
