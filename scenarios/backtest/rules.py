"""Today's rules, over the same machines, limits and contracts: what they would have had the fleet do.

A rule decides, by group of miners and step, whether all of its blocks hash in their rated mode; it knows no modes, no starts and
no months. Nodes serve what comes: as many are on as the last known hour of demand filled, half as many again kept ready; none
where the dearest work does not earn a full node's energy at the price that the rule goes by (always_mining goes by none).
What is wished so is filled in by `optimizer.fallback.told_plan`, as machines, meter and state let it be had.

    always_mining     every block hashes; inference gets what power is left
    break_even        a group hashes in steps whose price is below its break-even, which is known as the step begins
    two_strike        a whole site stops after two windows above its low strike, at once above its high one, and resumes after
                      four windows below the low one; the low strike is the site's break-even, the high one 150/80 of it
    day_ahead         as break_even, by the day-ahead price
    real_time_lag     as break_even, by the price of the step before
    inference_first   as real_time_lag, with inference served before any block hashes

Break-even: hashprice x 1000 / (24 x J/TH) at the machine, fees and cooling counted, by the last known hashprice.
Sources: Hashrate Index's break-even classes; two strikes with waiting windows: Foreman's example, 80 and 150 USD/MWh.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.market import break_even_usd_per_mwh
from models.plan import SitePlan
from models.problem import Problem
from models.site import Site
from models.time_grid import TimeGrid
from models.workload import BatchWorkload, ReservedWorkload
from optimizer.fallback import told_plan
from scenarios.backtest.history import AHEAD, DEMAND, HASHPRICE, PRICE, History
from scenarios.backtest.knowledge import as_tuple, starts_of
from scenarios.backtest.records import Rule
from scenarios.rolling import window
from scenarios.timed import Floats, Timed

Bools = NDArray[np.bool_]
STOP_AFTER, RESUME_AFTER = 2, 4
"""Windows above the low strike after which a site stops, and below it after which it goes on."""
HIGH_OVER_LOW = 150 / 80
READY_SHARE = 0.5
"""Of the nodes that the last known demand filled, those kept ready besides."""
RATED = "normal"
W_PER_MW = 1e6

WORDS: dict[Rule, str] = {
    "always_mining": "every block hashes in its rated mode, whatever power costs; inference gets the power that is left",
    "break_even": "a group hashes while the price of the hour is below its break-even",
    "two_strike": "a site stops after two hours above its break-even, at once above 1.9 times that, and resumes after four below",
    "day_ahead": "a group hashes in hours whose day-ahead price is below its break-even",
    "real_time_lag": "a group hashes while the price of the hour before is below its break-even",
    "inference_first": "inference first; then a group hashes while the price of the hour before is below its break-even",
}


def rated_mode(group: AsicGroup) -> int:
    """Return the mode in which a rule runs a group: the one called normal, else the highest."""
    names = [mode.name for mode in group.modes]
    return names.index(RATED) if RATED in names else len(names) - 1


def two_strikes(price: Floats, low: Floats, high: Floats) -> Bools:
    """Return by step whether a site runs, from the prices of the windows before each step.

    price: by window, as it was known before step t; low, high: the strikes at that time.
    """
    on, above, below, found = True, 0, 0, []
    for usd, lower, upper in zip(price.tolist(), low.tolist(), high.tolist(), strict=True):
        above, below = (above + 1, 0) if usd > lower else (0, below + 1)
        if usd > upper or above >= STOP_AFTER:
            on = False
        elif below >= RESUME_AFTER:
            on = True
        found.append(on)
    return np.array(found, bool)


@dataclass(frozen=True)
class RuleBook:
    """A history as rules see it."""

    history: History

    @cached_property
    def came(self) -> Problem:
        """What is replayed."""
        return window(self.history.problem, 0, self.history.steps, self.history.problem.state)

    @property
    def grid(self) -> TimeGrid:
        """The replayed steps."""
        return self.came.grid

    def plan(self, rule: Rule) -> dict[str, SitePlan]:
        """Return what every site does by a rule."""
        price = {site.name: self._price(rule, site) for site in self.came.fleet.sites}
        runs = {site.name: self._runs(rule, site, price[site.name]) for site in self.came.fleet.sites}
        blocks = {
            site.name: {g.name: _rows(g, runs[site.name][g.name]) for g in site.asic_groups} for site in self.came.fleet.sites
        }
        nodes = self._nodes(None if rule == "inference_first" else runs, price)
        # Work is routed without a look at prices: their mean over the period would tell what is yet to come.
        free = dict.fromkeys(self.came.prices_usd_per_mwh, (0.0,) * self.grid.steps)
        blind = self.came.model_copy(update={"prices_usd_per_mwh": free})
        return told_plan(blind, blocks, nodes, self.grid.start, WORDS[rule]).sites

    def _runs(self, rule: Rule, site: Site, price: Floats) -> dict[str, Bools]:
        """Whether each group of a site hashes, by step."""
        limits = {group.name: self._break_even(site, group) for group in site.asic_groups}
        if rule == "two_strike":
            low = self._site_break_even(site, limits)
            return dict.fromkeys(limits, two_strikes(price, low, HIGH_OVER_LOW * low))
        return {name: price < limit for name, limit in limits.items()}

    def _price(self, rule: Rule, site: Site) -> Floats:
        """What a metered MWh costs a site by step, by the prices that a rule goes by; one that goes by none sees no cost."""
        if rule == "always_mining":
            return np.full(self.grid.steps, -np.inf)
        told = {"break_even": self._real, "day_ahead": self._ahead}.get(rule, self._lagged)
        prices = {name: as_tuple(told(name)) for name in self.came.prices_usd_per_mwh}
        return np.array(self.came.model_copy(update={"prices_usd_per_mwh": prices}).energy_price_usd_per_mwh(site))

    def _real(self, index: str) -> Floats:
        return np.array(self.came.prices_usd_per_mwh[index])

    def _lagged(self, index: str) -> Floats:
        """The price of the hour before, as far as its market has told it by then."""
        real = self.history.past[PRICE + index]
        back = real.at(starts_of(self.grid) - real.step_s)
        return self._held(back, self._before(index))

    def _ahead(self, index: str) -> Floats:
        """The day-ahead price; a day-ahead market's own price where there is no other."""
        told: Timed = self.history.past.get(AHEAD + index, self.history.past[PRICE + index])
        return self._held(told.at(starts_of(self.grid)), self._before(index))

    def _before(self, index: str) -> float:
        """The mean price of the week before the period, as far as it was known."""
        known = self.history.past[PRICE + index].known_by(self.grid.start)
        return float(known.values[-168:].mean()) if len(known) else 0.0

    @staticmethod
    def _held(values: Floats, first: float) -> Floats:
        """Give missing values the last one before them."""
        found, last = [], first
        for value in values.tolist():
            last = last if np.isnan(value) else value
            found.append(last)
        return np.array(found)

    @cached_property
    def _hashprice(self) -> Floats:
        """The last known hashprice by step."""
        told = self.history.past[HASHPRICE]
        place = np.searchsorted(told.known_s, starts_of(self.grid), side="right") - 1
        return np.where(place >= 0, told.values[np.maximum(place, 0)], self.came.hashprice_usd_per_ph_day[0])

    def _break_even(self, site: Site, group: AsicGroup) -> Floats:
        """The price at the meter at which a group in its rated mode earns what its energy costs, by step."""
        mode = group.modes[rated_mode(group)]
        at_machine = np.array(
            [break_even_usd_per_mwh(usd, mode.efficiency_j_per_th, group.paid_share) for usd in self._hashprice.tolist()]
        )
        pue = np.array([group.cooling.pue_milli(c) for c in self.came.ambient_c[site.ambient]]) / 1000
        return np.asarray(at_machine / pue)

    def _site_break_even(self, site: Site, limits: dict[str, Floats]) -> Floats:
        """The mean of a site's groups, by their rated power."""
        watts = {g.name: g.blocks * g.block_power_w(g.modes[rated_mode(g)]) for g in site.asic_groups}
        total = sum(watts.values())
        return np.asarray(sum(limits[name] * w / total for name, w in watts.items()) if total else np.zeros(self.grid.steps))

    def _nodes(self, mining: dict[str, dict[str, Bools]] | None, price: dict[str, Floats]) -> dict[tuple[str, str], list[int]]:
        """Nodes on by pool and step: for the last known hour of demand and some more, as far as mining leaves the power."""
        found = {}
        share = self._busy_share()
        for site in self.came.fleet.sites:
            room_w = self._room_w(site, {} if mining is None else mining[site.name])
            for pool in site.gpu_pools:
                pue = np.array([pool.pue_milli(c) for c in self.came.ambient_c[site.ambient]]) / 1000
                pays = self._earns(site, pool) > price[site.name] * pool.node_full_w * pue / W_PER_MW
                wanted = np.where(pays, np.minimum(pool.nodes, np.ceil(pool.nodes * share * (1 + READY_SHARE))), 0)
                fitting = [pool.fitting(int(w), pool.node_full_w) for w in np.maximum(0, room_w) / pue]
                on = np.minimum(wanted, fitting).astype(int)
                room_w = room_w - np.array([pool.power_w(int(n), pool.node_full_w) for n in on]) * pue
                found[site.name, pool.name] = on.tolist()
        return found

    def _earns(self, site: Site, pool: GpuPool) -> float:
        """What a full node earns in an hour by the dearest work that it may do, the penalty for leaving it counted."""
        worths = [0.0]
        for workload in self.came.fleet.workloads:
            if self.came.fleet.admits(workload, site):
                usd = 0.0 if isinstance(workload, ReservedWorkload) else workload.price_usd_per_mwork
                usd += 0.0 if isinstance(workload, BatchWorkload) else workload.unserved_usd_per_mwork
                worths.append(usd * workload.work_per_node_h(pool) / W_PER_MW)
        return max(worths)

    def _busy_share(self) -> Floats:
        """The share of all nodes that the last known hour of demand filled, by step."""
        wanted, grid = np.zeros(self.grid.steps), self.grid
        for workload in self.came.fleet.workloads:
            rates = [
                rate
                for site in self.came.fleet.sites
                for pool in site.gpu_pools
                if (rate := workload.work_per_node_h(pool)) and self.came.fleet.admits(workload, site)
            ]
            told = self.history.past[DEMAND + workload.name]
            last = np.nan_to_num(told.at(starts_of(grid) - told.step_s))
            if rates:
                wanted += last / (sum(rates) / len(rates))
        nodes = sum(pool.nodes for site in self.came.fleet.sites for pool in site.gpu_pools)
        return wanted / nodes if nodes else wanted

    def _room_w(self, site: Site, mining: dict[str, Bools]) -> Floats:
        """What a site's limit leaves for nodes beside base load, sleep and the blocks that hash."""
        ambient = self.came.ambient_c[site.ambient]
        limit = np.array(self.came.limit_w.get(site.name, (site.connection_limit_w,) * self.grid.steps), float)
        room = np.minimum(limit, site.connection_limit_w) - site.base_load_w
        for group in site.asic_groups:
            mode, pue = group.modes[rated_mode(group)], np.array([group.cooling.pue_milli(c) for c in ambient]) / 1000
            full = np.array([group.block_power_w(mode, c) for c in ambient], float)
            on = mining.get(group.name, np.zeros(self.grid.steps, bool))
            room = room - group.blocks * np.where(on, full, float(group.block_sleep_w)) * pue
        return np.asarray(room)


def _rows(group: AsicGroup, runs: Bools) -> list[list[int]]:
    mode = rated_mode(group)
    row = [group.blocks if k == mode else 0 for k in range(len(group.modes))]
    return [row if on else [0] * len(group.modes) for on in runs.tolist()]
