"""The named histories: where each stands, when, and of which series.

Four need the folder of larger data (`WATTSPLIT_DATA`, Parquet); `storm` stands beside this module: eight days of ERCOT's West
hub in February 2021, two of which are replayed. What is not history is declared in `notes`: machines, contracts, demand's shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from models.problem import Problem
from models.time_grid import TimeGrid, hourly
from models.workload import ReservedWorkload
from scenarios.backtest.history import (
    AHEAD,
    AMBIENT,
    DEMAND,
    HASHPRICE,
    PRICE,
    History,
    hourly_means,
    in_usd,
    plain_on,
    price_on,
)
from scenarios.backtest.places import Place, fleet_at, node_share
from scenarios.backtest.records import BacktestSpec, DataFlag, Market
from scenarios.backtest.storm import read_storm
from scenarios.feed import initial_state, replay
from scenarios.forecast.network_days import Network, read_days
from scenarios.local_clock import DAY_S, HOUR_S, seconds
from scenarios.markets import market, read_market
from scenarios.markets.demand import read_burstgpt
from scenarios.markets.network import read_network
from scenarios.markets.weather import read_temperature
from scenarios.timed import Timed

FLEET = "reference-texas"
LEAD_DAYS = 9
"""Days of demand before the period."""
BURST_SHARE = 0.3
"""Of a workload's mean demand, what follows BurstGPT's conversations (assumed): their days differ, the feed's week recurs."""
WINDOW = 24
USD_PER_EUR = {
    2021: (1.2171, 1.2098, 1.1899, 1.1979, 1.2146, 1.2047, 1.1822, 1.1772, 1.1770, 1.1601, 1.1414, 1.1304),
    2022: (1.1314, 1.1342, 1.1019, 1.0819, 1.0579, 1.0566, 1.0179, 1.0128, 0.9904, 0.9826, 1.0201, 1.0589),
}
"""Mean of each month over its days of business, to four decimals, of the euro reference rates of the European Central Bank
(series EXR.D.USD.EUR.SP00.A). Those of December 2021 to March 2022, in which prices are replayed, and of June and July 2021 were
computed again from the daily rates and agree; the others keep to the published means of their years. Within a month a day's
rate differs from its mean by 1.6 % at most in those six. The year before a period is for models to learn from."""
Series = dict[str, Timed]


@dataclass(frozen=True)
class Named:
    """A history: title, place, first instant, and by index the market and the day-ahead market that stands in for it."""

    title: str
    place: Place
    start: datetime
    markets: Mapping[str, tuple[str, str | None]]
    city: str = ""
    days: int = 28


def _texas(day_ahead: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    return {f"ERCOT_HB_{hub.upper()}": (f"ercot_{hub}", day_ahead[hub]) for hub in ("west", "north")}


TEXAS = Place("texas", "US", "America/Chicago", "DALLAS")
HISTORIES: dict[str, Named] = {
    "ercot-2023": Named(
        "ERCOT, 14 August to 10 September 2023: heat, scarcity on many evenings, the emergency of 6 September",
        TEXAS, datetime(2023, 8, 14, 5, tzinfo=UTC), _texas({"west": "ercot_dam_average", "north": "ercot_dam_average"}),
        "dallas_ercot",
    ),
    "ercot-2021": Named(
        "ERCOT, February 2021: the winter storm of 13 to 20 February, days at 9,000 USD/MWh",
        TEXAS, datetime(2021, 2, 1, 6, tzinfo=UTC), _texas({"west": "ercot_dam_west", "north": "ercot_dam_north"}),
        "dallas_ercot",
    ),
    "caiso-2022": Named(
        "CAISO, 15 August to 11 September 2022: the heat wave from 31 August on",
        Place(
            "california", "US", "America/Los_Angeles", "SAN_JOSE",
            {"ERCOT_HB_WEST": "CAISO_SP15", "ERCOT_HB_NORTH": "CAISO_NP15"}, block_usd_per_mwh=60.0,
        ),
        datetime(2022, 8, 15, 7, tzinfo=UTC),
        {"CAISO_SP15": ("caiso_sp15", "caiso_dam_np15"), "CAISO_NP15": ("caiso_np15", "caiso_dam_np15")},
        "sanjose_caiso",
    ),
    "germany-2022": Named(
        "Germany and Luxembourg, 1 to 28 March 2022: record prices and windy hours below zero; a day of 23 hours",
        Place(
            "germany", "DE", "Europe/Berlin", "FRANKFURT",
            {"ERCOT_HB_WEST": "DE_LU", "ERCOT_HB_NORTH": "DE_LU"}, block_usd_per_mwh=100.0,
        ),
        datetime(2022, 2, 28, 23, tzinfo=UTC),
        {"DE_LU": ("eu_de_lu", None)},
        "frankfurt_de",
    ),
    "storm": Named(
        "ERCOT's West hub, 18 and 19 February 2021: the storm ends; needs no folder of data",
        TEXAS, datetime(2021, 2, 18, 6, tzinfo=UTC), {"ERCOT_HB_WEST": ("", "")}, days=2,
    ),
}  # fmt: skip
"""The histories by name; the mean-value set is all but `storm`."""
MEAN_VALUE_SET = ("ercot-2023", "ercot-2021", "caiso-2022", "germany-2022")


def spec_of(name: str, days: int | None = None, **changes: Any) -> BacktestSpec:
    """Return the specification of a named history.

    days: how many are replayed, by default all. changes: of the specification's fields; its plan knows by models.

    Raises:
        ValueError: there is no such history.
    """
    if name not in HISTORIES:
        raise ValueError(f"history: expected one of {sorted(HISTORIES)}, got {name!r}")
    named = HISTORIES[name]
    of_storm = {"sites": 3, "window_steps": 12} if name == "storm" else {}
    given: dict[str, Any] = {
        "name": name, "title": named.title, "history": name, "start": named.start, "steps": 24 * (days or named.days),
        "fleet": FLEET, "window_steps": WINDOW, "markets": _markets(name),
        "knowledge": "model",
    }  # fmt: skip
    return BacktestSpec(**given | of_storm | changes)


def load(spec: BacktestSpec, data: Path | None = None) -> History:
    """Return the history that a specification asks for.

    data: the folder of larger data; `storm` needs none.

    Raises:
        ValueError: no such history, no folder or file, another fleet or market, steps other than hours, or a series with a gap
            that nothing fills.
    """
    if spec.history not in HISTORIES:
        raise ValueError(f"history: expected one of {sorted(HISTORIES)}, got {spec.history!r}")
    if spec.fleet != FLEET:
        raise ValueError(f"fleet: expected {FLEET}, on which histories are replayed, got {spec.fleet!r}")
    if spec.markets not in ((), _markets(spec.history)):
        raise ValueError(f"markets: expected those of {spec.history} or none, got {[one.market for one in spec.markets]}")
    if spec.step_s != HOUR_S:
        raise ValueError(f"step_s: expected {HOUR_S} s, as histories are replayed by the hour, got {spec.step_s}")
    if spec.history == "storm":
        return _assembled(spec, read_storm(), None)
    if data is None or not data.is_dir():
        raise ValueError(f"history {spec.history}: expected the folder of larger data (WATTSPLIT_DATA), got {data}")
    return _assembled(spec, _from_folder(spec, data), read_days(data))


def _assembled(spec: BacktestSpec, series: Series, network: Network | None) -> History:
    named = HISTORIES[spec.history]
    grid = hourly(spec.start, spec.steps + spec.window_steps)
    fleet = fleet_at(named.place, spec.sites, spec.history)
    indexes = sorted({index for site in fleet.sites for index in site.price_names})
    came = {index: price_on(grid, index, series[PRICE + index], series.get(AHEAD + index)) for index in indexes}
    past: Series = {name: hourly_means(one) for name, one in series.items() if name.split(".")[0] in ("price", "ahead")}
    past |= {HASHPRICE: series[HASHPRICE], AMBIENT + named.place.ambient: series[AMBIENT]}
    past |= _demand(fleet, series[DEMAND], node_share(fleet))
    ambient = {named.place.ambient: _rounded(plain_on(grid, "temperature", series[AMBIENT]), 2)}
    left_out = np.any([list(c.is_instead)[: spec.steps] for c in came.values()], axis=0)
    flags: tuple[DataFlag, ...] = tuple(flag for c in came.values() for flag in c.flags)
    problem = Problem(
        name=spec.history,
        grid=grid,
        fleet=fleet,
        hashprice_usd_per_ph_day=_rounded(plain_on(grid, "hashprice", series[HASHPRICE]), 4),
        prices_usd_per_mwh={index: _rounded(c.values, 4) for index, c in came.items()},
        ambient_c=ambient,
        demand_work_per_h={
            w.name: tuple(int(v) for v in plain_on(grid, f"demand of {w.name}", past[DEMAND + w.name])) for w in fleet.workloads
        },
        state=initial_state(fleet, grid.start, {named.place.ambient: ambient[named.place.ambient][0]}),
        labels=("replayed",),
    )
    sources = {name.rstrip("."): one.source for name, one in series.items() if one.source}
    return History(problem, spec.steps, past, tuple((~left_out).tolist()), flags, _notes(spec), sources, network)


def _from_folder(spec: BacktestSpec, data: Path) -> Series:
    named, found = HISTORIES[spec.history], {}
    for index, (real, ahead) in named.markets.items():
        found[PRICE + index] = _usd(read_market(data, real))
        if ahead is not None:
            found[AHEAD + index] = _usd(read_market(data, ahead))
    burst_from = named.start - timedelta(days=LEAD_DAYS)
    return found | {
        HASHPRICE: read_network(data, "hashprice_usd_ph_day"),
        AMBIENT: read_temperature(data, named.city),
        DEMAND: read_burstgpt(data, "conversation_requests", start=burst_from, zone=named.place.zone),
    }


def _demand(fleet: Any, burst: Timed, share: float) -> Series:
    """Demand by workload: the reference feed's week, a part of it by the real days of another trace."""
    grid = TimeGrid(start=burst.first, step_s=(HOUR_S,) * len(burst))
    week, shape = replay(grid).demand_work_per_h, burst.values / burst.values.mean()
    found = {}
    for workload in fleet.workloads:
        base = np.array(week[workload.name], float) * share
        if not isinstance(workload, ReservedWorkload):
            base = (1 - BURST_SHARE) * base + BURST_SHARE * base.mean() * shape
        found[DEMAND + workload.name] = Timed(
            workload.name, "work/h", burst.zone, HOUR_S, burst.starts_s, burst.known_s, np.floor(base)
        )
    return found


def _usd(price: Timed) -> Timed:
    if price.currency in (None, "USD"):
        return price
    if price.currency != "EUR":
        raise ValueError(f"{price.name}: expected prices in USD or EUR, got {price.currency}")
    rates = _euro()
    return in_usd(price.between(rates.first, rates.end), rates)


def _euro() -> Timed:
    """The exchange rate by day: that of its month."""
    first, end = datetime(min(USD_PER_EUR), 1, 1, tzinfo=UTC), datetime(max(USD_PER_EUR) + 1, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    starts = np.array([seconds(day) for day in days], np.int64)
    rates = np.array([USD_PER_EUR[day.year][day.month - 1] for day in days])
    source = "euro reference rates of the European Central Bank, means of months to four decimals"
    return Timed("EUR", "USD/EUR", "UTC", DAY_S, starts, starts, rates, "USD", source)


def _markets(name: str) -> tuple[Market, ...]:
    if name == "storm":
        return (Market(index="ERCOT_HB_WEST", market="ercot_west", zone="America/Chicago", instead="ercot_dam_west"),)
    found = []
    for index, (real, ahead) in HISTORIES[name].markets.items():
        known = market(real)
        found.append(
            Market(
                index=index, market=real, zone=known.zone, currency=known.currency, resolution_s=known.step_s,
                kind="real_time" if known.auction is None else "day_ahead", instead=ahead or "", source=known.source,
            )
        )  # fmt: skip
    return tuple(found)


def _rounded(values: Any, digits: int) -> tuple[float, ...]:
    return tuple(round(float(v), digits) for v in values)


def _notes(spec: BacktestSpec) -> tuple[str, ...]:
    return (
        f"machines, connections and contracts: {spec.sites} sites of the invented reference fleet, on real prices, temperatures "
        "and hashprice; whose site has which contract is assumed",
        f"demand: the reference feed's week, {BURST_SHARE:.0%} of it by the days of BurstGPT, laid over the period: no trace of "
        "a production service over a month is published",
        "reserves are not sold, by plans and rules alike: what was awarded and called at these hours is in no data here, and no "
        "award is carried from plan to plan; what they would earn is missing on all sides",
        "system peaks are charged by what they are expected to cost: which hours were billed is not in the data",
    )
