"""A history of a few hours whose money can be worked out by hand: one site, two blocks of one mode, an index price."""

from datetime import UTC, datetime, timedelta

import numpy as np

from models.asic import AsicGroup, Mode
from models.contract import IndexPrice
from models.fleet import Fleet
from models.problem import Problem
from models.site import Site
from models.state import Cohort, GroupState, SiteState, State
from models.time_grid import hourly
from scenarios.backtest.history import AMBIENT, HASHPRICE, PRICE, History
from scenarios.local_clock import DAY_S, HOUR_S, seconds
from scenarios.timed import Timed

START = datetime(2026, 3, 2, 0, tzinfo=UTC)
HASHPRICE_USD = 48.0
"""With 100 TH/s on 3 kW: 48 x 1000 / (24 x 30) = 66.67 USD/MWh."""
BLOCK_MW, BLOCK_PH = 0.3, 10.0
HASH_USD_PER_BLOCK_H = HASHPRICE_USD * BLOCK_PH / 24
"""20 USD an hour and block; a block's energy at p USD/MWh costs 0.3 p."""


def machines(**changes):
    mode = Mode(name="normal", miner_power_w=3000, miner_hash_th_per_s=100.0)
    given = {"name": "row", "model": "by hand", "blocks": 2, "miners_per_block": 100, "modes": (mode,)}
    return AsicGroup(**given | changes)


def mine(**changes):
    given = {
        "name": "pecos", "region": "texas", "country": "US", "zone": "Etc/UTC", "ambient": "air", "connection_limit_w": 1_000_000,
        "contract": IndexPrice(index="HUB"), "asic_groups": (machines(),),
    }  # fmt: skip
    return Site(**given | changes)


def timed(name, values, *, start=START, step_s=HOUR_S, known_after_s=None):
    starts = seconds(start) + step_s * np.arange(len(values), dtype=np.int64)
    return Timed(
        name, "-", "Etc/UTC", step_s, starts, starts + (step_s if known_after_s is None else known_after_s), np.array(values)
    )


def history(prices, *sites, steps=None, before=None, scored=None, ahead=None, ambient=None, running=0):
    """What came is `prices` by the hour; `before` are those of the hours before it, of which one is known at the start."""
    sites = sites or (mine(),)
    grid = hourly(START, len(prices))
    before = [60.0] * 24 if before is None else before
    began = START - timedelta(hours=len(before))
    states = {
        s.name: SiteState(
            draw_w=0,
            groups={
                g.name: GroupState(mode_blocks={"normal": running}, started=(Cohort(count=running, since=began),))
                if running
                else GroupState()
                for g in s.asic_groups
            },
            as_of=START,
        )
        for s in sites
    }
    ambient = [15.0] * len(prices) if ambient is None else ambient
    problem = Problem(
        name="by-the-hour", grid=grid, fleet=Fleet(name="one", sites=sites),
        hashprice_usd_per_ph_day=(HASHPRICE_USD,) * grid.steps,
        prices_usd_per_mwh={"HUB": tuple(map(float, prices))}, ambient_c={"air": tuple(ambient)},
        state=State(at=START, sites=states),
    )  # fmt: skip
    steps = len(prices) if steps is None else steps
    past = {
        PRICE + "HUB": timed("HUB", [*before, *prices], start=began),
        HASHPRICE: timed("hashprice", [HASHPRICE_USD] * 5, start=START - timedelta(days=3), step_s=DAY_S),
        AMBIENT + "air": timed("air", [15.0] * len(before) + list(ambient), start=began),
    }
    if ahead is not None:
        past["ahead.HUB"] = timed("ahead", ahead, known_after_s=-12 * HOUR_S)
    return History(problem, steps, past, scored or (True,) * steps)
