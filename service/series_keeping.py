"""Keeps a series that somebody hands in: the one way in, for the API, feeds and folders alike. Whole or not at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from annotated_types import Len

from models.base import Count, Instant, Name, Record, iso
from models.fleet import Fleet
from models.reading import BadInputError, Refusal, refuse
from models.time_grid import LocalDays, Zone
from service.series_flags import Known
from service.series_intake import FARTHEST_AHEAD, MAX_POINTS, Sample, take_in
from service.store import Store
from service.store.series_records import Flag, SeriesDeclaration, SeriesPoint, Unit

RECENT = timedelta(days=2)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Before it no market told what plans use."""
MOST_NAMED = 100


class SeriesIn(Record):
    """Values of a series, and what it is: the declaration may be left out once the series is known.

    `known_at` is when the source told them. `local_days` declares the whole local days that the points must cover. `unit`
    and `zone` may be said again, and are then compared with the declaration.
    """

    declaration: SeriesDeclaration | None = None
    unit: Unit | None = None
    zone: Zone | None = None
    known_at: Instant
    local_days: LocalDays | None = None
    end: Instant | None = None
    points: Annotated[tuple[Sample, ...], Len(1, MAX_POINTS)]


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


@dataclass(frozen=True)
class Handed:
    """Who hands something in, when, and where it is from; `news_only` drops values that are known already as they are."""

    by: str
    at: datetime
    request_id: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    news_only: bool = False


@dataclass(frozen=True)
class Checked:
    """A series that has passed the table of defects, and what of it is to be kept."""

    declaration: SeriesDeclaration
    points: tuple[SeriesPoint, ...]
    news: tuple[SeriesPoint, ...]


def check(store: Store, name: str, told: SeriesIn, handed: Handed) -> Checked:
    """Check a series against its declaration, the fleet and the table of defects; nothing is stored.

    Raises:
        BadInputError: every faulty row and field, with its pointer.
    """
    declaration = _declared(store, name, told)
    faults = [*_contradictions(declaration, told), *_out_of_reach(told, handed.at), *_subject_faults(store, declaration)]
    if faults:
        raise BadInputError(faults)
    known = Known(now=handed.at, recent=_recent(store, name, told.points[0].start), scale=_scale(store, declaration))
    points = take_in(declaration, told.points, known_at=told.known_at, known=known, local_days=told.local_days, end=told.end)
    again_after = timedelta(seconds=declaration.late_after_s / 3)
    news = _news(store, name, points, again_after) if handed.news_only else points
    return Checked(declaration, tuple(points), tuple(news))


def keep(store: Store, checked: Checked, handed: Handed) -> SeriesReceipt:
    """Keep what was checked and say what became of it; to be called inside a transaction.

    Raises:
        service.store.common.ConflictError: the series is declared otherwise, or another value is known at the same instants.
    """
    declaration, points = checked.declaration, checked.points
    store.series.declare(declaration, at=handed.at)
    stored = store.series.add(declaration.name, checked.news)
    if stored or not handed.news_only:
        store.audit_log.append(
            handed.by, "series.add", f"series {declaration.name}", at=handed.at, request_id=handed.request_id,
            detail={"stored": stored, "start": iso(points[0].start), "points": len(points), **handed.provenance},
        )  # fmt: skip
    by_flag: dict[Flag, list[datetime]] = {}
    for point in points:
        for flag in point.flags:
            by_flag.setdefault(flag, []).append(point.start)
    flagged = (FlaggedSteps(flag=f, steps=len(at), starts=tuple(at[:MOST_NAMED])) for f, at in sorted(by_flag.items()))
    return SeriesReceipt(
        name=declaration.name, stored=stored, known=len(points) - stored, start=points[0].start,
        end=points[-1].start + timedelta(seconds=declaration.resolution_s), flagged=tuple(flagged),
    )  # fmt: skip


def _declared(store: Store, name: str, told: SeriesIn) -> SeriesDeclaration:
    declaration = told.declaration or store.series.declaration(name)
    if declaration is None:
        refuse("missing_field", f"series {name} is not known yet: declare what it is", "/declaration")
    if declaration.name != name:
        refuse("contradiction", f"expected {name}, got {declaration.name}", "/declaration/name")
    return declaration


def _contradictions(declaration: SeriesDeclaration, told: SeriesIn) -> Iterator[Refusal]:
    for part in ("unit", "zone"):
        said, declared = getattr(told, part), getattr(declaration, part)
        if said is not None and said != declared:
            detail = f"series {declaration.name} is declared in {part} {declared}, got {said}"
            yield Refusal(pointer=f"/{part}", code="contradiction", detail=detail)


def _out_of_reach(told: SeriesIn, now: datetime) -> Iterator[Refusal]:
    for row, point in enumerate(told.points):
        if point.start > now + FARTHEST_AHEAD:
            detail = f"expected within {FARTHEST_AHEAD.days} days, got {iso(point.start)}"
        elif point.start < EARLIEST:
            detail = f"expected from {iso(EARLIEST)} on, got {iso(point.start)}"
        else:
            continue
        yield Refusal(pointer=f"/points/{row}/start", code="outside_window", detail=detail)
        return


def _subject_faults(store: Store, declaration: SeriesDeclaration) -> Iterator[Refusal]:
    """Refuse limits and demand of what the fleet does not have; indexes and temperatures may come before their sites."""
    newest = store.fleets.newest()
    if newest is None:
        return
    known = {"limit": set(newest.fleet.site_by_name), "demand": set(newest.fleet.workload_by_name)}.get(declaration.kind)
    if known is not None and declaration.subject not in known:
        what = "site" if declaration.kind == "limit" else "workload"
        detail = f"the fleet has no {what} {declaration.subject}"
        yield Refusal(pointer="/declaration/subject", code=f"unknown_{what}", detail=detail)
    elif declaration.feeder is not None and _rated_w(newest.fleet, declaration) is None:
        feeders = [feeder.name for feeder in newest.fleet.site_by_name[str(declaration.subject)].feeders]
        words = f"{declaration.subject} has no feeder {declaration.feeder}; it has {', '.join(feeders) or 'none'}"
        yield Refusal(pointer="/declaration/feeder", code="unknown_feeder", detail=words)


def _recent(store: Store, name: str, start: datetime) -> list[SeriesPoint]:
    """Return what is known of the two days before the first point, or the last value before it."""
    recent = store.series.values(name, start - RECENT, start)
    if recent:
        return recent
    last = store.series.last_before(name, start)
    return [last] if last else []


def _news(store: Store, name: str, points: list[SeriesPoint], again_after: timedelta) -> list[SeriesPoint]:
    """Return the points whose value is not the one that is known of their step already.

    Where none is, all of them, once a third of the time is over after which the series would be stale: they were told again.
    """
    before = {p.start: p.value for p in store.series.values(name, points[0].start, points[-1].start + timedelta(seconds=1))}
    news = [point for point in points if before.get(point.start) != point.value]
    newest = store.series.newest_known_at(name)
    return points if not news and newest is not None and points[0].known_at - newest > again_after else news


def _scale(store: Store, declaration: SeriesDeclaration) -> float | None:
    newest = store.fleets.newest()
    return None if newest is None else _rated_w(newest.fleet, declaration)


def _rated_w(fleet: Fleet, declaration: SeriesDeclaration) -> float | None:
    """Return what the meter or feeder of a limit carries at most; None for other kinds, or where the fleet lacks it."""
    site = fleet.site_by_name.get(declaration.subject or "") if declaration.kind == "limit" else None
    if site is None or declaration.feeder is None:
        return None if site is None else float(site.connection_limit_w)
    return next((float(feeder.limit_w) for feeder in site.feeders if feeder.name == declaration.feeder), None)
