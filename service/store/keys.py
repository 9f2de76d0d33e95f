"""Keys by id, with the hash of their secret; and one-time sign-in links and sessions, as hashes too."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, insert, select, update

from service.store.audit_log import AuditLog
from service.store.common import AnyRow
from service.store.database import BusyError, Database, StoreUnavailableError
from service.store.records import KeyRecord
from service.store.remembered import Reading, Remembered
from service.store.schema import key as table
from service.store.schema import sign_in as tokens

TokenKind = Literal["link", "session"]
TOUCH_S = 60
"""`last_used_at` is brought up to date at most this often: a poll must not cost a commit."""
COUNTS_S = 3_600.0
"""Longest that a key counts which was read well and cannot be read now: about as long as a document holds.

What another process revoked since that reading is not known here; a store that is locked could not tell of it either.
"""


class Keys:
    """Records of keys. Secrets never come here, only their SHA-256."""

    def __init__(self, database: Database, log: AuditLog, now_s: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._log = log
        self._known: Remembered[tuple[KeyRecord, str]] = Remembered(COUNTS_S, now_s)

    def add(self, record: KeyRecord, secret_sha256: str, *, request_id: str | None = None) -> None:
        """Keep a new key."""
        with self._database.write() as connection:
            row = record.model_dump(mode="json", exclude={"key_id", "created_at", "expires_at", "revoked_at", "last_used_at"})
            connection.execute(
                insert(table).values(
                    id=record.key_id,
                    secret_sha256=secret_sha256,
                    created_at=record.created_at,
                    expires_at=record.expires_at,
                    **row,
                )
            )
            self._log.append(
                record.created_by, "key.create", f"key {record.key_id}", at=record.created_at, request_id=request_id,
                detail={"role": record.role, "sites": list(record.sites), "label": record.label},
            )  # fmt: skip

    def last_known(self, key_id: str) -> Reading[tuple[KeyRecord, str]]:
        """Return a key and the SHA-256 of its secret, soon; as last read well if the store does not answer.

        Raises:
            StoreUnavailableError: it does not, and the key was not read well for `COUNTS_S`.
        """
        return self._known.read(key_id, lambda within_ms: self.get(key_id, within_ms))

    def get(self, key_id: str, within_ms: int | None = None) -> tuple[KeyRecord, str] | None:
        """Return a key and the SHA-256 of its secret."""
        with self._database.read(within_ms) as connection:
            row = connection.execute(select(table).where(table.c.id == key_id)).first()
        return (_key(row), row.secret_sha256) if row else None

    def all(self) -> list[KeyRecord]:
        """Return all keys, oldest first."""
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(select(table).order_by(table.c.created_at, table.c.id))]

    def any_live(self, at: datetime) -> bool:
        """Return whether any key opens anything."""
        return any(record.live(at) for record in self.all())

    def revoke(self, key_id: str, *, by: str, at: datetime, request_id: str | None = None) -> KeyRecord:
        """Close a key and its sessions for ever, at once.

        Raises:
            KeyError: no such key.
        """
        with self._database.write() as connection:
            known = self.get(key_id)
            if known is None:
                raise KeyError(key_id)
            if known[0].revoked_at is not None:
                return known[0]
            connection.execute(update(table).where(table.c.id == key_id).values(revoked_at=at))
            connection.execute(delete(tokens).where(tokens.c.key_id == key_id))
            self._log.append(by, "key.revoke", f"key {key_id}", at=at, request_id=request_id)
        revoked = known[0].model_copy(update={"revoked_at": at})
        self._known.changed(key_id, (revoked, known[1]))
        return revoked

    def touch(self, record: KeyRecord, at: datetime) -> None:
        """Note that a key was used, at most once a minute, and only if that costs nothing.

        A site must be answered while a long transaction runs, and when the disk is full: then the note is left out.
        """
        if record.last_used_at is not None and at < record.last_used_at + timedelta(seconds=TOUCH_S):
            return
        with suppress(BusyError, StoreUnavailableError), self._database.write(wait=False) as connection:
            connection.execute(update(table).where(table.c.id == record.key_id).values(last_used_at=at))

    def add_token(self, token_sha256: str, kind: TokenKind, key_id: str, *, expires_at: datetime) -> None:
        """Keep the hash of a sign-in link or of a session."""
        with self._database.write() as connection:
            connection.execute(insert(tokens).values(token_sha256=token_sha256, kind=kind, key_id=key_id, expires_at=expires_at))

    def spend_link(self, token_sha256: str, at: datetime) -> KeyRecord | None:
        """Use up a sign-in link and return the live key that it stands for; None if it is unknown, used or expired."""
        with self._database.write() as connection:
            record = self._behind(token_sha256, "link", at)
            connection.execute(delete(tokens).where(tokens.c.token_sha256 == token_sha256, tokens.c.kind == "link"))
            connection.execute(delete(tokens).where(tokens.c.expires_at <= at))
            if record is not None:
                self._log.append(f"key {record.key_id}", "sign-in", f"key {record.key_id}", at=at)
            return record

    def session(self, token_sha256: str, at: datetime) -> KeyRecord | None:
        """Return the live key behind a session."""
        return self._behind(token_sha256, "session", at)

    def end_session(self, token_sha256: str) -> None:
        """Forget a session."""
        with self._database.write() as connection:
            connection.execute(delete(tokens).where(tokens.c.token_sha256 == token_sha256))

    def _behind(self, token_sha256: str, kind: TokenKind, at: datetime) -> KeyRecord | None:
        query = (
            select(table)
            .join(tokens, tokens.c.key_id == table.c.id)
            .where(tokens.c.token_sha256 == token_sha256, tokens.c.kind == kind, tokens.c.expires_at > at)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        record = _key(row) if row else None
        return record if record is not None and record.live(at) else None


def _key(row: AnyRow) -> KeyRecord:
    return KeyRecord(
        key_id=row.id, role=row.role, label=row.label, sites=tuple(row.sites), created_at=row.created_at,
        created_by=row.created_by, expires_at=row.expires_at, revoked_at=row.revoked_at, last_used_at=row.last_used_at,
    )  # fmt: skip
