"""Answers by Idempotency-Key: a repeated request gets the stored answer, also after a restart."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from service.store.database import Database
from service.store.schema import idempotency as table

KEPT = timedelta(hours=48)
ABANDONED_AFTER = timedelta(seconds=120)
"""A request that runs longer than this died with its process; its key may be used again."""


@dataclass(frozen=True)
class KeptAnswer:
    """Status, headers and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class KeyReusedError(Exception):
    """The key came before, with another request."""


class StillRunningError(Exception):
    """The first request with this key is not answered yet."""


class Idempotency:
    """Keys are kept per principal for 48 hours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, principal: str, key: str, fingerprint: str, at: datetime) -> KeptAnswer | None:
        """Reserve a key and return None, or return the answer that was given to the same request.

        Raises:
            KeyReusedError: the key was used for another request.
            StillRunningError: the first request runs.
        """
        mine = table.c.principal == principal, table.c.key == key
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.started_at < at - KEPT))
            row = connection.execute(select(table).where(*mine)).first()
            if row is None:
                connection.execute(insert(table).values(principal=principal, key=key, fingerprint=fingerprint, started_at=at))
                return None
            if row.fingerprint != fingerprint:
                raise KeyReusedError(key)
            if row.status is not None:
                return KeptAnswer(row.status, row.headers, row.body)
            if row.started_at > at - ABANDONED_AFTER:
                raise StillRunningError(key)
            connection.execute(update(table).where(*mine).values(started_at=at))
            return None

    def finish(self, principal: str, key: str, answer: KeptAnswer) -> None:
        """Keep the answer."""
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.principal == principal, table.c.key == key)
                .values(status=answer.status, headers=answer.headers, body=answer.body)
            )

    def release(self, principal: str, key: str) -> None:
        """Give a key back: its request failed without effect, and may be tried again."""
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.principal == principal, table.c.key == key, table.c.status.is_(None)))
