"""What people, sites and markets enter, such as outages and awards: kept as entered, and withdrawn by a mark."""

from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import insert, or_, select, update

from service.store.audit_log import AuditLog
from service.store.common import AnyRow, ConflictError, Page, cut, next_number
from service.store.database import Database
from service.store.entry_records import Entry
from service.store.schema import entry as table

E = TypeVar("E", bound=Entry)


class Entries(Generic[E]):
    """Entries of one kind by id; withdrawn ones stay on the record."""

    def __init__(self, database: Database, log: AuditLog, record: type[E]) -> None:
        self._database, self._log = database, log
        self._record: type[E] = record
        self._kind = record.kind

    def add(self, entry: E, *, request_id: str | None = None) -> E:
        """Keep an entry and return it; the same content under the same id changes nothing.

        Raises:
            ConflictError: an entry with other content has this id.
        """
        what, (start, end) = entry.said, entry.stretch
        with self._database.write() as connection:
            row = connection.execute(select(table).where(table.c.id == entry.entry_id)).first()
            if row is not None:
                if row.kind != self._kind or (known := self._read(row)).said != what:
                    raise ConflictError(f"{row.kind} {entry.entry_id} is kept with other content")
                return known
            written = what.model_dump(mode="json")
            connection.execute(
                insert(table).values(
                    id=entry.entry_id, number=next_number(connection, table.c.number), kind=self._kind, start=start, end=end,
                    content=written, created_at=entry.created_at, created_by=entry.created_by, entered_as=entry.entered_as,
                    **entry.about,
                )
            )  # fmt: skip
            self._log.append(
                entry.created_by, f"{self._kind}.add", f"{self._kind} {entry.entry_id}", at=entry.created_at,
                request_id=request_id, detail=written,
            )  # fmt: skip
        return entry

    def withdraw(self, entry_id: str, *, by: str, at: datetime, request_id: str | None = None) -> E:
        """Take an entry back; it stays on the record. Withdrawn twice is withdrawn once.

        Raises:
            KeyError: no such entry.
        """
        with self._database.write() as connection:
            known = self.get(entry_id)
            if known is None:
                raise KeyError(entry_id)
            if known.withdrawn_at is not None:
                return known
            connection.execute(update(table).where(table.c.id == entry_id).values(withdrawn_at=at, withdrawn_by=by))
            self._log.append(by, f"{self._kind}.withdraw", f"{self._kind} {entry_id}", at=at, request_id=request_id)
        return known.model_copy(update={"withdrawn_at": at, "withdrawn_by": by})

    def get(self, entry_id: str) -> E | None:
        """Return one entry."""
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.id == entry_id, table.c.kind == self._kind)).first()
        return self._read(row) if row else None

    def standing(self, start: datetime, end: datetime | None = None) -> list[E]:
        """Return the entries that count somewhere in [start, end), or from `start` on, by entry."""
        query = select(table).where(
            table.c.kind == self._kind, table.c.withdrawn_at.is_(None), or_(table.c.end.is_(None), table.c.end > start)
        )
        if end is not None:
            query = query.where(table.c.start < end)
        with self._database.read() as connection:
            return [self._read(row) for row in connection.execute(query.order_by(table.c.number))]

    def page(
        self, after: int | None = None, limit: int = 100, *, site: str | None = None, standing_at: datetime | None = None
    ) -> Page[E]:
        """Return entries, newest first; of one site; only those that count at an instant or later."""
        query = select(table).where(table.c.kind == self._kind).order_by(table.c.number.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.number < after)
        if site is not None:
            query = query.where(table.c.site == site)
        if standing_at is not None:
            query = query.where(table.c.withdrawn_at.is_(None), or_(table.c.end.is_(None), table.c.end > standing_at))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.number, self._read(row)) for row in rows], limit)

    def _read(self, row: AnyRow) -> E:
        read: E = self._record.model_validate(
            {
                "entry_id": row.id, "created_at": row.created_at, "created_by": row.created_by, "entered_as": row.entered_as,
                "withdrawn_at": row.withdrawn_at, "withdrawn_by": row.withdrawn_by, row.kind: row.content,
            }
        )  # fmt: skip
        return read
