"""What one look at all series came to: the inputs of one planning run."""

from dataclasses import dataclass, field

from models.availability import Outage, Pin
from models.fleet import Fleet
from models.market import DifficultyStep
from models.order import LimitOrder
from models.problem import Label, Problem
from models.reserve import Award, ToldAward
from models.state import State
from models.time_grid import TimeGrid
from service.reserve_carry import with_told


@dataclass(frozen=True)
class Gathered:
    """The series of a fleet over a grid, the sites without usable input and why, and notes for the plan's readers."""

    grid: TimeGrid
    fleet: Fleet
    hashprice_usd_per_ph_day: tuple[float, ...]
    prices_usd_per_mwh: dict[str, tuple[float, ...]]
    usd_per_unit: dict[str, tuple[float, ...]]
    carbon_kg_per_mwh: dict[str, tuple[float, ...]]
    ambient_c: dict[str, tuple[float, ...]]
    limit_w: dict[str, tuple[int, ...]]
    demand_work_per_h: dict[str, tuple[int, ...]]
    feeder_limit_w: dict[str, dict[str, tuple[int, ...]]]
    orders: tuple[LimitOrder, ...]
    outages: tuple[Outage, ...]
    pins: tuple[Pin, ...]
    awards: tuple[ToldAward, ...] = ()
    difficulty_steps: tuple[DifficultyStep, ...] = ()
    excluded: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)

    def problem(self, state: State, awards: tuple[Award, ...] = ()) -> Problem:
        """Return the problem that these inputs and a state make; of `awards`, which is assumed, what was told is replaced."""
        return Problem(
            name=self.fleet.name, grid=self.grid, fleet=self.fleet,
            hashprice_usd_per_ph_day=self.hashprice_usd_per_ph_day, difficulty_steps=self.difficulty_steps,
            prices_usd_per_mwh=self.prices_usd_per_mwh,
            usd_per_unit=self.usd_per_unit, carbon_kg_per_mwh=self.carbon_kg_per_mwh, ambient_c=self.ambient_c,
            limit_w=self.limit_w, feeder_limit_w=self.feeder_limit_w, demand_work_per_h=self.demand_work_per_h,
            orders=self.orders, awards=with_told(awards, self.awards), outages=self.outages, pins=self.pins, state=state,
            labels=self.labels, sources=self.sources,
        )  # fmt: skip
