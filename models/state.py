"""What is measured, acknowledged or commanded at the start of a plan."""

from typing import Annotated, Literal, Self

from annotated_types import Gt, Le, Len
from pydantic import model_validator

from models.base import Count, Instant, Name, Record, Watts, Work
from models.billing import Months
from models.service_level import PeriodsWork

StateSource = Literal["measured", "acknowledged", "commanded", "assumed"]


class Cohort(Record):
    """Blocks or nodes that changed together: how many, and when."""

    count: Annotated[int, Gt(0), Le(1_000_000)]
    since: Instant


Cohorts = Annotated[tuple[Cohort, ...], Len(0, 10_000)]


class GroupState(Record):
    """Blocks of an ASIC group by mode, when those that run were started, and when the others were stopped.

    `starts_today` counts block starts since the local midnight before `State.at`.
    """

    mode_blocks: dict[Name, Count] = {}
    started: Cohorts = ()
    stopped: Cohorts = ()
    starts_today: Count = 0

    @property
    def running(self) -> int:
        """Blocks that hash in any mode."""
        return sum(self.mode_blocks.values())

    @model_validator(mode="after")
    def cohorts_add_up(self) -> Self:
        """Refuse start times that are not there for each running block."""
        if (dated := sum(c.count for c in self.started)) != self.running:
            raise ValueError(f"started: expected start times of {self.running} running blocks, got {dated}")
        return self


class PoolState(Record):
    """Nodes of a GPU pool that are on, by the time they were started, and how many others are warm."""

    started: Cohorts = ()
    nodes_warm: Count = 0

    @property
    def nodes_on(self) -> int:
        """Nodes that are on, serving or loading."""
        return sum(c.count for c in self.started)


class SiteState(Record):
    """One site: its draw at the meter, what the meter has counted by month, and its machines.

    `months` holds the present month so far and the months before it that a contract may still look back on.
    """

    draw_w: Watts
    months: Months = {}
    groups: dict[Name, GroupState] = {}
    pools: dict[Name, PoolState] = {}
    source: StateSource = "assumed"
    as_of: Instant


class Lot(Record):
    """Batch work that waits, and when it is due."""

    work: Work
    due: Instant


class State(Record):
    """All sites at one instant, the batch work that waits, and what of each service level's period is done.

    `service` holds, by workload, work of the present and of later periods that this plan does not decide.
    """

    at: Instant
    sites: dict[Name, SiteState]
    backlog: dict[Name, Annotated[tuple[Lot, ...], Len(0, 10_000)]] = {}
    service: dict[Name, PeriodsWork] = {}
