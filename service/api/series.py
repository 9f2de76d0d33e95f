"""/v1/series: prices, hashprice, temperatures, limits and demand, in and out, as JSON or CSV."""

from datetime import datetime, timedelta
from typing import Annotated

from annotated_types import Len
from pydantic import Field

from models.base import Count, Instant, Name, Record, iso
from models.fleet import Fleet
from models.time_grid import LocalDays
from service.api.common import QueryInstant, found, invalid, who
from service.api.series_csv import CSV, as_csv, read_csv
from service.http.paging import Query
from service.http.routes import Answer, Call, Route, reads, writes
from service.ports import Services
from service.series_flags import Known
from service.series_intake import FARTHEST_AHEAD, MAX_POINTS, Sample, take_in
from service.store.records import Flag, SeriesDeclaration, SeriesPoint, age_s

RECENT = timedelta(days=2)


class SeriesIn(Record):
    """Values of a series, and what it is: the declaration may be left out once the series is known.

    `known_at` is when the source told them. `local_days` declares the whole local days that the points must cover.
    """

    declaration: SeriesDeclaration | None = None
    known_at: Instant
    local_days: LocalDays | None = None
    end: Instant | None = None
    points: Annotated[tuple[Sample, ...], Len(1, MAX_POINTS)]


class CsvQuery(Query):
    """With a CSV body: what JSON says beside its points."""

    known_at: QueryInstant | None = Field(default=None, description="CSV: when the source told the values.")
    end: QueryInstant | None = Field(default=None, description="CSV: end of the last step.")


class FlaggedSteps(Record):
    """A flag and the starts of the steps that carry it, at most 100 of them."""

    flag: Flag
    steps: Count
    starts: tuple[Instant, ...]


class SeriesReceipt(Record):
    """What became of the points: kept new ones, those that were kept already, and what is flagged."""

    name: Name
    stored: Count
    known: Count
    start: Instant
    end: Instant
    flagged: tuple[FlaggedSteps, ...]


class SeriesHead(Record):
    """One series: what it is, when it last told something, and whether it is overdue."""

    declaration: SeriesDeclaration
    newest_known_at: Instant | None
    stale: bool


class SeriesList(Record):
    """All series by name."""

    items: tuple[SeriesHead, ...]


class SeriesOut(Record):
    """A series and its values, by start."""

    declaration: SeriesDeclaration
    points: tuple[SeriesPoint, ...]


class ValuesQuery(Query):
    """Which steps, and as known when. Without `start` the last 24 hours and all that is known ahead."""

    start: QueryInstant | None = None
    end: QueryInstant | None = None
    known_by: QueryInstant | None = Field(default=None, description="Values as they were known at this instant, for replay.")


def routes(services: Services) -> list[Route]:
    """Return the routes of series."""
    store = services.store

    def declared(series: str, body: SeriesIn) -> SeriesDeclaration:
        declaration = body.declaration or store.series.declaration(series)
        if declaration is None:
            raise invalid("/declaration", "missing_field", f"series {series} is not known yet: declare what it is")
        if declaration.name != series:
            raise invalid("/declaration/name", "contradiction", f"expected {series} as in the path, got {declaration.name}")
        _check_subject(services, declaration)
        return declaration

    def take(call: Call, series: str, query: CsvQuery, body: SeriesIn) -> SeriesReceipt:
        """Check a series whole against the table of defects and keep it, or refuse it whole with every faulty row."""
        if (call.header("Content-Type") or "").split(";")[0].strip().lower() != CSV and query != CsvQuery():
            raise invalid("/known_at", "unknown_field", "a JSON body says all of it; the query is for CSV", "query")
        declaration = declared(series, body)
        _check_reach(body, call.now)
        known = Known(
            now=call.now, recent=_recent(services, declaration, body.points[0].start), scale=_scale(services, declaration)
        )
        points = take_in(declaration, body.points, known_at=body.known_at, known=known, local_days=body.local_days, end=body.end)
        with store.transaction():
            store.series.declare(declaration, at=call.now)
            stored = store.series.add(series, points)
            store.audit_log.append(
                who(call), "series.add", f"series {series}", at=call.now, request_id=call.request_id,
                detail={"stored": stored, "start": iso(points[0].start), "points": len(points)},
            )  # fmt: skip
        if stored and declaration.kind == "limit" and services.planning is not None:
            services.planning.limits_changed()
        return _receipt(declaration, points, stored)

    def listing(call: Call) -> SeriesList:
        """List all series."""
        return SeriesList(items=tuple(_head(services, d, call.now) for d in store.series.declarations()))

    def values(call: Call, series: str, query: ValuesQuery) -> Answer:
        """Return the newest values, or those known at an instant; as CSV for `Accept: text/csv`."""
        declaration = found(store.series.declaration(series))
        start = query.start or (query.known_by or call.now) - timedelta(days=1)
        end = query.end or start + FARTHEST_AHEAD
        points = store.series.values(series, start, end, query.known_by)
        if (call.header("Accept") or "").split(";")[0].strip() == CSV:
            return Answer(as_csv(points), media_type=f"{CSV}; charset=utf-8")
        return Answer(SeriesOut(declaration=declaration, points=tuple(points)))

    look = reads("operator", "planner")
    return [
        Route("GET", "/v1/series", listing, look, "All series", "series", SeriesList),
        Route(
            "POST", "/v1/series/{series}", take, writes("feed", "operator"), "Take a series in", "series", SeriesReceipt,
            limit="large", readers={CSV: read_csv}, problems=("conflict",),
        ),
        Route(
            "GET", "/v1/series/{series}", values, look, "Values of a series", "series", SeriesOut, also_produces={200: (CSV,)},
            request_headers={"Accept": "application/json or text/csv."},
        ),
    ]  # fmt: skip


def _check_subject(services: Services, declaration: SeriesDeclaration) -> None:
    """Refuse limits and demand of what the fleet does not have; indexes and temperatures may come before their sites."""
    newest = services.store.fleets.newest()
    if newest is None:
        return
    known = {"limit": set(newest.fleet.site_by_name), "demand": set(newest.fleet.workload_by_name)}.get(declaration.kind)
    if known is not None and declaration.subject not in known:
        what = "site" if declaration.kind == "limit" else "workload"
        raise invalid("/declaration/subject", f"unknown_{what}", f"the fleet has no {what} {declaration.subject}")
    if declaration.feeder is not None and _rated_w(newest.fleet, declaration) is None:
        feeders = [feeder.name for feeder in newest.fleet.site_by_name[str(declaration.subject)].feeders]
        words = f"{declaration.subject} has no feeder {declaration.feeder}; it has {', '.join(feeders) or 'none'}"
        raise invalid("/declaration/feeder", "unknown_feeder", words)


def _check_reach(body: SeriesIn, now: datetime) -> None:
    for row, point in enumerate(body.points):
        if point.start > now + FARTHEST_AHEAD:
            raise invalid(
                f"/points/{row}/start", "outside_window", f"expected within {FARTHEST_AHEAD.days} days, got {iso(point.start)}"
            )


def _recent(services: Services, declaration: SeriesDeclaration, start: datetime) -> list[SeriesPoint]:
    """Return what is known of the two days before the first point, or the last value before it."""
    series = services.store.series
    recent = series.values(declaration.name, start - RECENT, start)
    if recent:
        return recent
    last = series.last_before(declaration.name, start)
    return [last] if last else []


def _scale(services: Services, declaration: SeriesDeclaration) -> float | None:
    newest = services.store.fleets.newest()
    return None if newest is None else _rated_w(newest.fleet, declaration)


def _rated_w(fleet: Fleet, declaration: SeriesDeclaration) -> float | None:
    """Return what the meter or feeder of a limit carries at most; None for other kinds, or where the fleet lacks it."""
    site = fleet.site_by_name.get(declaration.subject or "") if declaration.kind == "limit" else None
    if site is None or declaration.feeder is None:
        return None if site is None else float(site.connection_limit_w)
    return next((float(feeder.limit_w) for feeder in site.feeders if feeder.name == declaration.feeder), None)


def _receipt(declaration: SeriesDeclaration, points: list[SeriesPoint], stored: int) -> SeriesReceipt:
    by_flag: dict[Flag, list[datetime]] = {}
    for point in points:
        for flag in point.flags:
            by_flag.setdefault(flag, []).append(point.start)
    flagged = (FlaggedSteps(flag=flag, steps=len(starts), starts=tuple(starts[:100])) for flag, starts in sorted(by_flag.items()))
    return SeriesReceipt(
        name=declaration.name, stored=stored, known=len(points) - stored, start=points[0].start,
        end=points[-1].start + timedelta(seconds=declaration.resolution_s),
        flagged=tuple(flagged),
    )  # fmt: skip


def _head(services: Services, declaration: SeriesDeclaration, now: datetime) -> SeriesHead:
    newest = services.store.series.newest_known_at(declaration.name)
    stale = newest is None or age_s(newest, now) > declaration.late_after_s
    return SeriesHead(declaration=declaration, newest_known_at=newest, stale=stale)
