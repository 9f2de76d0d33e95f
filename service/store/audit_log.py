"""The append-only log of who did what: each line carries the digest of itself and of the chain before it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select

from models.digest import digest
from service.store.common import AnyRow, Page, cut
from service.store.database import Database
from service.store.records import AuditEntry
from service.store.schema import audit_log as table

START = "sha256:" + "0" * 64


class AuditLog:
    """Lines are added, read and verified; nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        who: str,
        action: str,
        subject: str,
        *,
        at: datetime,
        before: str | None = None,
        after: str | None = None,
        request_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """Add a line: who did what to what, with digests of the content before and after."""
        with self._database.write() as connection:
            last = connection.execute(select(table.c.number, table.c.chain).order_by(table.c.number.desc()).limit(1)).first()
            number, previous = (last.number + 1, last.chain) if last else (1, START)
            entry = AuditEntry(
                number=number, at=at, who=who, action=action, subject=subject, before=before, after=after,
                request_id=request_id, detail=dict(detail or {}), previous=previous, chain="",
            )  # fmt: skip
            entry = entry.model_copy(update={"chain": chain_of(entry)})
            connection.execute(insert(table).values(**entry.model_dump(mode="python")))
            return entry

    def page(self, after: int | None = None, limit: int = 100, *, action: str | None = None) -> Page[AuditEntry]:
        """Return lines, newest first; those of one action if it is named."""
        query = select(table).order_by(table.c.number.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(table.c.number < after)
        if action is not None:
            query = query.where(table.c.action == action)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return cut([(row.number, _entry(row)) for row in rows], limit)

    def alarms_since(self, number: int) -> tuple[dict[str, int], int]:
        """Return how many alarms of each code stand after a line, and the number of the last line there is."""
        with self._database.read() as connection:
            last = connection.execute(select(func.max(table.c.number))).scalar_one_or_none() or 0
            later = table.c.number > number, table.c.number <= last, table.c.action == "alarm"
            rows = connection.execute(select(table.c.subject, func.count()).where(*later).group_by(table.c.subject)).all()
        return {row[0]: row[1] for row in rows}, last

    def broken_at(self) -> int | None:
        """Return the number of the first line that was edited, or whose predecessor is missing; None if the chain holds.

        Lines cut off at the end cannot be told from lines never written: compare `head()` with a copy kept elsewhere.
        """
        previous = START
        with self._database.read() as connection:
            for expected, row in enumerate(connection.execute(select(table).order_by(table.c.number)), start=1):
                entry = _entry(row)
                if entry.number != expected or entry.previous != previous or entry.chain != chain_of(entry):
                    return expected
                previous = entry.chain
        return None

    def head(self) -> tuple[int, str]:
        """Return number and chain digest of the last line: the state to copy outside."""
        query = select(table.c.number, table.c.chain).where(table.c.number == select(func.max(table.c.number)).scalar_subquery())
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return (row.number, row.chain) if row else (0, START)


def chain_of(entry: AuditEntry) -> str:
    """Return the digest that a line must carry."""
    return digest(entry.model_dump(mode="json", exclude={"chain"}))


def _entry(row: AnyRow) -> AuditEntry:
    return AuditEntry(**row._mapping)
