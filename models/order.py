"""Limit orders: a utility or an operator caps a site for a while."""

from typing import Self

from pydantic import model_validator

from models.base import Instant, Name, Record, Text, Watts, iso

MOST_ORDERS = 1_000
"""As many as one problem takes: one more and no plan could be made."""


class LimitOrder(Record):
    """Draw of a site from `start` until `end` (open if absent) must not exceed `limit_w`; 0 makes it dark.

    A step that the order touches at all is under it for its whole length. `reserve` names the programme whose call it is.
    """

    name: Name
    site: Name
    start: Instant
    end: Instant | None = None
    limit_w: Watts
    reason: Text = ""
    reserve: Name | None = None

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Self:
        """Refuse an order that ends before it starts."""
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"order {self.name}: expected end after start {iso(self.start)}, got {iso(self.end)}")
        return self
