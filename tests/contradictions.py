"""Planted contradictions: small worlds whose inputs cannot all be kept, each with what a diagnosis must say, worked out by hand.

    plant("pin_against_outage", Random(3))      one world with its one contradiction
    planted()                                   an endless stream of them, the kinds in turn

Every world has one site with two groups and two pools of random sizes and powers, all asleep or off unless a kind says
otherwise, no limits but its own, and no ramp. One number is then made to contradict another. `mended` is the same world
with the offending number changed by the shortage, where that is one number of the input.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count as counting
from random import Random
from typing import Any

from by_hand import START, cohorts

from models.asic import AsicGroup, Mode
from models.availability import Outage, Pin
from models.contract import FixedPrice
from models.cooling import Cooling
from models.feeder import Feeder
from models.fleet import Fleet
from models.gpu import GpuPool
from models.order import LimitOrder
from models.problem import Problem
from models.site import Site
from models.state import GroupState, PoolState, SiteState, State
from models.time_grid import TimeGrid

MINERS = 100
HOT_C, COOL_C = 40.0, 15.0


@dataclass(frozen=True)
class Said:
    """What a diagnosis must say of one rule."""

    thing: str
    step: int
    steps: int
    rule: str
    present: float
    needed: float
    unit: str


@dataclass(frozen=True)
class Planted:
    """A world with a contradiction, what must be said of it, what must be said to stand against it, and the world mended."""

    kind: str
    problem: Problem
    offered: tuple[Said, ...]
    against: frozenset[str] = frozenset()
    mended: Callable[[float], Problem] | None = None
    """The world with the offending number changed by so much."""


@dataclass
class Bed:
    """The ground in which a contradiction is planted: every number of the world, open to change."""

    rng: Random
    length_s: int = 3600
    steps: int = 4
    groups: list[AsicGroup] = field(default_factory=list)
    pools: list[GpuPool] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    base_w: int = 0
    ramp_w_per_min: int | None = None
    draw_w: int | None = None
    limit_w: tuple[int, ...] | None = None
    feeders: tuple[Feeder, ...] = ()
    ambient_c: list[float] = field(default_factory=list)
    outages: tuple[Outage, ...] = ()
    orders: tuple[LimitOrder, ...] = ()
    pins: tuple[Pin, ...] = ()

    def change(self, machine: str, **update: Any) -> None:
        """Replace fields of a machine."""
        self.groups = [g.model_copy(update=update) if g.name == machine else g for g in self.groups]
        self.pools = [p.model_copy(update=update) if p.name == machine else p for p in self.pools]

    def group(self, name: str = "row") -> AsicGroup:
        return next(g for g in self.groups if g.name == name)

    def pool(self, name: str = "pool") -> GpuPool:
        return next(p for p in self.pools if p.name == name)

    @property
    def floor_w(self) -> int:
        """Base load and sleep at the meter; PUE is 1 or 1.25, so that it is whole."""
        return self.base_w + sum(g.blocks * g.block_sleep_w * self.pue_milli(g) // 1000 for g in self.groups)

    def pue_milli(self, machine: AsicGroup | GpuPool) -> int:
        return machine.cooling.base_pue_milli

    def more_w(self, name: str = "row", mode: int = 0) -> int:
        """What a block in a mode, or a node, draws at the meter beyond sleep."""
        if name in {p.name for p in self.pools}:
            return self.pool(name).node_fixed_w * self.pue_milli(self.pool(name)) // 1000
        group = self.group(name)
        return (group.block_power_w(group.modes[mode]) - group.block_sleep_w) * self.pue_milli(group) // 1000

    def at(self, step: float) -> Any:
        return START + timedelta(seconds=int(step * self.length_s))

    def pin(
        self, count: int, *, machine: str = "row", mode: str | None = None, until: int | None = None, name: str = "pin"
    ) -> None:
        expires = self.at(self.steps if until is None else until)
        self.pins += (Pin(name=name, owner="ann", site="pecos", machine=machine, mode=mode, count=count, expires=expires),)

    def out(self, count: int, first: int, last: int, *, machine: str = "row") -> None:
        """Take so many out of service in the steps first .. last - 1; begins and ends inside them."""
        start, end = self.at(first + self.rng.choice((0, 0.4))), self.at(last - self.rng.choice((0, 0.4)))
        self.outages += (
            Outage(name=f"out-{len(self.outages)}", site="pecos", machine=machine, count=count, start=start, end=end),
        )

    def limit(self, watts: int, first: int, last: int, *, by_order: bool) -> None:
        """Cap the site in the steps first .. last - 1, by an order or in the series."""
        if by_order:
            self.orders += (LimitOrder(name="cut", site="pecos", start=self.at(first), end=self.at(last), limit_w=watts),)
        else:
            self.limit_w = tuple(watts if first <= t < last else self.connection_w for t in range(self.steps))

    @property
    def connection_w(self) -> int:
        most = self.base_w + sum(g.blocks * g.block_power_w(g.modes[-1]) for g in self.groups)
        most += sum(p.nodes * p.node_fixed_w for p in self.pools)
        return 2 * most

    def runs(self, count: int, age_s: int, *, machine: str = "row") -> None:
        """Let so many have been started so many seconds ago."""
        if machine in {p.name for p in self.pools}:
            self.states[machine] = PoolState(started=cohorts((count, age_s)))
        else:
            mode = self.group(machine).modes[0].name
            self.states[machine] = GroupState(mode_blocks={mode: count}, started=cohorts((count, age_s)))

    def problem(self) -> Problem:
        groups = {g.name: self.states.get(g.name, GroupState()) for g in self.groups}
        pools = {p.name: self.states.get(p.name, PoolState()) for p in self.pools}
        site = Site(
            name="pecos", region="texas", country="US", zone="America/Chicago", ambient="inland",
            connection_limit_w=self.connection_w, base_load_w=self.base_w, ramp_w_per_min=self.ramp_w_per_min,
            contract=FixedPrice(price_usd_per_mwh=30.0), asic_groups=tuple(self.groups), gpu_pools=tuple(self.pools),
            feeders=self.feeders,
        )  # fmt: skip
        running_w = sum(s.running * self.more_w(name) for name, s in groups.items())
        running_w += sum(s.nodes_on * self.more_w(name) for name, s in pools.items())
        draw_w = self.floor_w + running_w if self.draw_w is None else self.draw_w
        return Problem(
            name="planted",
            grid=TimeGrid(start=START, step_s=(self.length_s,) * self.steps),
            fleet=Fleet(name="planted", sites=(site,)),
            hashprice_usd_per_ph_day=(50.0,) * self.steps,
            ambient_c={"inland": tuple(self.ambient_c)},
            limit_w={} if self.limit_w is None else {"pecos": self.limit_w},
            orders=self.orders, outages=self.outages, pins=self.pins,
            state=State(at=START, sites={"pecos": SiteState(draw_w=draw_w, groups=groups, pools=pools, as_of=START)}),
        )  # fmt: skip

    def planted(self, kind: str, *offered: Said, against: str = "", mends: bool = True) -> Planted:
        """Return the world as it stands; a first pin that is one number from first to last step can be mended."""
        rule = offered[0]
        one_number = mends and rule.rule == "pin" and len(offered) == 1
        problem = self.problem()

        def mended(by: float) -> Problem:
            pin = self.pins[-1]
            more = round(by) if rule.needed > rule.present else -round(by)
            changed = (*self.pins[:-1], pin.model_copy(update={"count": pin.count + more}))
            return Problem.model_validate(problem.model_copy(update={"pins": changed}).model_dump())

        return Planted(kind, problem, offered, frozenset(against.split()), mended if one_number else None)


def bed(rng: Random) -> Bed:
    """Return a world without a contradiction."""
    cooling = [Cooling(base_pue_milli=rng.choice((1000, 1250))) for _ in range(4)]
    made = Bed(rng, length_s=rng.choice((1800, 3600, 3600)), steps=rng.randint(3, 6), base_w=rng.choice((0, 7_000)))
    for n, name in enumerate(("row", "spare")):
        eco_w = 4 * rng.randint(250, 700)
        modes = (
            Mode(name="eco", miner_power_w=eco_w, miner_hash_th_per_s=100.0),
            Mode(name="turbo", miner_power_w=eco_w + 4 * rng.randint(50, 300), miner_hash_th_per_s=140.0),
        )
        made.groups.append(
            AsicGroup(
                name=name,
                model="planted",
                blocks=rng.randint(4, 9),
                miners_per_block=MINERS,
                modes=modes,
                sleep_power_w=4 * rng.choice((0, 3, 15)),
                cooling=cooling[n],
            )
        )
    for n, name in enumerate(("pool", "other")):
        made.pools.append(
            GpuPool(
                name=name,
                gpu_type="h100",
                nodes=rng.randint(4, 9),
                node_fixed_w=4 * rng.randint(1_000, 2_500),
                cooling=cooling[2 + n],
            )
        )
    made.ambient_c = [COOL_C] * made.steps
    return made


def _window(made: Bed) -> tuple[int, int]:
    """Some steps in a row: from the first on, or later."""
    first = made.rng.randint(0, made.steps - 1)
    return first, made.rng.randint(first + 1, made.steps)


# --- the kinds --------------------------------------------------------------------------------------------------------


def pin_against_outage(rng: Random, machine: str = "row", mode: str | None = None) -> Planted:
    made = bed(rng)
    there = made.group().blocks if machine == "row" else made.pool().nodes
    unit = "blocks" if machine == "row" else "nodes"
    pinned, out = rng.randint(2, there), rng.randint(1, there)
    out = max(out, there - pinned + 1)
    first, last = _window(made)
    made.out(out, first, last, machine=machine)
    made.pin(pinned, machine=machine, mode=mode)
    said = Said(f"pecos/{machine}", first, last - first, "pin", pinned, there - out, unit)
    return made.planted("pin_against_outage", said, against="in_service")


def pin_of_nodes_against_outage(rng: Random) -> Planted:
    return pin_against_outage(rng, "pool")


def pin_of_a_mode_against_outage(rng: Random) -> Planted:
    return pin_against_outage(rng, mode=rng.choice(("eco", "turbo")))


def pin_that_expires_within_an_outage(rng: Random) -> Planted:
    made = bed(rng)
    there, until = made.group().blocks, rng.randint(1, made.steps - 1)
    made.out(2, until - 1, made.steps)
    made.pin(there, until=until)
    said = Said("pecos/row", until - 1, 1, "pin", there, there - 2, "blocks")
    return made.planted("pin_that_expires_within_an_outage", said, against="in_service")


def pin_of_a_mode_that_heat_bars(rng: Random) -> Planted:
    made = bed(rng)
    eco, turbo = made.group().modes
    made.change("row", modes=(eco, turbo.model_copy(update={"max_ambient_c": 30.0})))
    first, last = _window(made)
    made.ambient_c[first:last] = [HOT_C] * (last - first)
    pinned = rng.randint(1, made.group().blocks)
    made.pin(pinned, mode="turbo")
    said = Said("pecos/row", first, last - first, "pin", pinned, 0, "blocks")
    return made.planted("pin_of_a_mode_that_heat_bars", said, against="heat")


def pin_of_blocks_that_are_too_hot(rng: Random) -> Planted:
    made = bed(rng)
    made.change("row", modes=tuple(m.model_copy(update={"max_ambient_c": 30.0}) for m in made.group().modes))
    first, last = _window(made)
    made.ambient_c[first:last] = [HOT_C] * (last - first)
    pinned = rng.randint(1, made.group().blocks)
    made.pin(pinned)
    said = Said("pecos/row", first, last - first, "pin", pinned, 0, "blocks")
    return made.planted("pin_of_blocks_that_are_too_hot", said, against="heat")


def _room(made: Bed, machine: str, mode: int, pinned: int) -> tuple[int, int]:
    """How many still fit, and the watts that so many and a part of the next would draw beyond sleep."""
    fit = made.rng.randint(0, pinned - 1)
    part = made.rng.randint(0, made.more_w(machine, mode) - 1) if made.rng.random() < 0.5 else 0
    return fit, fit * made.more_w(machine, mode) + part


def pin_against_limit(rng: Random, machine: str = "row", mode: int | None = None, *, by_order: bool = False) -> Planted:
    made = bed(rng)
    there = made.group().blocks if machine == "row" else made.pool().nodes
    pinned = rng.randint(1, there)
    first, last = _window(made)
    fit, watts = _room(made, machine, mode or 0, pinned)
    made.limit(made.floor_w + watts, first, last, by_order=by_order)
    made.pin(pinned, machine=machine, mode=None if mode is None else made.group().modes[mode].name)
    said = Said(f"pecos/{machine}", first, last - first, "pin", pinned, fit, "blocks" if machine == "row" else "nodes")
    return made.planted("pin_against_limit", said, against="limit")


def pin_of_a_mode_against_limit(rng: Random) -> Planted:
    return pin_against_limit(rng, mode=1)


def pin_of_nodes_against_limit(rng: Random) -> Planted:
    return pin_against_limit(rng, "pool")


def pin_of_nodes_in_containers_against_limit(rng: Random) -> Planted:
    """Each container that a node opens draws its base as well, and a warm node may not stand where one is pinned on."""
    made = bed(rng)
    each, base_w = rng.randint(2, 3), 4 * rng.randint(500, 3_000)
    made.change("pool", nodes_per_container=each, container_base_w=base_w, warm_w=rng.choice((None, 400)))
    pinned = rng.randint(2, made.pool().nodes)
    fit = rng.randint(0, pinned - 1)

    def drawn_w(nodes: int) -> int:
        containers_w = -(-nodes // each) * base_w * made.pue_milli(made.pool()) // 1000
        return nodes * made.more_w("pool") + containers_w

    first, last = _window(made)
    made.limit(made.floor_w + drawn_w(fit), first, last, by_order=False)
    made.pin(pinned, machine="pool")
    said = Said("pecos/pool", first, last - first, "pin", pinned, fit, "nodes")
    return made.planted("pin_of_nodes_in_containers_against_limit", said, against="limit")


def pin_against_an_order(rng: Random) -> Planted:
    return pin_against_limit(rng, rng.choice(("row", "pool")), by_order=True)


def pin_in_the_dark(rng: Random) -> Planted:
    made = bed(rng)
    made.base_w = 7_000
    pinned, (first, last) = rng.randint(1, made.pool().nodes), _window(made)
    made.limit(rng.choice((0, made.floor_w - 1)), first, last, by_order=rng.random() < 0.5)
    made.pin(pinned, machine="pool")
    said = Said("pecos/pool", first, last - first, "pin", pinned, 0, "nodes")
    return made.planted("pin_in_the_dark", said, against="dark")


def pin_against_feeder(rng: Random, machine: str = "row") -> Planted:
    made = bed(rng)
    there = made.group().blocks if machine == "row" else made.pool().nodes
    pinned = rng.randint(1, there)
    fit, watts = _room(made, machine, 0, pinned)
    asleep_w = made.floor_w - made.base_w if rng.random() < 0.5 else 0
    inner = ("row", "spare") if asleep_w else (machine, "other")
    inner = inner if machine in inner else (*inner, machine)
    asleep_w = sum(g.blocks * g.block_sleep_w * made.pue_milli(g) // 1000 for g in made.groups if g.name in inner)
    made.feeders = (Feeder(name="container", limit_w=max(1, asleep_w + watts), members=inner),)
    made.pin(pinned, machine=machine)
    said = Said(f"pecos/{machine}", 0, made.steps, "pin", pinned, fit, "blocks" if machine == "row" else "nodes")
    return made.planted("pin_against_feeder", said, against="feeder_limit")


def pin_of_nodes_against_feeder(rng: Random) -> Planted:
    return pin_against_feeder(rng, "pool")


def pin_of_resting_blocks(rng: Random) -> Planted:
    made = bed(rng)
    rest, there = rng.randint(1, made.steps), made.group().blocks
    made.change("row", min_down_s=rest * made.length_s)
    tired = rng.randint(1, there)
    made.states["row"] = GroupState(stopped=cohorts((tired, 0)))
    pinned = rng.randint(there - tired + 1, there)
    made.pin(pinned)
    said = Said("pecos/row", 0, rest, "pin", pinned, there - tired, "blocks")
    return made.planted("pin_of_resting_blocks", said, against="min_down")


def pin_beyond_the_starts_of_the_day(rng: Random) -> Planted:
    made = bed(rng)
    made.change("row", max_starts_per_day=1)
    there = made.group().blocks
    left = rng.randint(0, there - 1)
    made.states["row"] = GroupState(starts_today=there - left)
    pinned = rng.randint(left + 1, there)
    made.pin(pinned)
    said = Said("pecos/row", 0, made.steps, "pin", pinned, left, "blocks")
    return made.planted("pin_beyond_the_starts_of_the_day", said, against="daily_starts")


def pin_of_fewer_than_must_run(rng: Random, machine: str = "row") -> Planted:
    made = bed(rng)
    there, run = (made.group().blocks if machine == "row" else made.pool().nodes), rng.randint(1, made.steps)
    made.change(machine, min_up_s=run * made.length_s)
    young = rng.randint(1, there)
    made.runs(young, 0, machine=machine)
    pinned = rng.randint(0, young - 1)
    made.pin(pinned, machine=machine)
    said = Said(f"pecos/{machine}", 0, run, "pin", pinned, young, "blocks" if machine == "row" else "nodes")
    return made.planted("pin_of_fewer_than_must_run", said, against="min_up", mends=run == made.steps)


def pin_of_fewer_nodes_than_must_run(rng: Random) -> Planted:
    return pin_of_fewer_than_must_run(rng, "pool")


def pin_that_the_ramp_cannot_reach(rng: Random) -> Planted:
    """Room for one block an hour: each step can have one more."""
    made = bed(rng)
    made.length_s = 3600
    more_w = made.more_w()
    made.ramp_w_per_min = -(-more_w // 60) + rng.randint(0, max(0, more_w // 200))
    reach = [made.ramp_w_per_min * 60 * (t + 1) // more_w for t in range(made.steps)]
    pinned = rng.randint(min(2, made.group().blocks), made.group().blocks)
    made.pin(pinned)
    short = [(t, most) for t, most in enumerate(reach) if most < pinned]
    said = [Said("pecos/row", t, 1, "pin", pinned, most, "blocks") for t, most in short]
    return made.planted("pin_that_the_ramp_cannot_reach", *said, against="ramp")


def two_pins_that_cannot_be_kept(rng: Random) -> Planted:
    made = bed(rng)
    there, nodes = made.group().blocks, made.pool().nodes
    made.out(1, 0, made.steps, machine="row")
    made.out(2, 0, made.steps, machine="pool")
    made.pin(there, name="one")
    made.pin(nodes, machine="pool", name="two")
    return made.planted(
        "two_pins_that_cannot_be_kept",
        Said("pecos/row", 0, made.steps, "pin", there, there - 1, "blocks"),
        Said("pecos/pool", 0, made.steps, "pin", nodes, nodes - 2, "nodes"),
        against="in_service",
    )


def run_against_limit(rng: Random, machine: str = "row") -> Planted:
    made = bed(rng)
    there = made.group().blocks if machine == "row" else made.pool().nodes
    made.change(machine, min_up_s=made.steps * made.length_s)
    young = rng.randint(1, there)
    made.runs(young, 0, machine=machine)
    first = rng.randint(0, made.steps - 1)
    fit, watts = _room(made, machine, 0, young)
    made.limit(max(1, made.floor_w + watts), first, made.steps, by_order=rng.random() < 0.5)
    unit = "blocks" if machine == "row" else "nodes"
    said = Said(f"pecos/{machine}", first, made.steps - first, "min_up", young, fit, unit)
    return made.planted("run_against_limit", said, against="limit")


def run_of_nodes_against_limit(rng: Random) -> Planted:
    return run_against_limit(rng, "pool")


def run_against_outage(rng: Random, machine: str = "row") -> Planted:
    made = bed(rng)
    there = made.group().blocks if machine == "row" else made.pool().nodes
    made.change(machine, min_up_s=made.steps * made.length_s)
    young = rng.randint(1, there)
    made.runs(young, 0, machine=machine)
    first = rng.randint(0, made.steps - 1)
    out = rng.randint(there - young + 1, there)
    made.out(out, first, made.steps, machine=machine)
    unit = "blocks" if machine == "row" else "nodes"
    said = Said(f"pecos/{machine}", first, made.steps - first, "min_up", young, there - out, unit)
    return made.planted("run_against_outage", said, against="in_service")


def run_of_loading_nodes_against_outage(rng: Random) -> Planted:
    found = run_against_outage(rng, "pool")
    site = found.problem.fleet.sites[0]
    loading = tuple(p.model_copy(update={"load_s": p.min_up_s}) for p in site.gpu_pools)
    fleet = found.problem.fleet.model_copy(update={"sites": (site.model_copy(update={"gpu_pools": loading}),)})
    return replace(found, problem=Problem.model_validate(found.problem.model_copy(update={"fleet": fleet}).model_dump()))


def ramp_that_cannot_fall(rng: Random) -> Planted:
    """A measured draw above a limit that is no order, further above than the ramp reaches."""
    made = bed(rng)
    made.length_s = 3600
    made.ramp_w_per_min = rng.randint(2_000, 9_000)
    fit, step_w = rng.randint(0, 2), made.ramp_w_per_min * 60
    limit_w, short_w = made.floor_w + fit * made.more_w(), rng.randint(1_000, 200_000)
    made.limit(max(limit_w, 1), 0, made.steps, by_order=False)
    made.draw_w = limit_w + step_w + short_w
    for name in ("spare", "pool", "other"):  # only whole blocks of `row` may fill what the limit leaves
        there = made.group(name).blocks if name == "spare" else made.pool(name).nodes
        made.out(there, 0, made.steps + 1, machine=name)
    made.change("row", modes=made.group().modes[:1])
    said = Said("pecos", 0, 1, "ramp", step_w / 1000, (step_w + short_w) / 1000, "kW")
    return made.planted("ramp_that_cannot_fall", said, against="limit")


def ramp_that_cannot_rise(rng: Random) -> Planted:
    """Blocks that must run on, at a site whose meter shows nothing."""
    made = bed(rng)
    made.length_s = 3600
    made.change("row", min_up_s=made.steps * 3600)
    young = rng.randint(2, made.group().blocks)
    made.runs(young, 0)
    made.draw_w = 0
    must_w = made.floor_w + young * made.more_w()
    made.ramp_w_per_min = rng.randint(must_w // 240, must_w // 61)
    step_w = made.ramp_w_per_min * 60
    said = Said("pecos", 0, 1, "ramp", step_w / 1000, must_w / 1000, "kW")
    return made.planted("ramp_that_cannot_rise", said, against="min_up")


KINDS: tuple[Callable[[Random], Planted], ...] = (
    pin_against_outage, pin_of_nodes_against_outage, pin_of_a_mode_against_outage, pin_that_expires_within_an_outage,
    pin_of_a_mode_that_heat_bars, pin_of_blocks_that_are_too_hot, pin_against_limit, pin_of_a_mode_against_limit,
    pin_of_nodes_against_limit, pin_of_nodes_in_containers_against_limit, pin_against_an_order,
    pin_in_the_dark, pin_against_feeder, pin_of_nodes_against_feeder,
    pin_of_resting_blocks, pin_beyond_the_starts_of_the_day, pin_of_fewer_than_must_run, pin_of_fewer_nodes_than_must_run,
    pin_that_the_ramp_cannot_reach, two_pins_that_cannot_be_kept, run_against_limit, run_of_nodes_against_limit,
    run_against_outage, run_of_loading_nodes_against_outage, ramp_that_cannot_fall, ramp_that_cannot_rise,
)  # fmt: skip


def plant(kind: Callable[[Random], Planted], number: int) -> Planted:
    """Return one contradiction of a kind, the same for the same number."""
    return kind(Random(f"{kind.__name__} {number}"))


def planted() -> Iterator[Planted]:
    """Yield contradictions of all kinds in turn."""
    for number in counting():
        yield from (plant(kind, number) for kind in KINDS)
