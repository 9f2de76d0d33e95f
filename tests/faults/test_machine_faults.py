"""A machine that fails under the service: a store that cannot be read for a while, a log that cannot be written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from faults.test_kill_nine import Victim

from models.setpoint import SetPoint
from service.documents import digest_of

WITHIN_S = 60.0
PROMISED_S = 0.25
HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
other.execute("PRAGMA locking_mode=EXCLUSIVE")
other.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    made = Victim(tmp_path)
    made.prepare()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def version(victim: Victim) -> int:
    """Return the version that a site is told."""
    return int(httpx.get(f"{victim.url}/v1/sites/pecos/setpoints", headers=victim.auth("pecos"), timeout=30).json()["version"])


def order(victim: Victim) -> httpx.Response:
    body = {"site": "pecos", "limit_w": 500_000, "reason": "test"}
    return httpx.post(f"{victim.url}/v1/events", json=body, headers=victim.auth("operator"), timeout=30)


def until_newer(victim: Victim, than: int) -> None:
    """Wait until something newer is published."""
    deadline = time.monotonic() + WITHIN_S
    while version(victim) <= than:
        assert victim.process.poll() is None, victim.said[-3000:]
        assert time.monotonic() < deadline, victim.said[-3000:]
        time.sleep(0.2)


def start_and_plan(victim: Victim) -> None:
    """Start the service, and wait until it has published more than the rule plan."""
    victim.start()
    until_newer(victim, 1)


def an_order_is_planned(victim: Victim) -> None:
    """Enter an order, and see that the service plans for it: it works as if nothing had been."""
    before = version(victim)
    assert order(victim).status_code == 201
    until_newer(victim, before)


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Hold the store by another process, so that nobody else can read it."""
    other = subprocess.Popen([sys.executable, "-c", HOLD, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        yield
    finally:
        other.communicate(timeout=30)


def test_a_site_is_told_in_time_while_another_process_holds_the_store(victim):
    start_and_plan(victim)
    told = version(victim)
    with httpx.Client(base_url=victim.url, headers=victim.auth("pecos"), timeout=5) as site:
        with held(victim.database):
            answers = [site.get("/v1/sites/pecos/setpoints") for _ in range(20)]
        after = site.get("/v1/sites/pecos/setpoints")
    assert {answer.status_code for answer in (*answers, after)} == {200}
    assert all(digest_of(SetPoint.model_validate_json(a.content)) == a.json()["digest"] for a in (*answers, after))
    assert all(answer.json()["version"] >= told for answer in (*answers, after))
    assert sorted(answer.elapsed.total_seconds() for answer in answers)[-2] < PROMISED_S  # one hiccup of a busy machine
    an_order_is_planned(victim)


def test_a_store_that_cannot_be_read_for_a_while_does_not_end_the_service(victim):
    start_and_plan(victim)
    with victim.database.open("r+b") as file:
        header = file.read(100)
        os.pwrite(file.fileno(), bytes(100), 0)
        answers = [httpx.get(f"{victim.url}/v1/sites", timeout=30).status_code]
        time.sleep(2)
        os.pwrite(file.fileno(), header, 0)
    assert answers == [503]
    an_order_is_planned(victim)
    victim.process.send_signal(signal.SIGTERM)
    assert victim.process.wait(20) == 0


def test_a_log_that_cannot_be_written_stops_neither_planning_nor_answers(victim):
    victim.log = Path("/dev/full")
    start_and_plan(victim)
    an_order_is_planned(victim)


def test_a_full_disk_keeps_nobody_from_being_served(victim):
    """Nor does it keep the service from starting, or from ending when asked."""
    start_and_plan(victim)
    told = version(victim)
    victim.process.send_signal(signal.SIGTERM)
    assert victim.process.wait(20) == 0
    victim.may_write = False
    victim.start()
    assert version(victim) == told
    assert order(victim).status_code == 503
    health = httpx.get(f"{victim.url}/v1/health/fresh", timeout=30)
    assert health.status_code == 503
    assert "failing: nothing can be stored: disk I/O error" in health.json()["detail"]
    victim.process.send_signal(signal.SIGTERM)
    assert victim.process.wait(20) == 0
