"""What may run at all: blocks and nodes out of service for a while, and counts that a person has pinned."""

from typing import Annotated, Self

from annotated_types import Len
from pydantic import model_validator

from models.base import Count, Instant, Name, PositiveCount, Record, Text, iso

MOST_OUTAGES = 10_000
MOST_PINS = 1_000
"""As many as one problem takes: one more and no plan could be made."""


class Outage(Record):
    """`count` blocks or nodes of a machine are out of service from `start` until `end` (open if absent): maintenance, lock-out.

    A step that the outage touches at all is without them for its whole length. Outages of one machine add up. Blocks out
    of service still count with their sleep power, since their control boards and fans may stay live; which blocks they
    are is not said, so that resting ones are among them where there are any.
    """

    name: Name
    site: Name
    machine: Name
    """An ASIC group or a GPU pool of the site."""
    count: PositiveCount
    start: Instant
    end: Instant | None = None
    reason: Text = ""

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Self:
        """Refuse an outage that ends before it starts."""
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"outage {self.name}: expected end after start {iso(self.start)}, got {iso(self.end)}")
        return self


class Pin(Record):
    """Exactly `count` blocks of a group hash in `mode` (in any, if absent), or nodes of a pool are on, until `expires`.

    It holds from the start of the plan, in every step that begins before it expires. Physics, grid limits and minimum
    runs outrank it: where they meet, it gives way, and the plan says so.
    """

    name: Name
    owner: Annotated[Text, Len(1)]
    site: Name
    machine: Name
    """An ASIC group or a GPU pool of the site."""
    mode: Name | None = None
    count: Count
    expires: Instant
    reason: Text = ""
