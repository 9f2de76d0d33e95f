"""Random valid problems for tests of every kind: small, but with everything in them that a model can get wrong.

    world(random.Random(7), sites=2, steps=4)     one problem, the same for the same seed
    @given(worlds())                              the same through hypothesis, which can shrink it

Mixed step lengths, state cohorts (young and old, measured and not, warming and loading), orders that begin and end
inside steps, dark steps, ramps, heat, every kind of workload, shared and separate hubs, and prices that are calm,
negative, zero, equal, crossed by spikes of 5,000 USD/MWh, or all of this in turn.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from re import fullmatch
from typing import Any, TypeVar

from hypothesis import strategies as st

from models.asic import AsicGroup, Mode
from models.availability import Outage, Pin
from models.billing import MonthTotals, later_month, month_of
from models.block_power import BlockPower
from models.carbon import Carbon
from models.coincident_peak import CoincidentPeak, PeakHours
from models.contract import FixedPrice, ForeignPrice, IndexPrice, TimeOfUse
from models.cooling import Cooling
from models.demand_charge import DemandCharge
from models.derating import HeatDerating
from models.energy_tier import EnergyTier
from models.feeder import Feeder
from models.fleet import Fleet, StepGuard
from models.gpu import GpuPool
from models.local_hours import LocalHours
from models.market import DifficultyStep
from models.order import LimitOrder
from models.outlook import Outlook
from models.problem import Problem
from models.reserve import Award, Reserve
from models.service_level import PeriodWork, ServiceLevel
from models.site import SafeProfile, Site
from models.state import Cohort, GroupState, Lot, PoolState, SiteState, State
from models.take_or_pay import TakeOrPay
from models.time_grid import TimeGrid
from models.workload import BatchWorkload, InteractiveWorkload, Latency, ReservedWorkload, Workload

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
INTO_THE_NEXT_MONTH = timedelta(days=8, hours=20)  # until two hours before December in Chicago
SITES = ("pecos", "abilene", "kiruna", "massena", "bratsk", "rockdale")
REGIONS = ("texas", "nordic")
MODELS = ("llama-70b", "mistral-7b")
GPU_TYPES = ("h100", "b200")
PRICES = ("calm", "negative", "zero", "equal", "spike", "mixed")
LATENCY_MS = {"europe": {"texas": 115, "nordic": 30}, "america": {"texas": 25, "nordic": 140}}
HEAT = HeatDerating(above_c=30.0, hash_loss_milli_per_c=7, power_rise_milli_per_c=3)
T = TypeVar("T")


def worlds(max_sites: int = 3, max_steps: int = 6) -> st.SearchStrategy[Problem]:
    """Return a strategy of random problems of at most so many sites and steps."""
    return st.builds(
        world,
        st.randoms(use_true_random=False),
        sites=st.integers(1, max_sites),
        steps=st.integers(1, max_steps),
        prices=st.sampled_from(PRICES),
    )


def world(rng: Random, *, sites: int = 2, steps: int = 4, prices: str | None = None) -> Problem:
    """Return one random valid problem of exactly so many sites and steps; `prices` is one of `PRICES`, or any."""
    grid = TimeGrid(start=START, step_s=_step_lengths(rng, steps))
    prices = prices or rng.choice(PRICES)
    fleet = _fleet(rng, sites, min(grid.step_s))
    heat = {name: _heat(rng, steps) for name in ("inland", "coast")}
    limits = {s.name: _limits(rng, s, steps) for s in fleet.sites if rng.random() < 0.4}
    orders = tuple(_order(rng, f"order-{n}", s, grid) for n, s in enumerate(fleet.sites) if rng.random() < 0.35)
    demand = {w.name: _demand(rng, w.kind, steps) for w in fleet.workloads}
    lots = {w.name: _lots(rng, grid) for w in fleet.workloads if w.kind == "batch" and rng.random() < 0.7}
    hashprice = 0.0 if rng.random() < 0.1 else rng.choice((25.0, 42.5, 55.0, 90.0))
    return Problem(
        name="world",
        grid=grid,
        fleet=fleet,
        hashprice_usd_per_ph_day=tuple(hashprice + (rng.choice((0.0, 1.5)) if hashprice else 0.0) for _ in range(steps)),
        difficulty_steps=_difficulty(Random(f"{[s.name for s in fleet.sites]} {steps} {hashprice} difficulty"), grid),
        prices_usd_per_mwh={name: _price(rng, prices, steps) for name in ("hub-west", "hub-north")},
        usd_per_unit={"EUR": tuple(1.0825 + 0.01 * (t % 3) for t in range(steps))},
        carbon_kg_per_mwh={"grid": tuple(120.0 + 95.5 * (t % 4) for t in range(steps))},
        ambient_c=heat,
        limit_w=limits,
        demand_work_per_h=demand,
        orders=_called(Random(f"{[s.name for s in fleet.sites]} {steps} calls"), orders, fleet),
        awards=_awards(Random(f"{[s.name for s in fleet.sites]} {steps} {hashprice} awards"), fleet, grid),
        feeder_limit_w=_feeder_limits(Random(f"{[s.name for s in fleet.sites]} {steps} feeders"), fleet, steps),
        **_availability(Random(f"{[s.name for s in fleet.sites]} {steps} {hashprice} {limits}"), fleet, grid),
        outlook=_outlook(Random(f"{[s.name for s in fleet.sites]} {steps} {hashprice} outlook"), fleet),
        state=State(
            at=START - timedelta(minutes=rng.choice((0, 0, 20))),
            sites={s.name: _state(rng, s) for s in fleet.sites},
            backlog=lots,
            service={w.name: _served(Random(f"{w} {steps}"), level) for w in fleet.workloads if (level := level_of(w))},
        ),
    )


def moved(problem: Problem, by: timedelta = INTO_THE_NEXT_MONTH) -> Problem:
    """Return the same world at another time, all instants moved; by default so that a month ends after two hours."""

    def later(value: Any) -> Any:
        if isinstance(value, dict):
            return {_day_later(key, by): later(member) for key, member in value.items()}
        if isinstance(value, tuple | list):
            return tuple(later(member) for member in value)
        return value + by if isinstance(value, datetime) else value

    return Problem.model_validate(later(problem.model_dump()))


def _day_later(key: Any, by: timedelta) -> Any:
    """A name of a day so many whole days later; other names as they are."""
    is_day = isinstance(key, str) and fullmatch(r"\d{4}-\d\d-\d\d", key)
    return (date.fromisoformat(key) + timedelta(days=by.days)).isoformat() if is_day else key


# --- the fleet --------------------------------------------------------------------------------------------------------


def _fleet(rng: Random, sites: int, shortest_s: int) -> Fleet:
    workloads = [_workload(rng, kind) for kind in ("interactive", "batch", "reserved") if rng.random() < 0.7]
    names = [f"{SITES[n % len(SITES)]}{f'-{n // len(SITES)}' if n >= len(SITES) else ''}" for n in range(sites)]
    twins = _pool(rng, "twin") if rng.random() < 0.5 else None  # equal pools at several sites share a hub
    built = tuple(_site(rng, name, twins, shortest_s) for name in names)
    regions = {s.region for s in built}
    admitted = []
    for workload in workloads:
        routes = {r: c for r, c in workload.routing_usd_per_mwork.items() if r in regions} or {built[0].region: 0.25}
        restricted = _admission(Random(f"{workload} {names}"), workload, [s for s in built if s.region in routes])
        admitted.append(workload.model_copy(update={"routing_usd_per_mwork": routes, **restricted}))
    guard = _step_guard(Random(f"{names} {[s.nameplate_w for s in built]} guard"), built, shortest_s)
    return Fleet(name="random", sites=built, workloads=tuple(admitted), latency_ms=LATENCY_MS, step_guard=guard)


def _step_guard(rng: Random, sites: Sequence[Site], shortest_s: int) -> StepGuard | None:
    """At times a guard under whose shares each site can still move one machine (and its cooling) in the shortest step."""
    if rng.random() < 0.75:
        return None
    whole_w = sum(s.connection_limit_w for s in sites)
    needed = [90 * _largest_w(s.asic_groups, s.gpu_pools) // shortest_s + 2 for s in sites]
    least_w = max(5 * w * whole_w // s.connection_limit_w + 5 for s, w in zip(sites, needed, strict=True))
    return StepGuard(most_change_w=int(least_w * rng.choice((1, 1, 3))))


def _largest_w(groups: Sequence[AsicGroup], pools: Sequence[GpuPool]) -> int:
    return max([g.block_power_w(g.modes[-1]) for g in groups] + [p.power_w(1, p.node_full_w) for p in pools], default=1)


def _admission(rng: Random, workload: Workload, sites: Sequence[Site]) -> dict[str, Any]:
    """At times a residency and a latency that one of the sites keeps at least."""
    home = rng.choice(sites)
    found: dict[str, Any] = {"countries": (home.country,)} if rng.random() < 0.3 else {}
    if workload.kind == "interactive" and rng.random() < 0.5:
        users = rng.choice(sorted(LATENCY_MS))
        found["latency"] = Latency(users=users, most_ms=LATENCY_MS[users][home.region] + rng.choice((0, 60)))
    if workload.kind != "batch" and rng.random() < 0.5:
        found["service_level"] = ServiceLevel(
            served_ppm=rng.choice((250_000, 900_000, 999_000, 1_000_000)),
            period=rng.choice(("day", "month")),
            zone=rng.choice(("America/Chicago", "America/Los_Angeles", "Pacific/Auckland", "Pacific/Pago_Pago")),
            shortfall_usd_per_mwork=rng.choice((0.0, 0.7, 9.0)),
        )
    return found


def level_of(workload: Workload) -> ServiceLevel | None:
    """The service level of a workload, if it has one."""
    return None if workload.kind == "batch" else workload.service_level


def _served(rng: Random, level: ServiceLevel) -> dict[str, PeriodWork]:
    """What was asked and served so far: too little, enough, or nothing known."""
    demanded = rng.choice((0, 3_000_001, 700_000_000))
    return {level.period_of(START): PeriodWork(demanded_work=demanded, served_work=int(demanded * rng.choice((0.2, 0.999, 1.0))))}


def _site(rng: Random, name: str, twin: GpuPool | None, shortest_s: int) -> Site:
    groups = tuple(_group(rng, f"row-{n}") for n in range(rng.choice((0, 1, 1, 2))))
    pools = [_pool(rng, f"pool-{n}") for n in range(rng.choice((0, 1, 1, 2)))]
    if twin is not None and rng.random() < 0.6:
        pools.append(twin)
    nameplate_w = sum(g.blocks * g.block_power_w(g.modes[-1]) for g in groups)
    nameplate_w += sum(p.power_w(p.nodes, p.node_full_w) for p in pools)
    largest_w = _largest_w(groups, pools)
    one_machine_w_per_min = (
        90 * largest_w // shortest_s + 1
    )  # a ramp below one machine (and its cooling) a step lets nothing change
    index = rng.choice(("hub-west", "hub-north"))
    adders = _time_of_use(Random(f"{name} {index} {nameplate_w}"))
    return Site(
        name=name,
        region=rng.choice(REGIONS),
        country=Random(f"{name} {index} {nameplate_w} country").choice(("US", "US", "SE")),
        zone="America/Chicago",
        ambient=rng.choice(("inland", "coast")),
        connection_limit_w=max(1_000, int(nameplate_w * rng.choice((0.4, 0.7, 1.0, 1.5)))),
        base_load_w=rng.choice((0, 0, nameplate_w // 50)),
        ramp_w_per_min=rng.choice((None, one_machine_w_per_min, max(one_machine_w_per_min, nameplate_w // 60), nameplate_w + 1)),
        contract=_one_price(rng.choice((35.0, 62.5)), adders, Random(f"{nameplate_w} {name}"))
        if rng.random() < 0.3
        else IndexPrice(
            index=index, adder_usd_per_mwh=rng.choice((0.0, 4.2)), loss_share=rng.choice((0.0, 0.02)), time_of_use=adders
        ),
        **_contracts(Random(f"{name} {nameplate_w} {index}"), nameplate_w),
        asic_groups=groups,
        gpu_pools=tuple(pools),
        feeders=_feeders(Random(f"{name} {nameplate_w} feeders"), groups, pools),
        reserves=_reserves(Random(f"{name} {nameplate_w} reserves"), nameplate_w),
        safe=SafeProfile(mining_share=rng.choice((0.0, 0.5, 1.0)), gpu_share=rng.choice((0.0, 0.5, 1.0))),
    )


def _feeders(rng: Random, groups: Sequence[AsicGroup], pools: Sequence[GpuPool]) -> tuple[Feeder, ...]:
    """A container for some machines, and at times a transformer above it and others."""
    power_w = {g.name: g.blocks * g.block_power_w(g.modes[-1]) for g in groups}
    power_w |= {p.name: p.power_w(p.nodes, p.node_full_w) for p in pools}
    names = list(power_w)
    if not names or rng.random() < 0.5:
        return ()
    rng.shuffle(names)
    inner = tuple(names[: rng.randint(1, len(names))])
    limit_w = max(1, int(sum(power_w[n] for n in inner) * rng.choice((0.3, 0.7, 1.2))))
    feeders = [Feeder(name="container", kind="container", limit_w=limit_w, members=inner)]
    if rng.random() < 0.5:
        members = ("container", *names[len(inner) :])
        limit_w = max(1, int(sum(power_w.values()) * rng.choice((0.4, 0.8))))
        feeders.append(Feeder(name="transformer", limit_w=limit_w, members=members))
    return tuple(feeders)


def _reserves(rng: Random, nameplate_w: int) -> tuple[Reserve, ...]:
    """Programmes of short blocks, so that some lie in the horizon as a whole."""
    return tuple(
        Reserve(
            name=f"reserve-{n}",
            block_hours=rng.choice((1, 1, 2, 4)),
            gate_s=rng.choice((0, 0, 3_600)),
            notice_s=rng.choice((0, 600, 1_800)),
            duration_s=rng.choice((1_800, 3_600)),
            least_kw=rng.choice((1, 1, max(1, nameplate_w // 3_000))),
            capacity_usd_per_mw_h=rng.choice((0.0, 9.62, 76.77)),
            energy_usd_per_mwh=rng.choice((0.0, 250.0)),
            calls_per_block=rng.choice((0.0, 0.05, 0.4)),
            mean_call_s=rng.choice((0, 900, 1_800)),
            claw_back_usd_per_mw_h=rng.choice((0.0, 20.0, 500.0)),
        )
        for n in range(rng.choice((0, 0, 1, 2)))
    )


def _awards(rng: Random, fleet: Fleet, grid: TimeGrid) -> tuple[Award, ...]:
    """Some blocks sold already, more of them than the site may be able to keep."""
    found = []
    for site in fleet.sites:
        for reserve in site.reserves:
            for begins, _ in reserve.blocks(site.zone, grid):
                if rng.random() < 0.25:
                    kw = max(1, int(site.nameplate_w * rng.choice((0.1, 0.5, 1.0))) // 1_000)
                    found.append(Award(site=site.name, reserve=reserve.name, start=begins, kw=kw))
    return tuple(found)


def _called(rng: Random, orders: Sequence[LimitOrder], fleet: Fleet) -> tuple[LimitOrder, ...]:
    """Some orders are calls of a reserve."""
    found = []
    for order in orders:
        reserves = fleet.site_by_name[order.site].reserves
        called = rng.choice(reserves).name if reserves and rng.random() < 0.6 else None
        found.append(order.model_copy(update={"reserve": called}))
    return tuple(found)


def _contracts(rng: Random, nameplate_w: int) -> dict[str, Any]:
    """What a site has beside its price of energy."""
    found = {
        "demand_charge": _demand_charge(rng),
        "take_or_pay": _take_or_pay(rng, nameplate_w),
        "block_power": _block_power(rng, nameplate_w),
        "coincident_peak": _coincident_peak(rng),
        "carbon": Carbon(usd_per_t=rng.choice((0.0, 60.0)), intensity_kg_per_mwh=350.0, intensity=rng.choice((None, "grid"))),
        "energy_tiers": _energy_tiers(rng, nameplate_w),
    }
    return {name: contract for name, contract in found.items() if rng.random() < 0.4}


def _one_price(usd_per_mwh: float, adders: tuple[TimeOfUse, ...], rng: Random) -> FixedPrice | ForeignPrice:
    if rng.random() < 0.6:
        return FixedPrice(price_usd_per_mwh=usd_per_mwh, time_of_use=adders)
    return ForeignPrice(currency="EUR", price_per_mwh=usd_per_mwh, adder_usd_per_mwh=rng.choice((0.0, 2.0)), time_of_use=adders)


def _time_of_use(rng: Random) -> tuple[TimeOfUse, ...]:
    adders = (-8.0, 15.0, 60.0)
    return tuple(
        TimeOfUse(hours=_local_hours(rng), adder_usd_per_mwh=rng.choice(adders)) for _ in range(rng.choice((0, 0, 1, 2)))
    )


def _demand_charge(rng: Random) -> DemandCharge:
    return DemandCharge(
        usd_per_kw_month=tuple(rng.choice((0.0, 8.5, 40.0)) for _ in range(12)),
        ratchet_share=rng.choice((0.0, 0.35, 0.8)),
        look_back_months=rng.choice((0, 1, 11)),
        counted_months=rng.choice((tuple(range(1, 13)), (1, 7, 10))),
    )


def _take_or_pay(rng: Random, nameplate_w: int) -> TakeOrPay:
    period_months = rng.choice((1, 1, 3, 12))
    return TakeOrPay(
        least_mwh=max(1, nameplate_w) * rng.choice((0.2, 0.7, 1.0)) * 730 * period_months / 1e6,
        period_months=period_months,
        first_month=rng.choice((1, 2, 12)),
        shortfall_usd_per_mwh=rng.choice((0.0, 25.0, 80.0)),
    )


def _block_power(rng: Random, nameplate_w: int) -> BlockPower:
    return BlockPower(
        block_w=max(1_000, int(nameplate_w * rng.choice((0.25, 0.6, 2.0)))),
        price_usd_per_mwh=rng.choice((28.0, 44.5)),
        resale_index=rng.choice(("hub-west", "hub-north")),
        resale_fee_usd_per_mwh=rng.choice((0.0, 1.5)),
    )


def _coincident_peak(rng: Random) -> CoincidentPeak:
    likely = tuple(
        PeakHours(hours=_local_hours(rng), probability_share=rng.choice((0.001, 0.2))) for _ in range(rng.choice((1, 2)))
    )
    return CoincidentPeak(usd_per_kw_peak=rng.choice((0.0, 3.75, 45.0)), likely=likely)


def _energy_tiers(rng: Random, nameplate_w: int) -> tuple[EnergyTier, ...]:
    month_mwh = max(1, nameplate_w) * 730 / 1e6
    shares = rng.choice(((0.001,), (0.1, 0.5)))
    return tuple(EnergyTier(above_mwh=month_mwh * share, adder_usd_per_mwh=rng.choice((0.0, 20.0))) for share in shares)


def _local_hours(rng: Random) -> LocalHours:
    """Hours around START, which is 02:00 on a Sunday in Chicago, or others."""
    from_h, to_h = rng.choice(((0, 24), (1, 4), (2, 24), (3, 5), (22, 3)))
    days = rng.choice((tuple(range(7)), tuple(range(7)), (5, 6), (0, 1, 2, 3, 4)))
    months = rng.choice((tuple(range(1, 13)), tuple(range(1, 13)), (11,), (12, 1)))
    return LocalHours(from_h=from_h, to_h=to_h, week_days=days, months=months)


def _group(rng: Random, name: str) -> AsicGroup:
    power, hash_rate, modes = rng.choice((900, 2_400)), rng.choice((60.0, 110.0)), []
    for mode in rng.choice((("normal",), ("eco", "normal"), ("eco", "normal", "turbo"))):
        hot_c = Random(f"{name} {power} {hash_rate}").choice((None, None, 38.0 if modes else 41.0))
        hot_c = modes[-1].max_ambient_c if modes and modes[-1].max_ambient_c is not None else hot_c
        modes.append(Mode(name=mode, miner_power_w=power, miner_hash_th_per_s=hash_rate, max_ambient_c=hot_c))
        power, hash_rate = power + rng.choice((300, 1_100)), hash_rate + rng.choice((11.0, 45.5))
    min_up_s = rng.choice((0, 900, 3_600, 7_200, 10_800))
    return AsicGroup(
        name=name,
        model="random",
        blocks=rng.randint(1, 4),
        miners_per_block=rng.choice((1, 37, 180)),
        modes=tuple(modes),
        sleep_power_w=rng.choice((0, 0, 15, 60)),
        min_up_s=min_up_s,
        min_down_s=rng.choice((0, 900, 3_600, 7_200)),
        warm_up_s=min(min_up_s, rng.choice((0, 300, 1_200, 5_400))),
        start_wear_usd=rng.choice((0.0, 0.0, 1.5, 40.0)),
        end_value_share=Random(f"{name} {power} {hash_rate} end").choice((0.0, 0.5, 1.0)),
        forced_stop_usd_per_block_h=Random(f"{name} {power} {hash_rate} forced").choice((0.0, 3.5)),
        max_starts_per_day=Random(f"{name} {power} {hash_rate} {min_up_s}").choice((None, None, 1, 2)),
        pool_fee=rng.choice((0.0, 0.01)),
        stale_share=rng.choice((0.0, 0.002)),
        uptime=rng.choice((1.0, 0.97)),
        derating=Random(f"{name} {power} {hash_rate}").choice((HeatDerating(), HEAT)),
        cooling=_cooling(rng),
    )


def _pool(rng: Random, name: str) -> GpuPool:
    models = [model for model in MODELS if rng.random() < 0.7]
    load_s = rng.choice((0, 600, 3_600, 5_400))
    gpu_type = rng.choice(GPU_TYPES)
    return GpuPool(
        name=name,
        gpu_type=gpu_type,
        **_containers(Random(f"{name} {models} {load_s} {gpu_type}")),
        **_warmth(Random(f"{name} {models} {load_s} {gpu_type} warm"), load_s),
        nodes=rng.randint(1, 4),
        node_fixed_w=rng.choice((3_500, 8_200)),
        node_span_w=rng.choice((0, 1_300, 4_000)),
        power_basis=rng.choice(("it", "all_in")),
        throughput_tokens_per_s={model: rng.choice((1_000, 2_731, 20_000)) for model in models},
        load_s=load_s,
        min_up_s=max(load_s, rng.choice((0, 1_800, 5_400, 7_200))),
        start_cost_usd=rng.choice((0.0, 0.8, 25.0)),
        end_value_share=Random(f"{name} {load_s} {models} end").choice((0.0, 0.5, 1.0)),
        cooling=_cooling(rng),
    )


def _containers(rng: Random) -> dict[str, int]:
    """Half of all pools stand in containers; others draw nothing but what their nodes draw."""
    if rng.random() < 0.5:
        return {}
    return {"nodes_per_container": rng.choice((1, 2, 3)), "container_base_w": rng.choice((400, 2_500, 9_000))}


def _warmth(rng: Random, load_s: int) -> dict[str, int]:
    """Nodes of a third of all pools can be warm."""
    if rng.random() < 0.67:
        return {}
    return {"warm_w": rng.choice((0, 300, 1_100)), "wake_s": min(load_s, rng.choice((0, 20, 300)))}


def _cooling(rng: Random) -> Cooling:
    return Cooling(base_pue_milli=rng.choice((1000, 1053, 1250)), rise_milli_per_c=rng.choice((0, 7)), above_c=25.0)


def _workload(rng: Random, kind: str) -> InteractiveWorkload | BatchWorkload | ReservedWorkload:
    common: dict[str, Any] = {
        "name": kind,
        "routing_usd_per_mwork": {region: rng.choice((0.0, 0.25)) for region in REGIONS if rng.random() < 0.8},
    }
    common["routing_usd_per_mwork"] = common["routing_usd_per_mwork"] or {REGIONS[0]: 0.0}
    if kind == "reserved":
        return ReservedWorkload(
            **common,
            price_usd_per_mwork=rng.choice((1.9, 14.0)),
            gpu_type=rng.choice(GPU_TYPES),
            unserved_usd_per_mwork=rng.choice((0.0, 28.0)),
        )
    price = {"price_usd_per_mwork": rng.choice((0.0, 0.35, 1.2)), "model": rng.choice(MODELS)}
    if kind == "interactive":
        return InteractiveWorkload(**common, **price, unserved_usd_per_mwork=rng.choice((0.0, 2.0)))
    return BatchWorkload(
        **common,
        **price,
        deadline_s=rng.choice((0, 1_800, 3_600, 9_000)),
        late_usd_per_mwork_h=rng.choice((0.0, 0.1, 3.0)),
        end_value_share=Random(f"{common} {price} end").choice((0.0, 0.6, 1.0)),
    )


# --- the horizon ------------------------------------------------------------------------------------------------------


def _step_lengths(rng: Random, steps: int) -> tuple[int, ...]:
    kind = rng.choice(("hours", "hours", "fives", "partial", "coarser", "any"))
    if kind == "partial":  # a re-plan inside the hour
        return (rng.choice((300, 1_260, 3_540)), *(3_600,) * (steps - 1))
    if kind == "coarser":
        return tuple(900 if t < steps // 2 else 3_600 for t in range(steps))
    if kind == "any":
        return tuple(rng.choice((300, 900, 1_800, 3_600, 5_400)) for _ in range(steps))
    return (3_600 if kind == "hours" else 300,) * steps


def _difficulty(rng: Random, grid: TimeGrid) -> tuple[DifficultyStep, ...]:
    """Changes before the horizon, at a step's start, and inside one."""
    seconds = [s for s in (-86_400, grid.offset_s[1], grid.offset_s[-1] * 2 // 3 + 7) if rng.random() < 0.2]
    return tuple(DifficultyStep(at=START + timedelta(seconds=s), change_share=rng.choice((-0.2, 0.05, 1.5))) for s in seconds)


def _price(rng: Random, kind: str, steps: int) -> tuple[float, ...]:
    shapes: dict[str, Sequence[float]] = {
        "calm": (22.0, 38.5, 61.0),
        "negative": (-48.0, -3.25, 12.0),
        "zero": (0.0,),
        "equal": (41.0,),
        "spike": (27.0, 5_000.0),
        "mixed": (-250.0, 0.0, 30.0, 30.0, 5_000.0),
    }
    return tuple(rng.choice(shapes[kind]) for _ in range(steps))


def _heat(rng: Random, steps: int) -> tuple[float, ...]:
    """Weather goes step by step: no cooling changes its draw at once."""
    celsius, found = rng.choice((5.0, 24.0, 31.5, 40.0)), []
    for _ in range(steps):
        found.append(celsius)
        celsius += rng.choice((-1.5, 0.0, 0.5, 2.0))
    return tuple(max(-20.0, min(45.0, c)) for c in found)


def _limits(rng: Random, site: Site, steps: int) -> tuple[int, ...]:
    shares = rng.choice(((1.0, 0.6), (1.0, 0.35, 0.0), (0.8,), (1.2, 0.02)))
    return tuple(int(site.connection_limit_w * rng.choice(shares)) for _ in range(steps))


def _feeder_limits(rng: Random, fleet: Fleet, steps: int) -> dict[str, dict[str, tuple[int, ...]]]:
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for site in fleet.sites:
        for feeder in site.feeders:
            if rng.random() < 0.4:
                series = tuple(int(feeder.limit_w * rng.choice((1.0, 1.0, 0.5, 0.0))) for _ in range(steps))
                found.setdefault(site.name, {})[feeder.name] = series
    return found


def _order(rng: Random, name: str, site: Site, grid: TimeGrid) -> LimitOrder:
    horizon_s = grid.offset_s[-1]
    start_s = rng.choice((-1_800, 0, horizon_s // 3, horizon_s // 2 + 60))
    end_s = rng.choice((None, start_s + 600, start_s + 3_600, horizon_s))
    return LimitOrder(
        name=name,
        site=site.name,
        start=grid.start + timedelta(seconds=start_s),
        end=None if end_s is None else grid.start + timedelta(seconds=max(end_s, start_s + 1)),
        limit_w=int(site.connection_limit_w * rng.choice((0.0, 0.0, 0.3, 0.6))),
    )


def _availability(rng: Random, fleet: Fleet, grid: TimeGrid) -> dict[str, Any]:
    """Some machines out of service for a while, some pinned, also in ways that cannot be kept."""
    outages, pins = [], []
    horizon_s = grid.offset_s[-1]
    for site in fleet.sites:
        for machine in (*site.asic_groups, *site.gpu_pools):
            there = machine.blocks if isinstance(machine, AsicGroup) else machine.nodes
            if rng.random() < 0.2:
                start = grid.start + timedelta(seconds=rng.choice((-600, 0, horizon_s // 2 + 60)))
                end = rng.choice((None, start + timedelta(seconds=1_800), start + timedelta(seconds=horizon_s)))
                outages.append(
                    Outage(name=f"out-{len(outages)}", site=site.name, machine=machine.name, count=rng.randint(1, there),
                           start=start, end=end)
                )  # fmt: skip
            if rng.random() < 0.2:
                modes = [m.name for m in machine.modes] if isinstance(machine, AsicGroup) else []
                until = grid.start + timedelta(seconds=rng.choice((1, 3_600, horizon_s)))
                pins.append(
                    Pin(name=f"pin-{len(pins)}", owner="ann", site=site.name, machine=machine.name, count=rng.randint(0, there),
                        mode=rng.choice([None, *modes]), expires=until)
                )  # fmt: skip
    return {"outages": tuple(outages), "pins": tuple(pins)}


def _outlook(rng: Random, fleet: Fleet) -> dict[str, Outlook]:
    """What a look-ahead said of some sites; months far enough on that a moved world has them too."""
    found = {}
    for site in fleet.sites:
        peaks_w: dict[str, int] = {}
        takes: dict[str, float] = {}
        if site.demand_charge is not None:
            months = rng.choice(((), (), ("2026-12",), ("2026-11", "2026-12")))
            peaks_w = {month: int(site.connection_limit_w * rng.choice((0.0, 0.4, 0.9))) for month in months}
        if (take := site.take_or_pay) is not None and rng.random() < 0.4:
            takes = {take.period_of("2026-11"): take.shortfall_usd_per_mwh * rng.choice((0.0, 0.5, 1.0))}
        if peaks_w or takes:
            found[site.name] = Outlook(peaks_w=peaks_w, take_usd_per_mwh=takes)
    return found


def _demand(rng: Random, kind: str, steps: int) -> tuple[int, ...]:
    if kind == "reserved":
        return tuple(rng.choice((0, 500_000, 1_000_000, 3_000_000)) for _ in range(steps))
    return tuple(rng.choice((0, 999_983, 7_200_000, 40_000_000)) for _ in range(steps))


def _lots(rng: Random, grid: TimeGrid) -> tuple[Lot, ...]:
    minutes = sorted(rng.choice((-60, 0, 45, 60, 150)) for _ in range(rng.randint(0, 2)))
    return tuple(Lot(work=rng.choice((0, 1, 5_000_000)), due=grid.start + timedelta(minutes=m)) for m in minutes)


# --- the state --------------------------------------------------------------------------------------------------------


def _state(rng: Random, site: Site) -> SiteState:
    groups = {g.name: _group_state(rng, g) for g in site.asic_groups}
    pools = {p.name: _pool_state(rng, p) for p in site.gpu_pools}
    draw_w = site.base_load_w
    for group in site.asic_groups:
        now = groups[group.name]
        draw_w += sum(n * group.block_power_w(m) for m in group.modes if (n := now.mode_blocks.get(m.name, 0)))
        draw_w += (group.blocks - now.running) * group.block_sleep_w
    draw_w += sum(p.power_w(pools[p.name].nodes_on, p.node_fixed_w, pools[p.name].nodes_warm) for p in site.gpu_pools)
    measured_w = rng.choice((draw_w, draw_w, int(draw_w * 1.04), 0))
    return SiteState(
        draw_w=measured_w,
        months=_months(Random(f"{site.name} {draw_w}"), site),
        groups=groups,
        pools=pools,
        source=rng.choice(("measured", "assumed")),
        as_of=START,
    )


def _months(rng: Random, site: Site) -> dict[str, MonthTotals]:
    """Some months that the meter counted, the present one perhaps among them."""
    present = month_of(site.zone, START)
    counted = [later_month(present, -n) for n in range(13) if rng.random() < 0.4]
    peaks_w = [int(site.connection_limit_w * share) for share in (0.0, 0.3, 0.8, 1.0)]
    hours = rng.choice((0, 200, 600))
    return {m: MonthTotals(peak_w=rng.choice(peaks_w), energy_wh=hours * site.connection_limit_w // 2) for m in counted}


def _pool_state(rng: Random, pool: GpuPool) -> PoolState:
    started = _cohorts(rng, rng.randint(0, pool.nodes))
    left = pool.nodes - sum(c.count for c in started)
    warm = Random(f"{pool.name} {left} {started}").randint(0, left) if pool.warm_w is not None else 0
    return PoolState(started=started, nodes_warm=warm)


def _group_state(rng: Random, group: AsicGroup) -> GroupState:
    left, counts = rng.randint(0, group.blocks), {}
    for mode in group.modes[:-1]:
        counts[mode.name] = rng.randint(0, left)
        left -= counts[mode.name]
    counts[group.modes[-1].name] = left
    running = sum(counts.values())
    stopped = _cohorts(rng, rng.randint(0, group.blocks - running))
    today = Random(f"{group.name} {running} {group.blocks} {group.min_up_s}").randint(0, group.blocks + 2)
    return GroupState(
        mode_blocks=counts,
        started=_cohorts(rng, running),
        stopped=stopped,
        starts_today=today if group.max_starts_per_day is not None else 0,
    )


def _cohorts(rng: Random, count: int) -> tuple[Cohort, ...]:
    cohorts = []
    while count:
        part = rng.randint(1, count)
        cohorts.append(Cohort(count=part, since=START - timedelta(seconds=rng.choice((0, 240, 2_700, 3_600, 90_000)))))
        count -= part
    return tuple(cohorts)
