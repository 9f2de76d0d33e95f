"""Leadership: a lease with an epoch that only counts up, so that a deposed leader can be told from the present one."""

from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from models.base import Count, Instant, Name, Record, Text
from service.store.database import Database
from service.store.schema import lease as table


class Lease(Record):
    """Who leads, and the epoch that fences the others out."""

    name: Name
    holder: Text
    epoch: Count
    expires_at: Instant


class Leases:
    """Leases by name; a planning unit's lease fences its publications."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, *, at: datetime, ttl_s: int, take_over: bool = False) -> Lease | None:
        """Take or prolong a lease and return it; None while another holds it. Taking it raises the epoch.

        `take_over` takes it before its end: for a caller who knows by other means that its holder is gone.
        """
        expires_at = at + timedelta(seconds=ttl_s)
        with self._database.write() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).first()
            if row is None:
                connection.execute(insert(table).values(name=name, holder=holder, epoch=1, expires_at=expires_at))
                return Lease(name=name, holder=holder, epoch=1, expires_at=expires_at)
            if row.holder != holder and row.expires_at > at and not take_over:
                return None
            epoch = row.epoch if row.holder == holder else row.epoch + 1
            connection.execute(
                update(table).where(table.c.name == name).values(holder=holder, epoch=epoch, expires_at=expires_at)
            )
        return Lease(name=name, holder=holder, epoch=epoch, expires_at=expires_at)

    def release(self, name: str, holder: str, *, at: datetime) -> None:
        """Give a lease up, so that another need not wait for its end."""
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.name == name, table.c.holder == holder).values(expires_at=at))

    def get(self, name: str) -> Lease | None:
        """Return a lease as it stands."""
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).first()
        return Lease(**row._mapping) if row else None
