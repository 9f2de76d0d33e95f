"""Limit orders that people and utilities enter."""

from datetime import datetime

from sqlalchemy import insert, or_, select, update

from models.order import LimitOrder
from service.store.audit_log import AuditLog
from service.store.common import AnyRow, ConflictError, Page, cut, next_number
from service.store.database import Database
from service.store.records import Event, EventKind
from service.store.schema import event as table


class Events:
    """Orders by id; withdrawn ones stay on the record."""

    def __init__(self, database: Database, log: AuditLog) -> None:
        self._database = database
        self._log = log

    def add(
        self, event_id: str, kind: EventKind, order: LimitOrder, *, by: str, at: datetime, request_id: str | None = None
    ) -> Event:
        """Keep an order and return it; the same order under the same id changes nothing.

        Raises:
            ConflictError: another order has this id.
        """
        event = Event(event_id=event_id, kind=kind, order=order, created_at=at, created_by=by)
        with self._database.write() as connection:
            known = self.get(event_id)
            if known is not None:
                if (known.kind, known.order) != (kind, order):
                    raise ConflictError(f"event {event_id} is kept with other content")
                return known
            connection.execute(
                insert(table).values(
                    id=event_id, number=next_number(connection, table.c.number), kind=kind, site=order.site,
                    start=order.start, end=order.end, order=order.model_dump(mode="json"), created_at=at, created_by=by,
                )
            )  # fmt: skip
            self._log.append(
                by, "event.add", f"event {event_id}", at=at, request_id=request_id, detail=order.model_dump(mode="json")
            )
        return event

    def withdraw(self, event_id: str, *, by: str, at: datetime, request_id: str | None = None) -> Event:
        """Take an order back; it stays on the record. Withdrawn twice is withdrawn once.

        Raises:
            KeyError: no such event.
        """
        with self._database.write() as connection:
            known = self.get(event_id)
            if known is None:
                raise KeyError(event_id)
            if known.withdrawn_at is not None:
                return known
            connection.execute(update(table).where(table.c.id == event_id).values(withdrawn_at=at, withdrawn_by=by))
            self._log.append(by, "event.withdraw", f"event {event_id}", at=at, request_id=request_id)
        return known.model_copy(update={"withdrawn_at": at, "withdrawn_by": by})

    def get(self, event_id: str) -> Event | None:
        """Return one event."""
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.id == event_id)).first()
        return _event(row) if row else None

    def binding(self, start: datetime, end: datetime) -> list[LimitOrder]:
        """Return the orders that bind somewhere in [start, end), by entry."""
        query = (
            select(table.c.order)
            .where(table.c.withdrawn_at.is_(None), table.c.start < end, or_(table.c.end.is_(None), table.c.end > start))
            .order_by(table.c.number)
        )
        with self._database.read() as connection:
            return [LimitOrder.model_validate(row.order) for row in connection.execute(query)]

    def page(self, after: int | None = None, limit: int = 100, *, site: str | None = None) -> Page[Event]:
        """Return events, newest first."""
        query = select(table).order_by(table.c.number.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.number < after)
        if site is not None:
            query = query.where(table.c.site == site)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.number, _event(row)) for row in rows], limit)


def _event(row: AnyRow) -> Event:
    return Event(
        event_id=row.id, kind=row.kind, order=LimitOrder.model_validate(row.order), created_at=row.created_at,
        created_by=row.created_by, withdrawn_at=row.withdrawn_at, withdrawn_by=row.withdrawn_by,
    )  # fmt: skip
