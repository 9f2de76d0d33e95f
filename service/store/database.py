"""Connections and transactions: SQLite or PostgreSQL by URL, one writer at a time."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.store.common import StoreError

BUSY_TIMEOUT_MS = 20_000
"""Longest that a SQLite connection waits for another process (a backup, the command line)."""
WRITER_LOCK = 0x77617474
"""Advisory lock that makes writers of all processes on PostgreSQL take turns, as SQLite's file lock does."""


class BusyError(StoreError):
    """The writer's turn is taken, and the caller did not want to wait."""


class StoreUnavailableError(StoreError):
    """The database does not answer, is full, or cannot be written: what was asked did not happen."""


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreUnavailableError(str(error.orig if isinstance(error, DBAPIError) else error)) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a constraint, a value out of range: that is our own fault
            raise
        raise StoreUnavailableError(str(error.orig)) from error  # SQLite: it is no database, or it is damaged


class Database:
    """Read and write transactions.

    Within a process writers queue on a lock, so that SQLite never answers "database is locked". A repository call
    inside `with database.write()` of the same thread joins that transaction; so several calls become one commit.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except ArgumentError:  # its words may quote a password
            raise ValueError("expected sqlite:///path or postgresql://…, got what is no such URL") from None
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.sqlite else _postgres_engine(self.url)
        self._writer = threading.RLock()
        self._open = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read transaction: all its queries see one state. Keep it short.

        Raises:
            StoreUnavailableError: nothing can be read.
        """
        if (joined := self._joined()) is not None:
            yield joined
            return
        with _reachable(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, wait: bool = True) -> Iterator[Connection]:
        """Open the write transaction, or join the one that this thread has open; it commits when the outermost block ends.

        Raises:
            BusyError: another thread writes, and `wait` is false.
            StoreUnavailableError: nothing could be written, so nothing is.
        """
        if (joined := self._joined()) is not None:
            yield joined
            return
        if not self._writer.acquire(blocking=wait):
            raise BusyError("another thread writes")
        try:
            with _reachable(), self._begun() as connection:
                yield connection
        finally:
            self._writer.release()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(wattsplit_writes=True) as connection, connection.begin():
            if not self.sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None

    def _joined(self) -> Connection | None:
        connection: Connection | None = getattr(self._open, "connection", None)
        return connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _sqlite_engine(url: URL) -> Engine:
    """Return an engine whose commits are on the disk when they return.

    journal_mode DELETE because write-ahead logging of SQLite 3.7.0–3.51.2 may corrupt with several connections.
    """
    if url.database in (None, "", ":memory:"):
        raise ValueError("expected a SQLite file, got a database in memory: it cannot be shared between threads")
    _create_private(Path(str(url.database)))
    engine = create_engine(
        url,
        pool_size=8,
        max_overflow=64,
        hide_parameters=True,  # error texts go to logs, stored values must not
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, in words, not by the driver's guess
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=DELETE",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("wattsplit_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create_private(path: Path) -> None:
    """Create the file readable by its owner alone: it holds prices and hashed keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _postgres_engine(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise ValueError(f"expected a sqlite:// or postgresql:// URL, got {url.get_backend_name()}://")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, pool_size=8, max_overflow=32, pool_pre_ping=True, hide_parameters=True)
