"""What a connection to SQLite or PostgreSQL is set to, and how SQLite's transactions begin."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

BUSY_TIMEOUT_MS = 20_000
"""Longest wait for another process (a backup, the command line) of whatever is not told otherwise."""
WITHIN_MS, WRITES = "wattsplit_within_ms", "wattsplit_writes"
"""Options of a connection's execution: the longest wait of its transaction, and whether that writes."""


def sqlite_engine(url: URL) -> Engine:
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


def hasty_sqlite_engine(url: URL) -> Engine:
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
    connection.exec_driver_sql(f"PRAGMA busy_timeout={options.get(WITHIN_MS, BUSY_TIMEOUT_MS)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITES, False) else "BEGIN")


def _create_private(path: Path) -> None:
    """Create the file readable by its owner alone: it holds prices and hashed keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def postgres_engine(url: URL) -> Engine:
    """Return an engine whose connections are tried before they are used.

    Raises:
        ValueError: the URL is of another kind of database.
    """
    if url.get_backend_name() != "postgresql":
        raise ValueError(f"expected a sqlite:// or postgresql:// URL, got {url.get_backend_name()}://")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, pool_size=8, max_overflow=32, pool_pre_ping=True, hide_parameters=True)
