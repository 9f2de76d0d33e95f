"""Seeded fleets for benchmarks: any number of sites, every one with miners, GPUs, contracts and a state.

    fleet(45, 24)                    45 sites, 24 hourly steps, seed 1
    fleet(45, 288, step_s=300)       a day of five-minute steps
    fleet(45, 24, kind="tight")      limits of 55 to 70 % of the machines

Harder than the reference fleet: *every* site has GPU pools and a demand charge, a third take or pay, and twelve workloads
compete for eight hubs, so that all sites are coupled. Sizes and prices are drawn from the ranges that the reference fleet
and its sources span. `flat`: one price for all steps; `identical`: all sites alike, the hardest kind of symmetry.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from models.asic import AsicGroup, Mode
from models.billing import MonthTotals
from models.contract import IndexPrice
from models.cooling import Cooling
from models.demand_charge import DemandCharge
from models.fleet import Fleet
from models.gpu import GpuPool
from models.problem import Problem
from models.site import Site
from models.state import Cohort, GroupState, PoolState, SiteState, State
from models.take_or_pay import TakeOrPay
from models.time_grid import TimeGrid
from models.workload import BatchWorkload, InteractiveWorkload, Workload

Kind = Literal["ordinary", "flat", "identical", "tight"]
KINDS: tuple[Kind, ...] = ("ordinary", "flat", "identical", "tight")
START = datetime(2026, 11, 22, tzinfo=UTC)
MONTH, HOURS_SO_FAR, HOURS_OF_MONTH = "2026-11", 504, 720
REGIONS = ("north", "east", "south", "west")
MINERS = (
    ("s21-xp", 270, 3645),
    ("s21", 200, 3500),
    ("m60s", 186, 3441),
    ("s19-xp", 141, 3010),
    ("s19k", 120, 2760),
    ("s19j", 104, 3068),
)
MODES = (("eco", 0.80, 0.70), ("normal", 1.0, 1.0), ("turbo", 1.12, 1.27))
GPU_TYPES = (("h100", 10_200), ("b200", 14_300))
INTERACTIVE, BATCH = 8, 4
WORKLOADS = INTERACTIVE + BATCH
B200_SPEED = np.array([1.7, 2.3, 0.0, 1.9, 2.1, 0.0, 1.6, 2.4, 2.0, 0.0, 1.8, 2.2])
"""What a node of the newer type does, in nodes of the older one, by workload; 0: it cannot serve the model."""


def fleet(sites: int, steps: int, *, step_s: int = 3600, seed: int = 1, kind: Kind = "ordinary") -> Problem:
    """Return a seeded fleet's problem; the same for the same arguments on any machine.

    sites: at least four, one for each region that work is routed to. step_s: length of every step. [s]
    """
    rng = np.random.default_rng([seed, sites, steps, step_s])
    one = int(rng.integers(1 << 30))
    built = []
    for n in range(sites):
        own = np.random.default_rng(one) if kind == "identical" else rng
        region = REGIONS[0] if kind == "identical" else REGIONS[n % len(REGIONS)]
        built.append(_site(own, f"site-{n:04d}", region, kind))
    workloads = [_workload(rng, n, kind) for n in range(WORKLOADS)]
    hours = np.arange(steps) * step_s / 3600
    return Problem(
        name=f"{kind}-{sites}x{steps}",
        grid=TimeGrid(start=START, step_s=(step_s,) * steps),
        fleet=Fleet(name="seeded", sites=tuple(built), workloads=tuple(workloads)),
        hashprice_usd_per_ph_day=_hashprice(rng, steps, kind),
        prices_usd_per_mwh=_prices(rng, built, hours, kind),
        ambient_c={region: tuple(np.round(16 + 9 * np.sin((hours - 9) / 24 * 2 * np.pi), 1).tolist()) for region in REGIONS},
        limit_w=_derates(rng, built, steps, step_s, kind),
        demand_work_per_h={w.name: _demand(rng, w, built, hours) for w in workloads},
        state=State(at=START, sites={site.name: _state(rng, site) for site in built}),
    )


def _site(rng: np.random.Generator, name: str, region: str, kind: Kind) -> Site:
    groups = tuple(_group(rng, n) for n in range(int(rng.integers(2, 4))))
    pools = tuple(_pool(rng, n) for n in range(int(rng.integers(1, 3))))
    nameplate_w = sum(g.blocks * g.block_power_w(g.modes[1]) for g in groups)
    nameplate_w += sum(p.nodes * (p.node_fixed_w + p.node_span_w) * 5 // 4 for p in pools)
    share = rng.uniform(0.55, 0.70) if kind == "tight" else rng.uniform(0.88, 1.05)
    limit_w = int(nameplate_w * share)
    take = TakeOrPay(
        least_mwh=round(limit_w * HOURS_OF_MONTH / 1e6 * rng.uniform(0.55, 0.85), 1),
        shortfall_usd_per_mwh=round(rng.uniform(18, 40), 2),
    )
    return Site(
        name=name,
        region=region,
        country="US",
        zone="Etc/UTC",
        ambient=region,
        connection_limit_w=limit_w,
        base_load_w=nameplate_w // 200,
        ramp_w_per_min=int(limit_w * rng.uniform(0.3, 0.6) / 60 * (0.4 if kind == "tight" else 1.0)),
        contract=IndexPrice(index=name, adder_usd_per_mwh=round(rng.uniform(2, 9), 2), loss_share=0.02),
        demand_charge=DemandCharge(usd_per_kw_month=(round(rng.uniform(3, 12), 2),) * 12),
        take_or_pay=take if rng.random() < 0.35 else None,
        asic_groups=groups,
        gpu_pools=pools,
    )


def _group(rng: np.random.Generator, number: int) -> AsicGroup:
    model, hash_th, power_w = MINERS[int(rng.integers(len(MINERS)))]
    miners = int(rng.integers(180, 241))
    return AsicGroup(
        name=f"row-{number}",
        model=model,
        blocks=int(rng.integers(8, 45)),
        miners_per_block=miners,
        modes=tuple(
            Mode(
                name=mode, miner_power_w=round(power_w * kw * rng.uniform(0.98, 1.02)), miner_hash_th_per_s=round(hash_th * th, 1)
            )
            for mode, th, kw in MODES
        ),
        sleep_power_w=int(rng.integers(10, 40)),
        min_up_s=int(rng.integers(2, 5)) * 3600,
        min_down_s=int(rng.integers(1, 4)) * 3600,
        warm_up_s=int(rng.integers(9, 22)) * 60,
        start_wear_usd=round(miners * rng.uniform(0.02, 0.08), 2),
        pool_fee=0.01,
        uptime=0.98,
        cooling=Cooling(base_pue_milli=int(rng.integers(1020, 1080))),
    )


def _pool(rng: np.random.Generator, number: int) -> GpuPool:
    which = int(rng.random() < 0.35)
    gpu_type, full_w = GPU_TYPES[which]
    fixed_w = round(full_w * rng.uniform(0.58, 0.89))
    speed = (np.ones(WORKLOADS), B200_SPEED)[which]
    return GpuPool(
        name=f"pool-{number}",
        gpu_type=gpu_type,
        nodes=int(rng.integers(16, 201)),
        node_fixed_w=fixed_w,
        node_span_w=full_w - fixed_w,
        throughput_tokens_per_s={f"model-{n}": int(speed[n] * (9_000 + 1_000 * n)) for n in range(WORKLOADS) if speed[n]},
        load_s=int(rng.integers(10, 31)) * 60,
        min_up_s=7200,
        start_cost_usd=round(rng.uniform(1.5, 4), 2),
        cooling=Cooling(base_pue_milli=int(rng.integers(1100, 1300)), rise_milli_per_c=5, above_c=20.0),
    )


def _workload(rng: np.random.Generator, number: int, kind: Kind) -> Workload:
    """Four stay in one region, four may go to two; batch work may go anywhere. A node earns 8 to 20 USD an hour."""
    tokens_per_h = 3600 * (9_000 + 1_000 * number) / 1e6
    regions = [REGIONS[number]] if number < 4 else [str(r) for r in rng.permutation(REGIONS)[: 2 if number < INTERACTIVE else 4]]
    if kind == "identical":
        regions = [REGIONS[0]]
    earns = rng.uniform(8, 20) * (1.0 if number < INTERACTIVE else 0.55)
    name, model = f"work-{number:02d}", f"model-{number}"
    price, routing = round(earns / tokens_per_h, 4), {r: round(rng.uniform(0, 0.25) / tokens_per_h, 5) for r in regions}
    if number < INTERACTIVE:
        penalty = round(earns * rng.uniform(0.5, 2) / tokens_per_h, 4)
        return InteractiveWorkload(
            name=name, model=model, price_usd_per_mwork=price, routing_usd_per_mwork=routing, unserved_usd_per_mwork=penalty
        )
    late, deadline_s = round(8 / tokens_per_h, 4), int(rng.integers(8, 21)) * 3600
    return BatchWorkload(
        name=name,
        model=model,
        price_usd_per_mwork=price,
        routing_usd_per_mwork=routing,
        deadline_s=deadline_s,
        late_usd_per_mwork_h=late,
    )


def _demand(rng: np.random.Generator, workload: Workload, sites: Sequence[Site], hours: np.ndarray) -> tuple[int, ...]:
    """A tenth to 28 % of what its pools could do, more or less by the time of day; batch work comes every sixth hour."""
    pools = [p for site in sites if site.region in workload.routing_usd_per_mwork for p in site.gpu_pools]
    able = sum(p.nodes * workload.work_per_node_h(p) for p in pools)
    if workload.kind == "batch":
        rate = np.where(hours % 6 < 1, able * 0.30 * rng.uniform(0.5, 1.5, hours.size), 0.0)
    else:
        day = 1 + 0.45 * np.sin((hours - rng.uniform(0, 24)) / 24 * 2 * np.pi) + rng.normal(0, 0.05, hours.size)
        rate = able * rng.uniform(0.10, 0.28) * np.maximum(day, 0)
    return tuple(int(work) for work in rate)


def _hashprice(rng: np.random.Generator, steps: int, kind: Kind) -> tuple[float, ...]:
    walk = rng.uniform(38, 52) * (1 + 0.004 * np.cumsum(rng.normal(0, 1, steps)))
    return tuple(np.round(np.full(steps, 45.0) if kind == "flat" else np.clip(walk, 25, 70), 4).tolist())


def _prices(rng: np.random.Generator, sites: Sequence[Site], hours: np.ndarray, kind: Kind) -> dict[str, tuple[float, ...]]:
    """A daily shape by region, noise, and spikes of some hours that reach a region's sites to different degrees."""
    found = {}
    for n, region in enumerate(REGIONS):
        shape = 1 + 0.35 * np.sin((hours - 9 - n) / 24 * 2 * np.pi) + 0.25 * np.exp(-(((hours % 24 - 18 - n / 2) / 2.2) ** 2))
        whole_hour = hours.astype(int)
        noise, spike = rng.normal(0, 4, whole_hour[-1] + 1), rng.uniform(80, 500, whole_hour[-1] + 1)
        spike[rng.random(spike.size) >= 0.05] = 0.0
        base = rng.uniform(35, 55) * shape + noise[whole_hour]
        for site in (s for s in sites if s.region == region):
            own = np.clip(base + rng.normal(0, 5) + rng.normal(0, 1.5, hours.size), 12, 125) + spike[whole_hour] * rng.uniform(
                0.7, 1.2
            )
            if kind in ("flat", "identical"):
                own = np.full(hours.size, 46.0) if kind == "flat" else base + spike[whole_hour]
            found[site.name] = tuple(np.round(own, 2).tolist())
    return found


def _derates(rng: np.random.Generator, sites: Sequence[Site], steps: int, step_s: int, kind: Kind) -> dict[str, tuple[int, ...]]:
    """For four hours, three sites in ten have less than their connection; none where all sites are alike."""
    length, found = max(1, 4 * 3600 // step_s), {}
    for site in sites:
        if rng.random() < (1.0 if kind == "tight" else 0.3) and kind != "identical":
            first, share = int(rng.integers(0, max(1, steps - length))), rng.uniform(0.65, 0.85)
            found[site.name] = tuple(
                int(site.connection_limit_w * (share if first <= t < first + length else 1.0)) for t in range(steps)
            )
    return found


def _state(rng: np.random.Generator, site: Site) -> SiteState:
    """Nine in twenty blocks run in normal mode, and as many nodes are on; up to a fifth of them for an hour only."""
    draw_w, groups, pools = site.base_load_w, {}, {}
    for group in site.asic_groups:
        on = int(group.blocks * 0.45)
        groups[group.name] = GroupState(mode_blocks={"normal": on}, started=_cohorts(rng, on))
        draw_w += (
            (on * group.block_power_w(group.modes[1]) + (group.blocks - on) * group.block_sleep_w)
            * group.cooling.base_pue_milli
            // 1000
        )
    for pool in site.gpu_pools:
        nodes = int(pool.nodes * 0.45)
        pools[pool.name] = PoolState(started=_cohorts(rng, nodes))
        draw_w += nodes * pool.node_fixed_w * pool.cooling.base_pue_milli // 1000
    so_far = MonthTotals(peak_w=int(site.connection_limit_w * 0.85), energy_wh=int(site.connection_limit_w * HOURS_SO_FAR * 0.65))
    return SiteState(draw_w=min(draw_w, site.connection_limit_w), months={MONTH: so_far}, groups=groups, pools=pools, as_of=START)


def _cohorts(rng: np.random.Generator, count: int) -> tuple[Cohort, ...]:
    young = int(count * rng.uniform(0, 0.2))
    ages = ((count - young, 72), (young, 1))
    return tuple(Cohort(count=n, since=START - timedelta(hours=hours)) for n, hours in ages if n)
