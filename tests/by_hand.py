"""Small worlds whose figures can be checked by hand, and one element at a time on them."""

from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from models.asic import AsicGroup, Mode
from models.billing import MonthTotals
from models.contract import FixedPrice
from models.fleet import Fleet
from models.gpu import GpuPool
from models.problem import Problem
from models.site import Site
from models.state import Cohort, GroupState, PoolState, SiteState, State
from models.time_grid import TimeGrid
from optimizer.axes import declare_world
from optimizer.compile import compile_model
from optimizer.contribution import earn
from optimizer.declare import Model
from optimizer.formulation import data_of
from optimizer.sets import world

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def group(**changes):
    """Two blocks of ten miners: 30 kW and 1 PH/s a block in eco, 50 kW and 1.5 PH/s in turbo."""
    given = {
        "name": "row",
        "model": "by hand",
        "blocks": 2,
        "miners_per_block": 10,
        "modes": (
            Mode(name="eco", miner_power_w=3000, miner_hash_th_per_s=100.0),
            Mode(name="turbo", miner_power_w=5000, miner_hash_th_per_s=150.0),
        ),
    }
    return AsicGroup(**given | changes)


def pool(**changes):
    """Four nodes of 8 kW and up to 2 kW more; 3,600,000 tokens an hour each."""
    given = {"name": "nodes", "gpu_type": "h100", "nodes": 4, "node_fixed_w": 8000, "node_span_w": 2000}
    return GpuPool(**given | {"throughput_tokens_per_s": {"llama": 1000}} | changes)


def site(**changes):
    """A site without machines, on 1 MW at 60 USD/MWh."""
    given = {"name": "pecos", "region": "texas", "country": "US", "zone": "America/Chicago", "ambient": "pecos"}
    return Site(**given | {"connection_limit_w": 1_000_000, "contract": FixedPrice(price_usd_per_mwh=60.0)} | changes)


def cohorts(*aged):
    """Cohorts of (count, age in seconds at the start)."""
    return tuple(Cohort(count=count, since=START - timedelta(seconds=age_s)) for count, age_s in aged)


def problem(
    *sites, step_s=(3600, 3600), workloads=(), demand=None, hashprice=48.0, ambient=20.0, limits=None, prices=None, orders=(),
    draw_w=0, groups=None, pools=None, backlog=None, start=START, months=None, outages=(), pins=(), latency_ms=None,
    outlook=None,
):  # fmt: skip
    """A whole problem; `groups` and `pools` give the state of machines by name, all others have been off for ever.

    months: by month, what the meters of all sites have counted, as fields of `MonthTotals`.
    """
    steps = len(step_s)
    states = {
        s.name: SiteState(
            draw_w=draw_w,
            months={month: MonthTotals(**totals) for month, totals in (months or {}).items()},
            groups={g.name: (groups or {}).get(g.name, GroupState()) for g in s.asic_groups},
            pools={p.name: (pools or {}).get(p.name, PoolState()) for p in s.gpu_pools},
            as_of=start,
        )
        for s in sites
    }
    return Problem(
        name="by-hand",
        grid=TimeGrid(start=start, step_s=step_s),
        fleet=Fleet(name="by-hand", sites=sites, workloads=tuple(workloads), latency_ms=latency_ms or {}),
        hashprice_usd_per_ph_day=(hashprice,) * steps,
        prices_usd_per_mwh=prices or {},
        ambient_c={s.ambient: (ambient,) * steps for s in sites},
        limit_w=limits or {},
        demand_work_per_h=demand or {},
        orders=tuple(orders),
        outages=tuple(outages),
        pins=tuple(pins),
        outlook=outlook or {},
        state=State(at=start, sites=states, backlog=backlog or {}),
    )


def alone(declare, of, **release):
    """Compile one element alone, with the money that it contributes."""
    model = Model()
    declare_world(model)
    part = declare(model)
    if part is not None:
        earn(model, [part])
    return compile_model(model, data_of(model, world(of, **release)))


def solved(compiled, objective=None, **fixed):
    """Return the optimal column values with some families fixed, or None where that is impossible.

    objective: what to maximise, by family; the model's own money by default.
    """
    low, high = compiled.col_lower.copy(), compiled.col_upper.copy()
    for name, values in fixed.items():
        numbers = compiled.columns[name]
        low[numbers] = high[numbers] = np.broadcast_to(values, numbers.shape)
    if (low > compiled.col_upper).any() or (high < compiled.col_lower).any():
        return None
    cost = compiled.cost if objective is None else np.zeros(len(low))
    for name, values in (objective or {}).items():
        cost[compiled.columns[name]] = values
    rows = [LinearConstraint(compiled.matrix, compiled.row_lower, compiled.row_upper)] if compiled.matrix.shape[0] else []
    found = milp(-cost, integrality=compiled.integer.astype(int), bounds=Bounds(low, high), constraints=rows)
    assert found.status in (0, 2), found.message
    return found.x


def values(compiled, x, name):
    """Return the values of a family, shaped by its sets."""
    return x[compiled.columns[name]]


def usd(compiled, x, term):
    """Return the money of a term by cell."""
    return compiled.money[term].usd(x)
