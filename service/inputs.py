"""Gathers everything that one planning run needs into a complete Problem, and says what was missing.

Series that feeds post come before the replayed ones; the replay serves the reference fleet only. What is missing for one
site excludes that site and no other: it enters with a stand-in, and planning holds it (`service.holding`). A series that
ends before the plan does is not missing: what is known of it is used as it is, the rest is a forecast and labelled so.
"""

import bisect
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from models.base import iso
from models.contract import ForeignPrice
from models.fleet import Fleet
from models.problem import Label
from models.site import Site
from models.time_grid import TimeGrid
from scenarios.feed import REPLAYED, Replay, replay
from scenarios.reference import reference_fleet
from service.currency import currency_of, in_usd
from service.difficulty import difficulty_steps
from service.forecasting import Forecasts
from service.gathered import Gathered
from service.hashprice_ahead import hashprice_ahead
from service.limits import known_points, limits
from service.series_flags import told_of
from service.series_reading import Model, means
from service.standing import standing
from service.store import Store
from service.store.records import FleetVersion
from service.store.series_records import SeriesDeclaration, SeriesKind, SeriesPoint

FORECAST: Label = "forecast"
SHIPPED = "start"
"""Who stored a fleet that the service itself loaded at its first start."""
STAND_IN_PRICE_USD_PER_MWH = 50.0
STAND_IN_USD_PER_UNIT = 1.0
STAND_IN_KG_PER_MWH = 500.0
STAND_IN_AMBIENT_C = 40.0
"""Hot, so that what is planned with it also fits when the truth is cooler."""
MOST_NAMED = 5
"""Sites at which something stands in that are named; the rest are counted."""


class NoInputError(Exception):
    """There is nothing to plan with, for any site."""


def is_replayed(version: FleetVersion) -> bool:
    """Whether the replayed series are a fleet's own: it is the shipped one. A fleet of one's own may bear its name."""
    return version.created_by == SHIPPED or version.fleet == reference_fleet()


def gather(
    store: Store, fleet: Fleet, grid: TimeGrid, *, now: datetime, replayed: bool = False, forecasts: Forecasts | None = None
) -> Gathered:
    """Return the inputs of a fleet over a grid, as they are known now.

    replayed: whether the replay stands in for series that nobody posts, as it may for the reference fleet alone.
    forecasts: what trained models make of series that end before the grid does; without them their last day goes on.

    Raises:
        NoInputError: no hashprice is known at all.
    """
    return _Gathering(store, fleet, grid, now, replayed, forecasts).all()


class _Gathering:
    """One look at all series."""

    def __init__(
        self, store: Store, fleet: Fleet, grid: TimeGrid, now: datetime, replayed: bool, forecasts: Forecasts | None
    ) -> None:
        self.store, self.fleet, self.grid, self.now, self.forecasts = store, fleet, grid, now, forecasts
        self.replay: Replay | None = replay(grid) if replayed else None
        self.replayed = False
        self.forecast = False
        self.notes: list[str] = []
        self.hashprice_told_at = grid.start
        """Changes of the difficulty after it are not in the hashprice."""
        self.missing: dict[str, str] = {}
        self.read: dict[tuple[SeriesKind, str | None], tuple[float, ...] | None] = {}

    def all(self) -> Gathered:
        fleet = self.fleet
        hashprice = self._hashprice()
        indexes = sorted({name for s in fleet.sites for name in s.price_names})
        prices = {i: self._needed("price", i, STAND_IN_PRICE_USD_PER_MWH) for i in indexes}
        currencies = sorted({s.contract.currency for s in fleet.sites if isinstance(s.contract, ForeignPrice)})
        rates = {c: self._needed("exchange", c, STAND_IN_USD_PER_UNIT) for c in currencies}
        intensities = sorted({s.carbon.intensity for s in fleet.sites if s.carbon and s.carbon.intensity})
        carbon = {i: self._needed("carbon", i, STAND_IN_KG_PER_MWH) for i in intensities}
        ambient = {a: self._needed("ambient", a, STAND_IN_AMBIENT_C) for a in sorted({s.ambient for s in fleet.sites})}
        demand = {w.name: tuple(int(v) for v in self._needed("demand", w.name, 0.0)) for w in fleet.workloads}
        told = limits(self.store, fleet, self.grid, now=self.now)
        entered = standing(self.store, fleet, self.grid.start, self.grid.end)
        changes, left_out = difficulty_steps(self.store, self.hashprice_told_at, self.grid.end)
        self.notes += [*told.notes, *entered.notes, *left_out]
        sources = {k: v for k, v in self.replay.sources.items() if len(k) <= 63} if self.replay and self.replayed else {}
        return Gathered(
            grid=self.grid, fleet=fleet, hashprice_usd_per_ph_day=hashprice, prices_usd_per_mwh=prices,
            usd_per_unit=rates, carbon_kg_per_mwh=carbon, ambient_c=ambient,
            limit_w=told.limit_w, feeder_limit_w=told.feeder_limit_w, demand_work_per_h=demand, orders=entered.orders,
            outages=entered.outages, pins=entered.pins, awards=entered.awards, difficulty_steps=changes,
            excluded=self._excluded(),
            notes=tuple(self.notes), labels=self._labels(), sources=sources,
        )  # fmt: skip

    def _labels(self) -> tuple[Label, ...]:
        return (*((REPLAYED,) if self.replayed else ()), *((FORECAST,) if self.forecast else ()))

    def _excluded(self) -> dict[str, str]:
        """Sites whose own input is missing, and what is missing."""
        found = {}
        for site in self.fleet.sites:
            keys = _own_series(site)
            if why := [self.missing[key] for key in keys if key in self.missing]:
                found[site.name] = "; ".join(why)
        return found

    def _at(self, kind: SeriesKind, subject: str) -> str:
        """Name the sites that a series is the own input of."""
        names = [site.name for site in self.fleet.sites if f"{kind} {subject}" in _own_series(site)]
        if not names:
            return ""
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        return f" at {', '.join(names[:MOST_NAMED])}{more}"

    def _hashprice(self) -> tuple[float, ...]:
        """Return what hashing earns; where its series is not usable, the last value known is held, with a note.

        Raises:
            NoInputError: nothing was ever told.
        """
        values = self._series("hashprice", None)
        if values is not None:
            return values
        if self.replay is not None and not self._declared("hashprice", None):
            self.replayed = True
            return self.replay.hashprice_usd_per_ph_day
        if (last := self._last_known("hashprice", None)) is None:
            raise NoInputError("no series of kind hashprice tells what hashing earns; post one to /v1/series")
        self.hashprice_told_at = last.known_at
        self.notes.append(f"hashprice_missing: {self.missing['hashprice None']}; {last.value:g}, the last value known, is held")
        return (last.value,) * self.grid.steps

    def _needed(self, kind: SeriesKind, subject: str, stand_in: float) -> tuple[float, ...]:
        """Return a series that sites or workloads need, or a stand-in, with a note and a mark that it is missing."""
        values = self._series(kind, subject)
        if values is not None:
            return values
        if self.replay is not None and not self._declared(kind, subject):
            families: dict[str, Mapping[str, Sequence[float]]] = {
                "price": self.replay.prices_usd_per_mwh,
                "exchange": self.replay.usd_per_unit,
                "ambient": self.replay.ambient_c,
                "demand": self.replay.demand_work_per_h,
            }
            family = families.get(kind, {})
            if subject in family:
                self.replayed = True
                return tuple(family[subject])
        why = self.missing.setdefault(f"{kind} {subject}", f"no usable series of kind {kind} for {subject}")
        whose = f"workload {subject}: " if kind == "demand" else ""
        if (told := self._as_told(kind, subject)) is not None:
            self.notes.append(f"{kind}_missing: {whose}{why}; what it told of these hours stands in{self._at(kind, subject)}")
            return told
        last = self._last_known(kind, subject)
        held = stand_in if last is None else last.value
        self.notes.append(f"{kind}_missing: {whose}{why}; {held:g} stands in{self._at(kind, subject)}")
        return (held,) * self.grid.steps

    def _as_told(self, kind: SeriesKind, subject: str) -> tuple[float, ...] | None:
        """Return what a series that is overdue told of the steps, gone on with by its last day; None where it told nothing."""
        for declaration in self._declared(kind, subject):
            points, _ = known_points(self.store, declaration, self.grid, self.now)
            if points and not isinstance(found := means(declaration, points, self.grid), str):
                usd = self._in_usd(declaration, found.values)
                return None if isinstance(usd, str) else usd
        return None

    def _declared(self, kind: SeriesKind, subject: str | None) -> list[SeriesDeclaration]:
        return self.store.series.declarations(kind, subject)

    def _last_known(self, kind: SeriesKind, subject: str | None) -> SeriesPoint | None:
        for declaration in self._declared(kind, subject):
            if (
                currency_of(declaration) is None
                and (point := self.store.series.last_before(declaration.name, self.grid.end)) is not None
            ):
                return point
        return None

    def _series(self, kind: SeriesKind, subject: str | None) -> tuple[float, ...] | None:
        """Return the mean of a posted series over each step, or None where none is usable; the reason is kept.

        Where several series tell of the same, the first by name that is usable counts, and a note says so.
        """
        if (kind, subject) not in self.read:
            self.read[kind, subject] = self._first_usable(kind, subject)
        return self.read[kind, subject]

    def _first_usable(self, kind: SeriesKind, subject: str | None) -> tuple[float, ...] | None:
        declared = self._declared(kind, subject)
        refused: list[str] = []
        for declaration in declared:
            found = self._of(declaration)
            if isinstance(found, tuple):
                if len(declared) > 1:
                    names = ", ".join(d.name for d in declared)
                    why = f" ({'; '.join(refused)})" if refused else ""
                    self.notes.append(f"{kind}_several: of {names}, {declaration.name} is used{why}")
                return found
            refused.append(found)
        if refused:
            self.missing[f"{kind} {subject}"] = "; ".join(refused)
        return None

    def _of(self, declaration: SeriesDeclaration) -> tuple[float, ...] | str:
        points, wrong = known_points(self.store, declaration, self.grid, self.now)
        if wrong is not None:
            return wrong
        found = means(declaration, points, self.grid, lambda: self._model(declaration))
        if isinstance(found, str):
            return found
        values = self._in_usd(declaration, found.values)
        if isinstance(values, str):
            return values
        if declaration.kind == "hashprice":
            self.hashprice_told_at = max(point.known_at for point in points)
        if found.not_told:
            words = f"{found.not_told} interval(s) of series {declaration.name} take the value before them"
            self.notes.append(f"{declaration.kind}_filled: {words}")
        lasts = timedelta(seconds=declaration.resolution_s)
        self.notes += told_of(declaration, [point for point in points if point.start + lasts > self.grid.start])
        if (beyond := found.forecast) is not None:
            self.forecast = True
            words = f"series {declaration.name} is known until {iso(beyond.since)}; {beyond.steps} step(s) after it take"
            self.notes.append(f"{declaration.kind}_forecast: {words} {beyond.rule}")
        return values

    def _in_usd(self, declaration: SeriesDeclaration, values: tuple[float, ...]) -> tuple[float, ...] | str:
        """Return values in USD, at the mean rate of exchange of each step, or in words why that cannot be."""
        if (currency := currency_of(declaration)) is None:
            return values
        rates = self._series("exchange", currency)
        if rates is None:
            why = self.missing.get(
                f"exchange {currency}", f"no series of kind exchange tells what a unit of {currency} is in USD"
            )
            return f"series {declaration.name} is in {declaration.unit}, and {why}"
        return in_usd(declaration, values, rates)

    def _model(self, declaration: SeriesDeclaration) -> Model | None:
        """Return what a trained model makes of a series after its end; None where none is better than the naive forecast."""
        if self.forecasts is None:
            return None
        if declaration.kind == "hashprice" and (found := hashprice_ahead(self.store, declaration, self.now, self.grid)):
            return found
        if (made := self.forecasts.continued(declaration, self.now, self.grid.end)) is None:
            return None
        grid, mean = made.forecast.grid, made.forecast.mean
        return Model(grid.start, grid.end, lambda at: mean[bisect.bisect_right(grid.starts, at) - 1], made.words)


def _own_series(site: Site) -> list[str]:
    """Return the series without which a site cannot be optimised, by kind and subject."""
    keys = [f"ambient {site.ambient}"]
    keys += [f"price {name}" for name in sorted(site.price_names)]
    keys += [f"exchange {site.contract.currency}"] if isinstance(site.contract, ForeignPrice) else []
    keys += [f"carbon {site.carbon.intensity}"] if site.carbon and site.carbon.intensity else []
    return keys
