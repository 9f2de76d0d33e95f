"""/v1/series: prices, hashprice, temperatures, limits and demand, in and out, as JSON, CSV or Parquet."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import Field

from models.base import Instant, Record, iso
from models.reading import BadInputError
from models.time_grid import LocalDays
from service.api.common import QueryInstant, found, invalid, who
from service.http.paging import Query
from service.http.problems import Problem
from service.http.routes import Answer, Call, Reader, Route, reads, writes
from service.ports import Services
from service.series_csv import CSV, as_csv, by_line, read_csv
from service.series_intake import FARTHEST_AHEAD
from service.series_keeping import Handed, SeriesIn, SeriesReceipt, check, keep
from service.series_parquet import PARQUET, ParquetAbsentError, by_row, read_parquet, write_parquet
from service.store.records import age_s
from service.store.series_records import SeriesDeclaration, SeriesPoint

A_DAY = timedelta(days=1)
MOST_STEPS = 100_000
"""Steps in one answer; more are asked for in parts."""
FIRST, LAST = (instant.replace(tzinfo=UTC) for instant in (datetime.min, datetime.max))


class TableQuery(Query):
    """With a body of CSV or Parquet: what JSON says beside its points."""

    known_at: QueryInstant | None = Field(default=None, description="CSV, Parquet: when the source told the values.")
    end: QueryInstant | None = Field(default=None, description="CSV, Parquet: end of the last step.")
    first_day: date | None = Field(default=None, description="CSV: first of the local days that the rows must cover.")
    days: Annotated[int, Ge(1), Le(31)] | None = Field(default=None, description="CSV: how many local days, 1 if absent.")


class SeriesHead(Record):
    """One series: what it is, from when until when it has values, when it last told something, and whether it is overdue."""

    declaration: SeriesDeclaration
    start: Instant | None
    end: Instant | None
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

    def take(call: Call, series: str, query: TableQuery, body: SeriesIn) -> SeriesReceipt:
        """Check a series whole against the table of defects and keep it, or refuse it whole with every faulty row."""
        if _media_type(call, "Content-Type") not in (CSV, PARQUET) and query != TableQuery():
            raise invalid("/known_at", "unknown_field", "a JSON body says all of it; the query is for tables", "query")
        if query.first_day is not None:
            zone = found(body.declaration or store.series.declaration(series)).zone
            try:
                days = LocalDays(zone=zone, first=query.first_day, days=query.days or 1)
            except ValueError:
                words = f"expected {query.days or 1} day(s) of the years 1 to 9999, got {query.first_day}"
                raise invalid("/first_day", "invalid_value", words, "query") from None
            body = body.model_copy(update={"local_days": days})
        elif query.days is not None:
            raise invalid("/days", "missing_field", "days are counted from first_day, which is absent", "query")
        handed = Handed(by=who(call), at=call.now, request_id=call.request_id)
        try:
            checked = check(store, series, body, handed)
        except BadInputError as error:
            reader = READERS.get(_media_type(call, "Content-Type"))
            raise BadInputError(reader.placed(error.refusals)) if reader else error from None
        with store.transaction():
            receipt = keep(store, checked, handed)
        if receipt.stored and checked.declaration.kind == "limit" and services.planning is not None:
            services.planning.limits_changed()
        return receipt

    def listing(call: Call) -> SeriesList:
        """List all series."""
        return SeriesList(items=tuple(_head(services, d, call.now) for d in store.series.declarations()))

    def values(call: Call, series: str, query: ValuesQuery) -> Answer:
        """Return the newest values, or those known at an instant; as CSV or Parquet where `Accept` asks for it."""
        declaration = found(store.series.declaration(series))
        start, end = _span(query, call.now)
        points = store.series.values(series, start, end, query.known_by, MOST_STEPS + 1)
        if len(points) > MOST_STEPS:
            words = f"expected at most {MOST_STEPS} steps; ask for an end by {iso(points[-1].start)}, and for the rest from there"
            raise invalid("/end", "too_many", words, "query")
        wanted = _media_type(call, "Accept")
        if wanted == CSV:
            return Answer(as_csv(points), media_type=f"{CSV}; charset=utf-8")
        if wanted == PARQUET:
            try:
                return Answer(write_parquet(declaration, points, query.known_by), media_type=PARQUET)
            except ParquetAbsentError as error:
                raise Problem("not_acceptable", f"Accept: {error}.") from None
        return Answer(SeriesOut(declaration=declaration, points=tuple(points)))

    look = reads("operator", "planner")
    return [
        Route("GET", "/v1/series", listing, look, "All series", "series", SeriesList),
        Route(
            "POST", "/v1/series/{series}", take, writes("feed", "operator"), "Take a series in", "series", SeriesReceipt,
            limit="large", readers=READERS, problems=("conflict",),
        ),
        Route(
            "GET", "/v1/series/{series}", values, look, "Values of a series", "series", SeriesOut,
            also_produces={200: (CSV, PARQUET)}, problems=("not_acceptable",),
            request_headers={"Accept": f"application/json, {CSV} or {PARQUET}."},
        ),
    ]  # fmt: skip


def _parquet(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    try:
        return read_parquet(raw, query)
    except ParquetAbsentError as error:
        raise Problem("unsupported_media_type", f"Content-Type: {error}.") from None


READERS = {CSV: Reader(read_csv, "malformed_csv", by_line), PARQUET: Reader(_parquet, "malformed_parquet", by_row)}


def _media_type(call: Call, header: str) -> str:
    return (call.header(header) or "").split(";")[0].strip().lower()


def _span(query: ValuesQuery, now: datetime) -> tuple[datetime, datetime]:
    """Return which steps are asked for; what lies past either end of the calendar ends there."""
    known_by = query.known_by or now
    start = query.start or (known_by - A_DAY if known_by - FIRST >= A_DAY else FIRST)
    return start, query.end or (start + FARTHEST_AHEAD if LAST - start >= FARTHEST_AHEAD else LAST)


def _head(services: Services, declaration: SeriesDeclaration, now: Instant) -> SeriesHead:
    newest = services.store.series.newest_known_at(declaration.name)
    stale = newest is None or age_s(newest, now) > declaration.late_after_s
    first, last = services.store.series.span(declaration.name) or (None, None)
    end = last + timedelta(seconds=declaration.resolution_s) if last else None
    return SeriesHead(declaration=declaration, start=first, end=end, newest_known_at=newest, stale=stale)
