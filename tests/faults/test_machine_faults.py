"""A machine that fails under the service: a store that cannot be read for a while, a log that cannot be written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from faults.test_kill_nine import ROOT, Victim

from models.setpoint import SetPoint
from service.cli.exits import Exit
from service.documents import digest_of

WITHIN_S = 60.0
PROMISED_S = 0.25
HURRIED_S, IN_VAIN_S = 3.0, 0.25
"""What a request waits for the store, and what it waits where another has just waited in vain."""
ENDS_WITHIN_S = 30.0
"""A write that waits already when the service is to end waits on, 20 s at most; nobody waits behind it."""
PATIENT_S = 15.0
"""Less than a write waits that has its turn."""
BUSY_S = 2.0
"""What a busy machine adds to an answer."""
REPORTS = 40
"""More than the service has threads."""
HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
for statement in sys.argv[2:]:
    other.execute(statement).fetchall()
print("held", flush=True)
sys.stdin.read()
"""
ALONE = ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE")
WRITING = ("BEGIN IMMEDIATE",)
READING = ("BEGIN", "SELECT * FROM sqlite_schema")


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
def held(database: Path, *how: str) -> Iterator[None]:
    """Hold the store by another process: if not told how, so that nobody else can read it."""
    command = [sys.executable, "-c", HOLD, database, *(how or ALONE)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        yield
    finally:
        other.communicate(timeout=30)


def report(victim: Victim, n: int) -> httpx.Response:
    """Report a point of a site."""
    at = datetime.now(UTC) - timedelta(days=1, seconds=n)
    body = {"points": [{"at": at.isoformat(), "draw_w": 20_000}]}
    return httpx.post(f"{victim.url}/v1/sites/pecos/telemetry", json=body, headers=victim.auth("pecos"), timeout=60)


def is_refused_in_words(answer: httpx.Response) -> bool:
    told = answer.json()
    return (
        (answer.status_code, told["code"], answer.headers["Retry-After"]) == (503, "store_unavailable", "5")
        and told["detail"].startswith("The store is locked: another process holds store.db and did not let go of it within ")
        and told["detail"].endswith(" What was asked did not happen; ask again.")
    )


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


def test_what_is_read_otherwise_is_refused_in_words_and_soon(victim):
    start_and_plan(victim)
    with httpx.Client(base_url=victim.url, headers=victim.auth("operator"), timeout=30) as reader:
        assert reader.get("/v1/sites").status_code == 200
        with held(victim.database):
            answers = [reader.get(path) for path in ("/v1/sites", "/v1/jobs", "/v1/plans/latest/money")]
            ready = reader.get("/v1/health/ready")
        assert reader.get("/v1/sites").status_code == 200
    assert all(is_refused_in_words(answer) for answer in answers)
    first, *others = (answer.elapsed.total_seconds() for answer in answers)
    assert HURRIED_S - 0.5 < first < HURRIED_S + BUSY_S
    assert max(others) < IN_VAIN_S + BUSY_S
    assert ready.status_code == 503
    assert "another process holds store.db" in ready.json()["detail"]


@pytest.mark.parametrize(
    ("how", "waits", "soon_s"),
    [(ALONE, 0, 1.0), (WRITING, 1, HURRIED_S + BUSY_S), (READING, 1, HURRIED_S + BUSY_S)],
    ids=["alone", "writing", "reading"],
)
def test_reports_that_wait_for_the_store_keep_no_site_from_being_told(victim, how, waits, soon_s):
    """One write waits on, so that nobody need send it again; those behind it do not tie up the threads that serve sites."""
    start_and_plan(victim)
    told = version(victim)
    with (
        ThreadPoolExecutor(REPORTS) as sites,
        httpx.Client(base_url=victim.url, headers=victim.auth("pecos"), timeout=30) as site,
    ):
        with held(victim.database, *how):
            reports = [sites.submit(report, victim, n) for n in range(REPORTS)]
            time.sleep(HURRIED_S / 2)
            during = site.get("/v1/sites/pecos/setpoints")
            deadline = time.monotonic() + PATIENT_S
            while sum(each.done() for each in reports) < REPORTS - waits and time.monotonic() < deadline:
                time.sleep(0.05)
            after = [site.get("/v1/sites/pecos/setpoints") for _ in range(5)]
        answers = [each.result() for each in reports]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) >= REPORTS - waits  # unless the service had something to write itself just then
    assert all(is_refused_in_words(answer) for answer in refused)
    assert {answer.status_code for answer in (during, *after)} == {200}
    assert all(answer.json()["version"] >= told for answer in (during, *after))
    assert during.elapsed.total_seconds() < soon_s
    assert sorted(answer.elapsed.total_seconds() for answer in after)[-2] < PROMISED_S
    assert report(victim, REPORTS).status_code == 200
    an_order_is_planned(victim)


def test_a_start_waits_for_whoever_holds_the_store_and_ends_in_words_if_it_is_held_on(victim):
    with held(victim.database):
        started = subprocess.run(
            [sys.executable, "-m", "service.cli", "serve", "--data-dir", victim.folder, "--port", str(victim.port), "-q"],
            capture_output=True, text=True, cwd=victim.folder, timeout=WITHIN_S, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert started.returncode == Exit.LOCKED, started.stderr
    assert "cannot start on the store" in started.stderr
    assert "another process holds store.db and did not let go of it within 20." in started.stderr
    assert "Traceback" not in started.stderr
    with ThreadPoolExecutor(1) as starter:
        with held(victim.database):
            starting = starter.submit(victim.start)
            time.sleep(HURRIED_S)
            assert not starting.done()
        starting.result()
    until_newer(victim, 1)


@pytest.mark.parametrize("how", [ALONE, WRITING], ids=["alone", "writing"])
def test_whoever_ends_the_service_does_not_wait_for_whoever_holds_the_store(victim, how):
    start_and_plan(victim)
    with held(victim.database, *how):
        time.sleep(HURRIED_S)
        victim.process.send_signal(signal.SIGTERM)
        assert victim.process.wait(ENDS_WITHIN_S) == 0
    victim.start()


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
