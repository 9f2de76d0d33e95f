"""The reference fleet and the window of real figures that its feed replays, as files in this folder."""

import csv
from functools import cache
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Lt

from models.base import AmbientC, Name, Positive, Record, Share, Text, Work
from models.fleet import Fleet
from models.market import SUBSIDY_BTC, NetworkState, fees_from_share
from models.reading import parse, parse_yaml
from models.time_grid import Zone
from scenarios.fleet_file import read_fleet

FOLDER = Path(__file__).parent
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS_OF_WEEK = 168

WeekTable = dict[str, tuple[float, ...]]
"""Columns of a table by name: one value per local hour of the week, from Monday 00:00."""


class _Sourced(Record):
    period: Text
    source: Text
    licence: Text


class TableSeries(_Sourced):
    """A column of a table in this folder, by weekday and hour of a zone."""

    zone: Zone
    table: Name


class DailyRange(_Sourced):
    """Temperatures between two values that come back every day."""

    zone: Zone
    low_c: AmbientC
    high_c: AmbientC


class Shape(_Sourced):
    """A column of requests per hour, by weekday and hour."""

    table: Name


class Demand(Record):
    """A workload's demand: a mean [work/h], and the shape that it follows; without a shape it is flat.

    `flat_share` is the share of the mean that does not follow the shape.
    """

    zone: Zone
    shape: Name | None = None
    flat_share: Share = 0.0
    mean_work_per_h: Work
    source: Text


class Hashprice(_Sourced):
    """What hashprice is computed from; `published_usd_per_ph_day` is what others printed for the day."""

    difficulty: Positive
    btc_price_usd: Positive
    fee_share: Annotated[float, Ge(0), Lt(1)]
    published_usd_per_ph_day: Positive

    @property
    def usd_per_ph_day(self) -> float:
        """Hashprice by the formula."""
        fees_btc = fees_from_share(SUBSIDY_BTC, self.fee_share)
        state = NetworkState(difficulty=self.difficulty, btc_price_usd=self.btc_price_usd, fees_btc=fees_btc)
        return state.hashprice_usd_per_ph_day


class ExchangeRate(_Sourced):
    """One rate for the whole window."""

    usd_per_unit: Positive


class Feed(Record):
    """Every series of the window, with source, period and licence."""

    name: Name
    hashprice: Hashprice
    prices_usd_per_mwh: dict[Name, TableSeries]
    usd_per_unit: dict[Name, ExchangeRate] = {}
    ambient_c: dict[Name, TableSeries | DailyRange]
    shapes: dict[Name, Shape]
    demand_work_per_h: dict[Name, Demand]


@cache
def reference_fleet() -> Fleet:
    """Return the reference fleet."""
    return read_fleet((FOLDER / "fleet.yaml").read_bytes())


@cache
def reference_feed() -> Feed:
    """Return what the reference feed replays."""
    return parse(Feed, parse_yaml((FOLDER / "feed.yaml").read_bytes()))


@cache
def week_table(name: str) -> WeekTable:
    """Return a table of this folder, its columns by name.

    Raises:
        ValueError: the rows are not the hours of one week from Monday 00:00 in order.
    """
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    expected = [[day, str(hour)] for day in DAYS for hour in range(24)]
    if [row[:2] for row in rows] != expected:
        raise ValueError(f"{name}: expected one row for every hour of the week from mon,0 to sun,23, in order")
    return {column: tuple(float(row[at]) for row in rows) for at, column in enumerate(header) if at >= 2}
