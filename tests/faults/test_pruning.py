"""What is old is deleted while the service plans and sites poll, and killed in the middle: nobody waits, nothing breaks."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from aged import DAY, HOUR, Past
from faults.test_kill_nine import ROOT, Victim

from service.retention import prune, would_prune
from service.store import open_store

POLL_EVERY_S = 0.05
SLOWEST_S = 2.0
"""On a machine that is busy with other tests; a site is promised 100 ms on one that is not."""


def aged_service(folder: Path) -> Victim:
    """Return a service whose store has a past of eight months, 600 publications and thousands of points."""
    victim = Victim(folder)
    victim.prepare()
    store, now = open_store(f"sqlite:///{victim.database}"), datetime.now(UTC)
    Past(store, random.Random(7)).fill(now - 240 * DAY, now - 90 * DAY, every=6 * HOUR)
    store.close()
    return victim


def pruning(victim: Victim) -> subprocess.Popen:
    """Begin to delete what is more than 30 days old, in a process of its own."""
    command = [sys.executable, "-m", "service.cli", "store", "prune", "--older-than", "P30D", "--data-dir", str(victim.folder)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WATTSPLIT_")}
    return subprocess.Popen(command, env=clean | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)


def old_rows(victim: Victim) -> int:
    """Count what is more than a month old, of tables that are pruned one after the other; what comes in now is not of it."""
    dates = {"job": "created_at", "publication": "published_at", "plan": "created_at", "telemetry": "at"}
    counts = [f"(SELECT count(*) FROM {table} WHERE {at} < date('now', '-31 days'))" for table, at in dates.items()]
    with sqlite3.connect(victim.database, timeout=20) as raw:
        return int(raw.execute(f"SELECT {' + '.join(counts)}").fetchone()[0])


def until_something_goes(victim: Victim, process: subprocess.Popen) -> None:
    before, given_up = old_rows(victim), time.monotonic() + 60
    while old_rows(victim) >= before:
        assert process.poll() is None, "it ended before it deleted anything"
        assert time.monotonic() < given_up
        time.sleep(0.02)


def cut_off(victim: Victim, after_s: float) -> None:
    """Begin to delete, and kill that when something is gone and some time is over."""
    process = pruning(victim)
    try:
        until_something_goes(victim, process)
        time.sleep(after_s)
        assert process.poll() is None, "it is killed in the middle"
    finally:
        process.kill()
        process.wait(10)
    sound(victim)


def sound(victim: Victim) -> None:
    with sqlite3.connect(victim.database, timeout=20) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def poll(victim: Victim, site: str, stop: threading.Event, found: list[tuple[int, float]]) -> None:
    with httpx.Client(base_url=victim.url, headers=victim.auth(site), timeout=10) as client:
        while not stop.wait(POLL_EVERY_S):
            began = time.monotonic()
            status = client.get(f"/v1/sites/{site}/setpoints").status_code
            found.append((status, time.monotonic() - began))


def test_sites_are_answered_and_orders_planned_while_it_is_deleted_and_killed(tmp_path):
    victim, rng, stop = aged_service(tmp_path), random.Random(1), threading.Event()
    whole = would_prune_of(victim)
    victim.start()
    found: list[tuple[int, float]] = []
    threads = [threading.Thread(target=poll, args=(victim, site, stop, found), daemon=True) for site in victim.confirmed]
    threads += [threading.Thread(target=victim.report, args=("pecos", stop), daemon=True)]
    threads += [threading.Thread(target=victim.order, args=(stop, rng), daemon=True)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            cut_off(victim, rng.uniform(0.0, 0.8))
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
        victim.process.send_signal(signal.SIGTERM)
        ended = victim.process.wait(20)
    assert ended == 0
    assert {status for status, _ in found} == {200}
    assert len(found) > 50
    slow = sorted(seconds for _, seconds in found)
    assert slow[int(0.95 * len(slow))] < SLOWEST_S, slow[-10:]
    assert "StoreUnavailable" not in victim.said
    assert victim.orders
    store, now = open_store(f"sqlite:///{victim.database}"), datetime.now(UTC)
    left = would_prune(store, now - timedelta(days=30), str(tmp_path))
    assert 0 < left.total.rows < whole, "what was deleted stays deleted, and the rest is still old"
    assert store.publications.newest().occasion.startswith("event-")
    gone = prune(store, now - timedelta(days=30), str(tmp_path), by="test", now=lambda: now, stop=lambda _: False)
    assert gone.tables == left.tables
    assert would_prune(store, now - timedelta(days=30), str(tmp_path)).tables == {}
    begun = [line for line in store.audit_log.page(limit=500).items if line.action == "history.prune"]
    assert [line.who for line in begun] == ["test"] + ["wattsplit store prune"] * 3
    assert store.audit_log.broken_at() is None
    store.close()
    sound(victim)


def would_prune_of(victim: Victim) -> int:
    store = open_store(f"sqlite:///{victim.database}")
    rows = would_prune(store, datetime.now(UTC) - timedelta(days=30), str(victim.folder)).total.rows
    store.close()
    return rows
