"""Connections and transactions: SQLite or PostgreSQL by URL, one writer at a time."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.store.common import StoreError
from service.store.engines import BUSY_TIMEOUT_MS, WITHIN_MS, WRITES, hasty_sqlite_engine, postgres_engine, sqlite_engine

NO_WAIT_MS = 25
"""Longest wait for another process of a write that can be left out: enough for a reader to finish."""
HURRIED_MS = 3_000
"""The same of what a request reads, and of what it writes behind a write that waits already.

Longer than our own commits and a short backup take, and short enough that it does not tie up all threads: sites need them.
"""
PLACES = 8
"""Requests that wait so long for a reading at the same time: a quarter of the threads that there are if nothing is said."""
IN_VAIN_MS, IN_VAIN_FOR_S = 250, 5.0
"""The same for all others; and for all, for so long after one has waited in vain: who holds the store may hold it for long."""
LOOK_EVERY_S = 0.1
WRITER_LOCK = 0x77617474
"""Advisory lock that makes writers of all processes on PostgreSQL take turns, as SQLite's file lock does."""
POSTGRES_LOCK_NOT_AVAILABLE = "55P03"


class BusyError(StoreError):
    """The writer's turn is taken, and the caller did not want to wait."""


class StoreUnavailableError(StoreError):
    """The database does not answer, is full, or cannot be written: what was asked did not happen."""


class StoreLockedError(StoreUnavailableError):
    """Another process holds the database and did not let go of it in time."""


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
        self.engine = sqlite_engine(self.url) if self.sqlite else postgres_engine(self.url)
        self._hasty = hasty_sqlite_engine(self.url) if self.sqlite else self.engine
        self._writer = threading.RLock()
        self._open = threading.local()
        self._asking_since_s: float | None = None
        self._in_vain_until_s = 0.0
        self._is_closing = False
        self._places = threading.Semaphore(PLACES)

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """Let this thread wait for other processes no longer than a request may, while the block runs.

        A write that has its turn waits as long as any: nobody else waits by it, and whoever sent it need not send it again.
        """
        self._open.is_hurried = True
        try:
            yield
        finally:
            self._open.is_hurried = False

    def stop_waiting(self) -> None:
        """Wait for other processes no longer than a moment from now on: the service stops."""
        self._is_closing = True

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
        hurried = within_ms is None and self._is_hurried
        patient = hurried and time.monotonic() >= self._in_vain_until_s and self._places.acquire(blocking=False)
        timeout = "lock_timeout" if within_ms is None else "statement_timeout"  # of PostgreSQL: a long query is no lock
        if hurried or (within_ms is None and self._is_closing):
            within_ms = HURRIED_MS if patient and not self._is_closing else IN_VAIN_MS
        engine, options = (self.engine, {}) if within_ms is None else (self._hasty, {WITHIN_MS: within_ms})
        try:
            with (
                self._reachable(was_patient=patient),
                engine.connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                if within_ms is not None and not self.sqlite:
                    connection.exec_driver_sql(f"SET LOCAL {timeout} = {within_ms}")
                yield connection
        finally:
            if patient:
                self._places.release()

    @contextmanager
    def write(self, *, wait: bool = True) -> Iterator[Connection]:
        """Open the write transaction, or join the one that this thread has open; it commits when the outermost block ends.

        Raises:
            BusyError: another thread writes, and `wait` is false.
            StoreUnavailableError: nothing could be written, so nothing is; or another process holds the database, and `wait`
                is false.
        """
        if (joined := self._joined()) is not None:
            yield joined
            return
        self._take_turn(wait=wait)
        try:
            with (
                self._reachable(was_patient=wait and self._is_hurried),
                self._begun(self._longest_ms(wait=wait)) as connection,
            ):
                yield connection
        finally:
            self._asking_since_s = None
            self._writer.release()

    def _longest_ms(self, *, wait: bool) -> int:
        return NO_WAIT_MS if not wait else IN_VAIN_MS if self._is_closing else BUSY_TIMEOUT_MS

    def _take_turn(self, *, wait: bool) -> None:
        """Become this process' one writer; a request does not queue behind a write that is held up by another process."""
        while not self._writer.acquire(blocking=wait, timeout=LOOK_EVERY_S if wait else -1):
            if not wait:
                raise BusyError("another thread writes")
            waited_s = 0.0 if (since_s := self._asking_since_s) is None else time.monotonic() - since_s
            if waited_s > IN_VAIN_MS / 1000 and (self._is_closing or (self._is_hurried and waited_s > HURRIED_MS / 1000)):
                raise self._locked(waited_s)

    @contextmanager
    def _begun(self, within_ms: int) -> Iterator[Connection]:
        options = {WRITES: True, WITHIN_MS: within_ms}
        self._asking_since_s = time.monotonic()
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            if not self.sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {within_ms}")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
            self._asking_since_s = None
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None
                self._asking_since_s = time.monotonic()  # to commit, SQLite waits until nobody else reads

    @property
    def _is_hurried(self) -> bool:
        return bool(getattr(self._open, "is_hurried", False))

    @contextmanager
    def _reachable(self, *, was_patient: bool) -> Iterator[None]:
        """Say in our own words what the database refused; was_patient: whether a request waited for it as long as any may."""
        began_s = time.monotonic()
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            if isinstance(error, DBAPIError) and _is_lock(error.orig):
                if was_patient:
                    self._in_vain_until_s = time.monotonic() + IN_VAIN_FOR_S
                raise self._locked(time.monotonic() - began_s) from error
            raise StoreUnavailableError(str(error.orig if isinstance(error, DBAPIError) else error)) from error
        except DatabaseError as error:
            if type(error) is not DatabaseError:  # a constraint, a value out of range: that is our own fault
                raise
            raise StoreUnavailableError(str(error.orig)) from error  # SQLite: it is no database, or it is damaged

    def _locked(self, waited_s: float) -> StoreLockedError:
        name = Path(str(self.url.database)).name
        return StoreLockedError(f"another process holds {name} and did not let go of it within {waited_s:.1f} s")

    def _joined(self) -> Connection | None:
        connection: Connection | None = getattr(self._open, "connection", None)
        return connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._hasty.dispose()


def _is_lock(error: BaseException | None) -> bool:
    """Whether somebody else holds what was wanted, by the words of either driver."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error, "sqlstate", None) == POSTGRES_LOCK_NOT_AVAILABLE
