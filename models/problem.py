"""Everything that one plan needs: validated, frozen and complete before a solver is involved."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from annotated_types import Gt, Le, Len
from pydantic import model_validator

from models.asic import AsicGroup
from models.availability import MOST_OUTAGES, MOST_PINS, Outage, Pin
from models.base import (
    MAX_STEPS,
    AmbientSeries,
    HashpriceSeries,
    Name,
    PriceSeries,
    Record,
    Text,
    WattSeries,
    WorkSeries,
    iso,
    repeated,
)
from models.billing import month_of
from models.carbon import KgPerMwh
from models.contract import Currency, ForeignPrice, energy_price_usd_per_mwh
from models.digest import digest
from models.fleet import Fleet
from models.gpu import GpuPool
from models.market import DifficultyStep, stepped_hashprice
from models.order import MOST_ORDERS, LimitOrder
from models.outlook import Outlook
from models.reserve import Award
from models.site import Site
from models.state import SiteState, State
from models.time_grid import TimeGrid

RateSeries = Annotated[tuple[Annotated[float, Gt(0), Le(1_000)], ...], Len(1, MAX_STEPS)]
CarbonSeries = Annotated[tuple[KgPerMwh, ...], Len(1, MAX_STEPS)]
Label = Literal["replayed", "forecast", "what-if"]
OLD_STATE = timedelta(days=7)
"""Age from which a state is pointed out: minimum runs are long over by then, and nobody looked since."""


class Problem(Record):
    """Fleet, time grid, one value per step of every series, orders in force, and the state at the start.

    Series have one value per step of `grid`. `limit_w` names only the sites whose limit differs from their connection;
    `feeder_limit_w` names, by site, only the feeders whose limit varies.
    `demand_work_per_h` is the average rate over each step: what is asked of interactive and reserved workloads,
    what arrives of batch ones. `usd_per_unit` are exchange rates by currency. `outlook` names the sites for which periods
    longer than the horizon were looked at (`optimizer.look_ahead`); the others owe them pro rata. `labels` say what a reader
    must know of the input, such as `replayed`.
    """

    schema_version: Literal[1] = 1
    name: Name
    grid: TimeGrid
    fleet: Fleet
    hashprice_usd_per_ph_day: HashpriceSeries
    difficulty_steps: Annotated[tuple[DifficultyStep, ...], Len(0, 100)] = ()
    """Known changes that `hashprice_usd_per_ph_day` does not tell: what is paid for hash follows from both."""
    prices_usd_per_mwh: dict[Name, PriceSeries] = {}
    usd_per_unit: dict[Currency, RateSeries] = {}
    carbon_kg_per_mwh: dict[Name, CarbonSeries] = {}
    ambient_c: dict[Name, AmbientSeries]
    limit_w: dict[Name, WattSeries] = {}
    feeder_limit_w: dict[Name, dict[Name, WattSeries]] = {}
    demand_work_per_h: dict[Name, WorkSeries] = {}
    orders: Annotated[tuple[LimitOrder, ...], Len(0, MOST_ORDERS)] = ()
    outages: Annotated[tuple[Outage, ...], Len(0, MOST_OUTAGES)] = ()
    pins: Annotated[tuple[Pin, ...], Len(0, MOST_PINS)] = ()
    outlook: dict[Name, Outlook] = {}
    awards: Annotated[tuple[Award, ...], Len(0, 10_000)] = ()
    state: State
    labels: tuple[Label, ...] = ()
    sources: dict[Name, Text] = {}

    @model_validator(mode="after")
    def is_complete(self) -> Self:
        """Refuse a problem with anything missing, superfluous or of the wrong length; every fault is named."""
        if faults := list(self._faults()):
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        sites = {s.name for s in self.fleet.sites}
        workloads = {w.name for w in self.fleet.workloads}
        indexes = {name for s in self.fleet.sites for name in s.price_names}
        yield from self._wrong_lengths()
        yield from _names("prices_usd_per_mwh", self.prices_usd_per_mwh, needed=indexes)
        currencies = {s.contract.currency for s in self.fleet.sites if isinstance(s.contract, ForeignPrice)}
        yield from _names("usd_per_unit", self.usd_per_unit, needed=currencies)
        intensities = {s.carbon.intensity for s in self.fleet.sites if s.carbon and s.carbon.intensity}
        yield from _names("carbon_kg_per_mwh", self.carbon_kg_per_mwh, needed=intensities)
        yield from _names("ambient_c", self.ambient_c, needed={s.ambient for s in self.fleet.sites})
        yield from _names("demand_work_per_h", self.demand_work_per_h, needed=workloads, allowed=workloads)
        yield from _names("limit_w", self.limit_w, needed=set(), allowed=sites)
        yield from _names("feeder_limit_w", self.feeder_limit_w, needed=set(), allowed=sites)
        for site in self.fleet.sites:
            given = self.feeder_limit_w.get(site.name, {})
            yield from _names(f"feeder_limit_w.{site.name}", given, needed=set(), allowed={f.name for f in site.feeders})
        yield from (f"orders: {o.name} is for unknown site {o.site}" for o in self.orders if o.site not in sites)
        if twice := repeated(iso(step.at) for step in self.difficulty_steps):
            yield f"difficulty_steps: expected one change at an instant, got more at {twice}"
        if twice := repeated(o.name for o in self.orders):
            yield f"orders: names must differ, got {twice} twice"
        yield from self._availability_faults()
        yield from self._outlook_faults(sites)
        yield from self._reserve_faults()
        yield from self._state_faults(sites)

    def _wrong_lengths(self) -> Iterator[str]:
        steps = self.grid.steps
        named: dict[str, Sequence[float]] = {"hashprice_usd_per_ph_day": self.hashprice_usd_per_ph_day}
        families: tuple[tuple[str, Mapping[str, Sequence[float]]], ...] = (
            ("prices_usd_per_mwh", self.prices_usd_per_mwh),
            ("usd_per_unit", self.usd_per_unit),
            ("carbon_kg_per_mwh", self.carbon_kg_per_mwh),
            ("ambient_c", self.ambient_c),
            ("limit_w", self.limit_w),
            ("demand_work_per_h", self.demand_work_per_h),
        )
        for family, members in families:
            named |= {f"{family}.{name}": values for name, values in members.items()}
        for site_name, series in self.feeder_limit_w.items():
            named |= {f"feeder_limit_w.{site_name}.{name}": values for name, values in series.items()}
        for name, values in named.items():
            if len(values) != steps:
                missing = f"; the first missing step starts {iso(self.grid.starts[len(values)])}" if len(values) < steps else ""
                yield f"{name}: expected {steps} values, one per step, got {len(values)}{missing}"

    def _availability_faults(self) -> Iterator[str]:
        if twice := repeated(o.name for o in self.outages):
            yield f"outages: names must differ, got {twice} twice"
        if twice := repeated(pin.name for pin in self.pins):
            yield f"pins: names must differ, got {twice} twice"
        machines: dict[tuple[str, str], AsicGroup | GpuPool] = {}
        for site in self.fleet.sites:
            machines |= {(site.name, group.name): group for group in site.asic_groups}
            machines |= {(site.name, pool.name): pool for pool in site.gpu_pools}
        entries: tuple[Outage | Pin, ...] = (*self.outages, *self.pins)
        for entry in entries:
            what = "outages" if isinstance(entry, Outage) else "pins"
            if (machine := machines.get((entry.site, entry.machine))) is None:
                yield f"{what}: {entry.name} is for unknown machine {entry.site}/{entry.machine}"
                continue
            there = machine.blocks if isinstance(machine, AsicGroup) else machine.nodes
            if entry.count > there:
                yield f"{what}: {entry.name} is for {entry.count} of {entry.site}/{entry.machine}, which has {there}"
            modes = [mode.name for mode in machine.modes] if isinstance(machine, AsicGroup) else []
            if isinstance(entry, Pin) and entry.mode is not None and entry.mode not in modes:
                yield f"pins: {entry.name}: expected a mode of {entry.site}/{entry.machine} ({modes}), got {entry.mode!r}"
        if pinned := repeated((pin.site, pin.machine) for pin in self.pins):
            yield f"pins: expected at most one for a machine, got more for {['/'.join(names) for names in pinned]}"

    def _reserve_faults(self) -> Iterator[str]:
        reserves = {(site.name, r.name): (site, r) for site in self.fleet.sites for r in site.reserves}
        for order in self.orders:
            if order.reserve is not None and (order.site, order.reserve) not in reserves:
                yield f"orders: {order.name} is a call of unknown reserve {order.site}/{order.reserve}"
        for award in self.awards:
            if (known := reserves.get((award.site, award.reserve))) is None:
                yield f"awards: unknown reserve {award.site}/{award.reserve}"
                continue
            site, reserve = known
            if (begins := reserve.block_at(site.zone, award.start)[0]) != award.start:
                yield (
                    f"awards: {award.site}/{award.reserve}: expected the start of a block such as {iso(begins)}, "
                    f"got {iso(award.start)}"
                )
        if twice := repeated((award.site, award.reserve, award.start) for award in self.awards):
            words = [f"{site}/{reserve} {iso(start)}" for site, reserve, start in twice]
            yield f"awards: expected at most one for a block, got more for {words}"

    def _outlook_faults(self, sites: set[str]) -> Iterator[str]:
        yield from _names("outlook", self.outlook, needed=set(), allowed=sites)
        for site in (s for s in self.fleet.sites if s.name in self.outlook):
            present = month_of(site.zone, self.grid.start)
            yield from self.outlook[site.name].faults(f"outlook.{site.name}", site.demand_charge, site.take_or_pay, present)

    def _state_faults(self, sites: set[str]) -> Iterator[str]:
        state = self.state
        if state.at > self.grid.start:
            yield f"state.at: expected no later than the grid's start {iso(self.grid.start)}, got {iso(state.at)}"
        yield from _names("state.sites", state.sites, needed=sites, allowed=sites)
        batch = {w.name for w in self.fleet.workloads if w.kind == "batch"}
        yield from _names("state.backlog", state.backlog, needed=set(), allowed=batch)
        levels = {w.name: w.service_level for w in self.fleet.workloads if w.kind != "batch" and w.service_level}
        yield from _names("state.service", state.service, needed=set(), allowed=set(levels))
        for name, level in levels.items():
            if misnamed := level.misnamed(state.service.get(name, {})):
                yield f"state.service.{name}: expected a local {level.period} for each entry, got {misnamed}"
        for site in self.fleet.sites:
            if (now := state.sites.get(site.name)) is not None:
                yield from self._machine_faults(site.name, now)

    def _machine_faults(self, name: str, now: SiteState) -> Iterator[str]:
        site = self.fleet.site_by_name[name]
        groups = {g.name: g for g in site.asic_groups}
        pools = {p.name: p for p in site.gpu_pools}
        at = f"state.sites.{name}"
        present = month_of(site.zone, self.grid.start)
        if ahead := sorted(month for month in now.months if month > present):
            yield f"{at}.months: expected months up to {present}, in which the plan begins, got {ahead}"
        yield from _names(f"{at}.groups", now.groups, needed=set(groups), allowed=set(groups))
        yield from _names(f"{at}.pools", now.pools, needed=set(pools), allowed=set(pools))
        for group_name, group_state in now.groups.items():
            if (group := groups.get(group_name)) is None:
                continue
            where = f"{at}.groups.{group_name}"
            yield from _names(
                f"{where}.mode_blocks", group_state.mode_blocks, needed=set(), allowed={m.name for m in group.modes}
            )
            if group_state.running > group.blocks:
                yield f"{where}: {group_state.running} blocks run, the group has {group.blocks}"
            stopped = sum(c.count for c in group_state.stopped)
            if stopped > group.blocks - group_state.running:
                yield f"{where}.stopped: {stopped} blocks, but only {group.blocks - group_state.running} do not run"
            yield from self._late(where, [c.since for c in (*group_state.started, *group_state.stopped)])
        for pool_name, pool_state in now.pools.items():
            if (pool := pools.get(pool_name)) is None:
                continue
            if pool_state.nodes_on + pool_state.nodes_warm > pool.nodes:
                warm = f" and {pool_state.nodes_warm} warm" if pool_state.nodes_warm else ""
                yield f"{at}.pools.{pool_name}: {pool_state.nodes_on} nodes are on{warm}, the pool has {pool.nodes}"
            if pool_state.nodes_warm and pool.warm_w is None:
                yield f"{at}.pools.{pool_name}.nodes_warm: expected 0, as the pool has no warm_w, got {pool_state.nodes_warm}"
            yield from self._late(f"{at}.pools.{pool_name}", [c.since for c in pool_state.started])

    def _late(self, where: str, since: Sequence[datetime]) -> Iterator[str]:
        if any(s > self.grid.start for s in since):
            yield f"{where}: a change is dated after the grid's start {iso(self.grid.start)}"

    @cached_property
    def digest(self) -> str:
        """Content digest of the whole input."""
        return digest(self.model_dump(mode="json"))

    def energy_price_usd_per_mwh(self, site: Site) -> tuple[float, ...]:
        """Return what a metered MWh costs at a site in each step, by its energy contract."""
        return energy_price_usd_per_mwh(site.contract, self.prices_usd_per_mwh, self.usd_per_unit, self.grid, site.zone)

    @cached_property
    def paid_hashprice_usd_per_ph_day(self) -> tuple[float, ...]:
        """What a PH/s and day earns in each step, known changes of the difficulty counted."""
        return stepped_hashprice(self.hashprice_usd_per_ph_day, self.grid, self.difficulty_steps)

    def warnings(self) -> list[str]:
        """Return what is lawful but unlikely, in words: prices that look like USD per kWh, and a state of long ago."""
        found = []
        for name, values in self.prices_usd_per_mwh.items():
            if any(values) and all(abs(v) < 1 for v in values):
                found.append(f"unit_suspicious: prices_usd_per_mwh.{name}: all values lie within 1 USD/MWh; are they USD/kWh?")
        facts = {"state.at": self.state.at} | {f"state.sites.{name}.as_of": s.as_of for name, s in self.state.sites.items()}
        for where, at in facts.items():
            if (age := self.grid.start - at) > OLD_STATE:
                found.append(f"state_old: {where}: {iso(at)} is {age.days} days before the grid's start {iso(self.grid.start)}")
        return found


def _names(where: str, got: Mapping[str, object], needed: set[str], allowed: set[str] | None = None) -> Iterator[str]:
    if missing := sorted(needed - set(got)):
        yield f"{where}: missing {missing}"
    if allowed is not None and (unknown := sorted(set(got) - allowed)):
        yield f"{where}: unknown {unknown}"
