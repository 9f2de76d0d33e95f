"""While somebody else holds the database, whoever hurries is told so in words, and all others wait; nothing is half done."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from served import START, fleet
from sqlalchemy import create_engine, make_url

import service.store.database
from service.store import Store
from service.store.database import HURRIED_MS, IN_VAIN_MS, PLACES, WRITER_LOCK, StoreLockedError

IN_WORDS = r"^another process holds \S+ and did not let go of it within \d+\.\d s$"
BUSY_S = 1.0
"""What a busy machine adds to a wait."""


@contextmanager
def held(url: str, sqlite: str, postgres: str) -> Iterator[None]:
    """Hold the database by a connection of somebody else's, by a statement of its own kind."""
    if (database := make_url(url)).get_backend_name() == "sqlite":
        other = sqlite3.connect(str(database.database), isolation_level=None)
        other.execute(sqlite)
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()
        return
    engine = create_engine(database.set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(postgres)
            yield
    finally:
        engine.dispose()


def waited_s(store: Store) -> float:
    """Read in a hurry, in vain, and return how long that took."""
    began_s = time.monotonic()
    with store.hurrying(), pytest.raises(StoreLockedError, match=IN_WORDS):
        store.fleets.newest()
    return time.monotonic() - began_s


def test_a_read_in_a_hurry_gives_up_and_any_other_waits(url: str, store: Store):
    store.fleets.add(fleet(), by="test", at=START)
    patient: list[str] = []
    reader = threading.Thread(target=lambda: patient.append(store.fleets.newest().fleet.name))
    with held(url, "BEGIN EXCLUSIVE", "LOCK TABLE fleet_version IN ACCESS EXCLUSIVE MODE"):
        reader.start()
        assert HURRIED_MS / 1000 - 0.5 < waited_s(store) < HURRIED_MS / 1000 + BUSY_S
        assert IN_VAIN_MS / 1000 - 0.1 < waited_s(store) < IN_VAIN_MS / 1000 + BUSY_S
        assert patient == []
    reader.join(10)
    assert patient == ["two"]
    with store.hurrying():
        assert store.fleets.newest().fleet.name == "two"


def test_few_of_a_crowd_wait_long(url: str, store: Store):
    crowd = PLACES + 6
    with (
        held(url, "BEGIN EXCLUSIVE", "LOCK TABLE fleet_version IN ACCESS EXCLUSIVE MODE"),
        ThreadPoolExecutor(crowd) as threads,
    ):
        waits = sorted(threads.map(lambda _: waited_s(store), range(crowd)))
    assert waits[5] < IN_VAIN_MS / 1000 + BUSY_S
    assert sum(wait > HURRIED_MS / 1000 - 0.5 for wait in waits) <= PLACES
    assert waits[-1] > HURRIED_MS / 1000 - 0.5


def test_a_write_waits_a_bounded_time_and_is_then_not_done(url: str, store: Store, monkeypatch):
    monkeypatch.setattr(service.store.database, "BUSY_TIMEOUT_MS", 300)
    with held(url, "BEGIN IMMEDIATE", f"SELECT pg_advisory_xact_lock({WRITER_LOCK})"):
        began_s = time.monotonic()
        with pytest.raises(StoreLockedError, match=IN_WORDS):
            store.fleets.add(fleet(), by="test", at=START)
        assert time.monotonic() - began_s < 0.3 + BUSY_S
        assert store.fleets.newest() is None
    store.fleets.add(fleet(), by="test", at=START)
    assert store.fleets.newest().fleet.name == "two"
