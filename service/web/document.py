"""The document that the page draws: one plan in one scope, the fleet or a site, with every series by step.

Power is metered (PUE included) and in whole watts:

    hashing by level + inference + standby  =  draw          standby: sleeping miners and base load
    draw + headroom                         =  limit         headroom: what the grid connection would still give
"""

from typing import Literal

from models.base import Count, Instant, Record, Watts, Work
from models.plan import Basis, Proof, Recovery, Term

Level = Literal["eco", "normal", "turbo"]
LEVELS: tuple[Level, ...] = ("eco", "normal", "turbo")


class Power(Record):
    """Metered power of a scope by step (PUE included); the parts add up to the limit, to the watt."""

    hashing_w: dict[Level, tuple[Watts, ...]]
    inference_w: tuple[Watts, ...]
    standby_w: tuple[Watts, ...]
    draw_w: tuple[Watts, ...]
    limit_w: tuple[Watts, ...]
    headroom_w: tuple[Watts, ...]


class Price(Record):
    """What a metered MWh costs by step: the mean over the scope weighted by draw, the lowest and the highest of its sites.

    `forecast_from` is the first step in which a site's price is a forecast. `p10` and `p90` are that mean of what each price
    is undercut and exceeded with 10 per cent, known prices counting as they are; absent where no model gives them. Of
    several sites they are as wide as if all prices moved together.
    """

    mean_usd_per_mwh: tuple[float, ...]
    low_usd_per_mwh: tuple[float, ...]
    high_usd_per_mwh: tuple[float, ...]
    forecast_from: int | None = None
    p10_usd_per_mwh: tuple[float, ...] = ()
    p90_usd_per_mwh: tuple[float, ...] = ()


class TermTotal(Record):
    """One money term of the scope over the horizon; money out is negative. Zero is what is nothing in every step."""

    term: Term
    usd: float
    is_zero: bool = False


class SiteRow(Record):
    """One line of the fleet's table of sites; `usd` is the sum of the money terms that the site owns."""

    name: str
    title: str
    region: str
    country: str
    zone: str
    connection_limit_w: Watts
    draw_w: tuple[Watts, ...]
    hashing_w: tuple[Watts, ...]
    inference_w: tuple[Watts, ...]
    limit_w: tuple[Watts, ...]
    price_usd_per_mwh: tuple[float, ...]
    usd: float
    served_usd: float


class ModeRow(Record):
    """Blocks of a group in one mode, by step."""

    name: str
    level: Level
    blocks: tuple[Count, ...]


class GroupRow(Record):
    """An ASIC group's set-point by step; the blocks in no mode sleep.

    `break_even_usd_per_mwh`: the price at the meter at which its most efficient mode earns just what its energy costs.
    """

    name: str
    model: str
    blocks: Count
    modes: tuple[ModeRow, ...]
    asleep_blocks: tuple[Count, ...]
    break_even_usd_per_mwh: tuple[float, ...]


class PoolWork(Record):
    """What a pool does for one workload: the rate by step, and over the horizon the work and what it earns.

    Reserved work earns the same whether it is used or not, so nothing of it is told per pool.
    """

    workload: str
    kind: str
    work_per_h: tuple[Work, ...]
    work: float
    usd: float | None


class PoolRow(Record):
    """A GPU pool's set-point by step."""

    name: str
    gpu_type: str
    nodes: Count
    nodes_on: tuple[Count, ...]
    nodes_warm: tuple[Count, ...] = ()
    work: tuple[PoolWork, ...]


class ReserveRow(Record):
    """What a site sells of a reserve by step."""

    name: str
    kw: tuple[Count, ...]


class WorkloadRow(Record):
    """What was asked of a workload over the horizon, and what of it stays unserved (late, for batch work), in work units."""

    name: str
    kind: str
    asked_work: float
    unserved_work: float
    late_work: Work | None


class Overview(Record):
    """Everything the page shows of one plan in one scope: the fleet (`site` is null) or a site."""

    plan_id: str
    problem_digest: str
    created_at: Instant
    basis: Basis
    labels: tuple[str, ...]
    reasons: tuple[str, ...]
    recoveries: tuple[Recovery, ...]
    proof: Proof
    audit_passed: bool
    rules_checked: Count
    fleet_title: str
    fleet_profit_usd: float
    site: str | None
    title: str
    zone: str | None
    starts: tuple[str, ...]
    step_s: tuple[int, ...]
    power: Power
    price: Price
    hashprice_usd_per_ph_day: tuple[float, ...]
    hash_ph_per_s: tuple[float, ...]
    usd: tuple[float, ...]
    profit_usd: float
    terms: tuple[TermTotal, ...]
    served_usd: float
    sites: tuple[SiteRow, ...] = ()
    groups: tuple[GroupRow, ...] = ()
    pools: tuple[PoolRow, ...] = ()
    reserves: tuple[ReserveRow, ...] = ()
    workloads: tuple[WorkloadRow, ...] = ()
