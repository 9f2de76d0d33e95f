"""Measured points of sites. What `add` returned without an error is on the disk."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text, func, insert, select, type_coerce

from models.base import iso
from service.store.common import AnyRow, ConflictError
from service.store.database import Database
from service.store.records import StoredTelemetry, TelemetryPoint
from service.store.schema import telemetry as table

UNFLAGGED = type_coerce(table.c.flags, Text) == "[]"


class ConflictingTelemetryError(ConflictError):
    """Points are kept with other values; `indexes` says which of those offered."""

    def __init__(self, site: str, indexes: list[int], instants: list[datetime]) -> None:
        super().__init__(f"{site}: other values are kept for {', '.join(iso(i) for i in instants)}")
        self.indexes = indexes


class Telemetry:
    """One row per site and instant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, site: str, offered: Sequence[StoredTelemetry]) -> int:
        """Keep points in one commit and return how many were new; a point that is kept already counts once.

        Raises:
            ConflictingTelemetryError: other values are kept for an instant; nothing of the batch is kept.
        """
        with self._database.write() as connection:
            instants = [o.point.at for o in offered]
            query = select(table).where(table.c.site == site, table.c.at.in_(instants))
            kept = {row.at: _stored(row).point for row in connection.execute(query)}
            rows, clashes = [], []
            for index, new in enumerate(offered):
                known = kept.get(new.point.at)
                if known is None:
                    kept[new.point.at] = new.point
                    rows.append(_row(site, new))
                elif known != new.point:
                    clashes.append(index)
            if clashes:
                raise ConflictingTelemetryError(site, clashes, [instants[i] for i in clashes])
            if rows:
                connection.execute(insert(table), rows)
        return len(rows)

    def newest(self, site: str, *, usable: bool = True) -> StoredTelemetry | None:
        """Return a site's newest point; flagged ones are passed over if `usable`."""
        query = select(table).where(table.c.site == site).order_by(table.c.at.desc()).limit(1)
        if usable:
            query = query.where(UNFLAGGED)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _stored(row) if row else None

    def newest_of_all(self, since: datetime) -> dict[str, StoredTelemetry]:
        """Return the newest unflagged point of every site that has one measured at or after an instant."""
        newest = (
            select(table.c.site, func.max(table.c.at).label("at"))
            .where(table.c.at >= since, UNFLAGGED)
            .group_by(table.c.site)
            .subquery()
        )
        query = select(table).join(newest, (table.c.site == newest.c.site) & (table.c.at == newest.c.at))
        with self._database.read() as connection:
            return {row.site: _stored(row) for row in connection.execute(query)}

    def between(self, site: str, start: datetime, end: datetime, limit: int = 10_000) -> list[StoredTelemetry]:
        """Return a site's points measured in [start, end), oldest first."""
        query = select(table).where(table.c.site == site, table.c.at >= start, table.c.at < end).order_by(table.c.at).limit(limit)
        with self._database.read() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def count(self, site: str) -> int:
        """Return how many points of a site are kept."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(table).where(table.c.site == site)).scalar_one()


def _row(site: str, new: StoredTelemetry) -> dict[str, Any]:
    return {
        "site": site,
        "at": new.point.at,
        "received_at": new.received_at,
        "draw_w": new.point.draw_w,
        "body": new.point.model_dump(mode="json"),
        "flags": list(new.flags),
    }


def _stored(row: AnyRow) -> StoredTelemetry:
    return StoredTelemetry(point=TelemetryPoint.model_validate(row.body), received_at=row.received_at, flags=tuple(row.flags))
