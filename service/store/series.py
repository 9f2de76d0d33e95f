"""Series: one narrow table of (series, start, known_at) → value. What was known is never overwritten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, insert, select, update

from models.base import iso
from service.store.common import AnyRow, ConflictError
from service.store.database import Database
from service.store.schema import series as table
from service.store.schema import series_point as points
from service.store.series_records import SeriesDeclaration, SeriesKind, SeriesPoint

SAID_LATER = ("difficulty", "licence")


class SeriesStore:
    """Declarations and points of series."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def declare(self, declaration: SeriesDeclaration, *, at: datetime) -> bool:
        """Keep a declaration; return whether it is new.

        What a hashprice counts of the difficulty, and the licence, may be said later than the rest, and left out when they
        were said before.

        Raises:
            ConflictError: the name is taken by a series declared otherwise.
        """
        with self._database.write() as connection:
            known = self.declaration(declaration.name)
            if known is not None:
                unsaid = {part: getattr(known, part) for part in SAID_LATER if getattr(declaration, part) is None}
                declaration = declaration.model_copy(update=unsaid)
                news = {part: getattr(declaration, part) for part in SAID_LATER if getattr(known, part) is None}
                if any(value is not None for value in news.values()):
                    known = known.model_copy(update=news)
                    said = known.model_dump(mode="json")
                    connection.execute(update(table).where(table.c.name == known.name).values(declaration=said))
                if known != declaration:
                    differing = sorted(f for f in type(known).model_fields if getattr(known, f) != getattr(declaration, f))
                    raise ConflictError(f"series {declaration.name} exists and is declared otherwise in {differing}")
                return False
            connection.execute(
                insert(table).values(
                    name=declaration.name, kind=declaration.kind, subject=declaration.subject, created_at=at,
                    declaration=declaration.model_dump(mode="json"),
                )
            )  # fmt: skip
        return True

    def declaration(self, name: str) -> SeriesDeclaration | None:
        """Return what a series is declared to be."""
        with self._database.read() as connection:
            declared = connection.execute(select(table.c.declaration).where(table.c.name == name)).scalar_one_or_none()
        return None if declared is None else SeriesDeclaration.model_validate(declared)

    def declarations(self, kind: SeriesKind | None = None, subject: str | None = None) -> list[SeriesDeclaration]:
        """Return all declarations by name, or those of a kind and a subject."""
        query = select(table.c.declaration).order_by(table.c.name)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        with self._database.read() as connection:
            return [SeriesDeclaration.model_validate(row.declaration) for row in connection.execute(query)]

    def add(self, name: str, new: Sequence[SeriesPoint]) -> int:
        """Keep points and return how many were new; a point that is there already with the same value counts once.

        Raises:
            KeyError: the series is not declared.
            ConflictError: another value is kept for the same start and `known_at`.
        """
        with self._database.write() as connection:
            series_id = connection.execute(select(table.c.id).where(table.c.name == name)).scalar_one_or_none()
            if series_id is None:
                raise KeyError(name)
            kept = self._kept(series_id, new)
            rows = []
            for point in new:
                value = kept.get((point.start, point.known_at))
                if value is None:
                    kept[(point.start, point.known_at)] = point.value
                    rows.append({"series_id": series_id, **point.model_dump(mode="python")})
                elif value != point.value:
                    known = f"{value:g} is kept as known at {iso(point.known_at)}"
                    raise ConflictError(f"series {name} at {iso(point.start)}: {known}, got {point.value:g}")
            if rows:
                connection.execute(insert(points), rows)
        return len(rows)

    def _kept(self, series_id: int, new: Sequence[SeriesPoint]) -> dict[tuple[datetime, datetime], float]:
        if not new:
            return {}
        query = select(points.c.start, points.c.known_at, points.c.value).where(
            points.c.series_id == series_id,
            points.c.start.between(min(p.start for p in new), max(p.start for p in new)),
            points.c.known_at.between(min(p.known_at for p in new), max(p.known_at for p in new)),
        )
        with self._database.read() as connection:
            return {(row.start, row.known_at): row.value for row in connection.execute(query)}

    def values(
        self, name: str, start: datetime, end: datetime, known_by: datetime | None = None, limit: int = 100_000
    ) -> list[SeriesPoint]:
        """Return the newest value of each step in [start, end), as it was known at `known_by` (now if absent), by start."""
        with self._database.read() as connection:
            return [_point(row) for row in connection.execute(_newest(name, start, end, known_by, limit))]

    def told(
        self, name: str, start: datetime, end: datetime, known_by: datetime, limit: int
    ) -> list[tuple[datetime, datetime, float]]:
        """Return the same as plain rows of start, known at and value: a year of quarters of an hour is many records."""
        with self._database.read() as connection:
            found = connection.execute(_newest(name, start, end, known_by, limit))
            return [(row.start, row.known_at, row.value) for row in found]

    def newest_known_at(self, name: str) -> datetime | None:
        """Return when the series last told something."""
        query = select(points.c.known_at).join(table).where(table.c.name == name).order_by(points.c.known_at.desc()).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def span(self, name: str) -> tuple[datetime, datetime] | None:
        """Return the starts of the first and of the last step that ever had a value."""
        query = select(func.min(points.c.start), func.max(points.c.start)).join(table).where(table.c.name == name)
        with self._database.read() as connection:
            first, last = connection.execute(query).one()
        return None if first is None else (first, last)

    def last_before(self, name: str, instant: datetime) -> SeriesPoint | None:
        """Return the newest value of the last step that starts before an instant."""
        query = (
            select(points.c.start, points.c.known_at, points.c.value, points.c.flags)
            .join(table)
            .where(table.c.name == name, points.c.start < instant)
            .order_by(points.c.start.desc(), points.c.known_at.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _point(row) if row else None


def _point(row: AnyRow) -> SeriesPoint:
    return SeriesPoint(start=row.start, value=row.value, known_at=row.known_at, flags=tuple(row.flags))


def _newest(name: str, start: datetime, end: datetime, known_by: datetime | None, limit: int) -> Select[Any]:
    """Select the newest telling of each step in [start, end) that was known at `known_by`, by start."""
    known = and_(points.c.start >= start, points.c.start < end, table.c.name == name)
    if known_by is not None:
        known = and_(known, points.c.known_at <= known_by)
    rank = func.row_number().over(partition_by=points.c.start, order_by=points.c.known_at.desc()).label("rank")
    columns = points.c.start, points.c.known_at, points.c.value, points.c.flags
    ranked = select(*columns, rank).join(table).where(known).subquery()
    return select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.start).limit(limit)
