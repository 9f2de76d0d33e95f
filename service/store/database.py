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
NO_WAIT_MS = 25
"""The same for a write that can be left out: enough for a reader to finish."""
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
        self._hasty = _hasty_sqlite_engine(self.url) if self.sqlite else self.engine
        self._writer = threading.RLock()
        self._open = threading.local()

    @contextmanager
    def read(self, within_ms: int | None = None) -> Iterator[Connection]:
        """Open a read transaction: all its queries see one state. Keep it short.

        Args:
            within_ms: longest wait for another process, for whoever can do without.

        Raises:
            StoreUnavailableError: nothing can be read, or not in time.
        """
        if (joined := self._joined()) is not None:
            yield joined
            return
        engine, options = (self.engine, {}) if within_ms is None else (self._hasty, {"wattsplit_within_ms": within_ms})
        with _reachable(), engine.connect().execution_options(**options) as connection, connection.begin():
            if within_ms is not None and not self.sqlite:
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {within_ms}")
            yield connection

    @contextmanager
    def write(self, *, wait: bool = True) -> Iterator[Connection]:
        """Open the write transaction, or join the one that this thread has open; it commits when the outermost block ends.

        Raises:
            BusyError: another thread writes, and `wait` is false.
            StoreUnavailableError: nothing could be written, so nothing is; or another process holds SQLite's file, and `wait`
                is false.
        """
        if (joined := self._joined()) is not None:
            yield joined
            return
        if not self._writer.acquire(blocking=wait):
            raise BusyError("another thread writes")
        try:
            with _reachable(), self._begun({} if wait else {"wattsplit_within_ms": NO_WAIT_MS}) as connection:
                yield connection
        finally:
            self._writer.release()

    @contextmanager
    def _begun(self, options: dict[str, Any]) -> Iterator[Connection]:
        with self.engine.connect().execution_options(wattsplit_writes=True, **options) as connection, connection.begin():
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
        self._hasty.dispose()


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

    event.listen(engine, "begin", _begin)
    return engine


def _hasty_sqlite_engine(url: URL) -> Engine:
    """Return an engine for reading with little time; to open a connection needs no lock, as the settings of journals do."""
    engine = create_engine(
        url, pool_size=8, max_overflow=64, pool_timeout=1, hide_parameters=True, connect_args={"check_same_thread": False}
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("query_only=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """Begin a transaction of SQLite that waits for other processes as long as its options say."""
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={options.get('wattsplit_within_ms', BUSY_TIMEOUT_MS)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("wattsplit_writes", False) else "BEGIN")


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
