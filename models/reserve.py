"""Demand response and reserves: power that a site sells not to draw when it is called, by block of hours."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from annotated_types import Gt, Le
from pydantic import model_validator

from models.base import Count, Instant, Name, NonNegative, PositiveCount, Record, Seconds, Text
from models.order import LimitOrder
from models.time_grid import TimeGrid

S_PER_H = 3600
HOURS_A_DAY = 24
W_PER_KW = 1000


class Reserve(Record):
    """A programme: miners are offered by block of local hours until its gate closes; what is awarded then must be kept.

    Blocks begin at local midnight and every `block_hours` on the clock. Only what mining draws above sleep is sold.
    """

    name: Name
    block_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 4
    gate_s: Seconds = 0
    """So long before its block an offer is final."""
    notice_s: Seconds
    """From a call until the power must be gone; the site's ramp must manage it in that time."""
    duration_s: Annotated[Seconds, Gt(0)]
    """A call lasts at most so long, and not beyond its block."""
    least_kw: PositiveCount = 1
    most_kw: PositiveCount = 1_000_000
    capacity_usd_per_mw_h: NonNegative
    energy_usd_per_mwh: NonNegative = 0.0
    """For energy that is not drawn in a call, on top of not paying for it."""
    calls_per_block: Annotated[NonNegative, Le(100)] = 0.0
    """Expected number of calls in a block."""
    mean_call_s: Seconds = 0
    claw_back_usd_per_mw_h: NonNegative
    """For what was awarded and is not kept, on top of the lost capacity payment."""
    source: Text = ""

    @model_validator(mode="after")
    def is_one_product(self) -> Self:
        """Refuse sizes that no offer can have, and calls that do not fit into a block."""
        if self.least_kw > self.most_kw:
            raise ValueError(f"reserve {self.name}: expected least_kw of at most most_kw {self.most_kw}, got {self.least_kw}")
        if self.mean_call_s > self.duration_s:
            raise ValueError(f"reserve {self.name}: expected mean_call_s of at most {self.duration_s} s, got {self.mean_call_s}")
        if self.calls_per_block * self.mean_call_s > self.block_hours * S_PER_H:
            raise ValueError(f"reserve {self.name}: expected calls last longer than the block of {self.block_hours} h")
        return self

    def blocks(self, zone: str, grid: TimeGrid) -> tuple[tuple[datetime, datetime], ...]:
        """Return start and end of every block that a horizon touches, in order."""
        return _blocks(zone, self.block_hours, grid)

    def block_at(self, zone: str, instant: datetime) -> tuple[datetime, datetime]:
        """Return start and end of the block in which an instant lies."""
        (block,) = _blocks(zone, self.block_hours, TimeGrid(start=instant.replace(microsecond=0), step_s=(60,)))[:1]
        return block

    def is_open(self, block: tuple[datetime, datetime], grid: TimeGrid) -> bool:
        """Whether a block may still be offered by a plan over a horizon, and lies in it as a whole."""
        begins, ends = block
        return grid.start < begins - timedelta(seconds=self.gate_s) and grid.start <= begins and ends <= grid.end


@lru_cache(maxsize=4_096)
def _blocks(zone: str, block_hours: int, grid: TimeGrid) -> tuple[tuple[datetime, datetime], ...]:
    place, marks = ZoneInfo(zone), set()
    day = grid.start.astimezone(place).date() - timedelta(days=1)
    last = grid.end.astimezone(place).date() + timedelta(days=2)
    while day <= last:
        hours = range(0, HOURS_A_DAY, block_hours)
        marks |= {datetime(day.year, day.month, day.day, h, tzinfo=place).astimezone(UTC) for h in hours}
        day += timedelta(days=1)
    ordered = sorted(marks)
    return tuple((begins, ends) for begins, ends in pairwise(ordered) if begins < grid.end and ends > grid.start)


class Award(Record):
    """What a site has sold of a reserve in the block that begins at `start`; it must be kept, or is clawed back."""

    site: Name
    reserve: Name
    start: Instant
    kw: Annotated[Count, Gt(0)]


class ToldAward(Record):
    """What a programme is told to have awarded a site in the block from `start` to `end`; 0 is nothing.

    It outranks what a plan takes as awarded: all that was offered when the gate closed.
    """

    name: Name
    site: Name
    reserve: Name
    start: Instant
    end: Instant
    kw: Count
    source: Text = ""


def call_order(award: Award, reserve: Reserve, *, name: str, called: datetime, ends: datetime, baseline_w: int) -> LimitOrder:
    """Return the order that a call is: from the end of its notice on, the draw stays the sold power below the baseline.

    called: when the call comes. ends: the end of the award's block; a call lasts no longer. baseline_w: what the site drew.

    Raises:
        ValueError: the notice ends after the block does.
    """
    begins = called + timedelta(seconds=reserve.notice_s)
    if begins >= ends:
        raise ValueError(f"call {name}: its notice of {reserve.notice_s} s ends at {begins}, after the block at {ends}")
    return LimitOrder(
        name=name,
        site=award.site,
        start=begins,
        end=min(ends, begins + timedelta(seconds=reserve.duration_s)),
        limit_w=max(0, baseline_w - award.kw * W_PER_KW),
        reason=f"call of {reserve.name}",
        reserve=reserve.name,
    )
