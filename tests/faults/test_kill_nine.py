"""kill -9 of the service at random moments, while sites report and orders come in: nothing that was confirmed is lost."""

import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from seams.fleets import post_series, small_fleet

from service.documents import digest_of
from service.keys import Keyring
from service.slots import floor_hour
from service.store import open_store

ROOT = Path(__file__).resolve().parents[2]
SITES = 3
START_WITHIN_S = 10.0


def no_room() -> None:
    """Let no file grow: every write to one fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Victim:
    """A service on a small fleet, which is killed and started again on the same store."""

    folder: Path
    port: int = field(default_factory=free_port)
    keys: dict[str, str] = field(default_factory=dict)
    confirmed: dict[str, set[str]] = field(default_factory=dict)
    orders: set[str] = field(default_factory=set)
    starts_s: list[float] = field(default_factory=list)
    process: subprocess.Popen | None = None
    posted: int = 0
    log: Path | None = None
    """Where standard output and error go, if not to a file in its folder."""
    may_write: bool = True
    """Whether there is room on the disk."""
    before: str = ""
    """Code that its process runs before it serves."""

    @property
    def said(self) -> str:
        file = self.log or self.folder / "service.log"
        return file.read_text() if file.is_file() else ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "store.db"

    def prepare(self) -> None:
        """Make the store: a fleet, its series, a key for every site and one for an operator."""
        now = datetime.now(UTC)
        fleet = small_fleet(SITES)
        store = open_store(f"sqlite:///{self.database}")
        store.fleets.add(fleet, by="test", at=now)
        post_series(store, floor_hour(now) - timedelta(hours=1), 24)
        keyring = Keyring(store, lambda: datetime.now(UTC))
        for site in fleet.sites:
            self.keys[site.name] = keyring.issue("controller", label=site.name, by="test", sites=(site.name,))[1]
            self.confirmed[site.name] = set()
        self.keys["operator"] = keyring.issue("operator", label="operator", by="test")[1]
        store.close()

    def start(self) -> None:
        """Start the service and wait for its first valid set-point."""
        began = time.monotonic()
        self.launch()
        while not self.answers():
            assert self.process.poll() is None, self.said[-3000:]
            assert time.monotonic() - began < 6 * START_WITHIN_S, self.said[-3000:]
            time.sleep(0.05)
        self.starts_s.append(time.monotonic() - began)

    def launch(self) -> None:
        """Start the service."""
        command = [
            sys.executable,
            "-c",
            f"{self.before}\nfrom service.cli import main\nmain()",
            "serve",
            "--data-dir",
            str(self.folder),
            "--port",
            str(self.port),
            "--empty",
            "-q",
        ]
        settings = {"WATTSPLIT_HORIZON_H": "4", "WATTSPLIT_BUDGET_S": "2", "WATTSPLIT_ASKED_GAP": "0.02", "OMP_NUM_THREADS": "1"}
        environment = (
            {k: v for k, v in os.environ.items() if not k.startswith("WATTSPLIT_")} | settings | {"PYTHONPATH": str(ROOT)}
        )
        with (self.log or self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, preexec_fn=None if self.may_write else no_room
            )

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1/sites/pecos/setpoints", headers=self.auth("pecos"), timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def auth(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[who]}"}

    def kill(self) -> None:
        """Kill by signal 9, and see its children go."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        _, alive = psutil.wait_procs(children, timeout=3)
        assert alive == [], f"left running: {alive}"

    def report(self, site: str, stop: threading.Event) -> None:
        """Post points one by one until the service is gone; remember those that it confirmed."""
        long_ago = datetime.now(UTC) - timedelta(days=2)
        with httpx.Client(base_url=self.url, headers=self.auth(site), timeout=10) as client:
            while not stop.is_set():
                self.posted += 1
                at = (long_ago + timedelta(milliseconds=self.posted)).isoformat()
                point = {"at": at, "draw_w": 20_000, "mode_blocks": {"row": {"eco": 1}}, "nodes_on": {"h100": 1}}
                try:
                    answer = client.post(f"/v1/sites/{site}/telemetry", json={"points": [point]})
                except httpx.TransportError:
                    return
                assert answer.status_code < 500, answer.text
                if answer.is_success:
                    self.confirmed[site].add(at)

    def order(self, stop: threading.Event, rng: random.Random) -> None:
        """Enter orders, each of which makes the service plan and publish at once."""
        with httpx.Client(base_url=self.url, headers=self.auth("operator"), timeout=10) as client:
            while not stop.wait(rng.uniform(0.05, 0.8)):
                end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
                body = {
                    "kind": "curtailment",
                    "site": "pecos",
                    "limit_w": rng.randrange(10**5, 10**6),
                    "end": end,
                    "reason": "test",
                }
                try:
                    answer = client.post("/v1/events", json=body, headers={"Idempotency-Key": f"order-{rng.random()}"})
                except httpx.TransportError:
                    return
                assert answer.status_code < 500, answer.text
                if answer.is_success:
                    self.orders.add(answer.json()["event_id"])

    def round(self, rng: random.Random) -> None:
        """One life: start, work under way, and death at a random moment."""
        self.start()
        stop = threading.Event()
        threads = [threading.Thread(target=self.report, args=(site, stop)) for site in self.confirmed]
        threads.append(threading.Thread(target=self.order, args=(stop, rng)))
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.1, 5.0))
        self.kill()
        stop.set()
        for thread in threads:
            thread.join(15)
            assert not thread.is_alive()

    def check(self) -> dict[str, int]:
        """Account for everything: what was confirmed is there, what was published is whole."""
        store = open_store(f"sqlite:///{self.database}")
        try:
            with sqlite3.connect(self.database) as raw:
                assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                kept = {row[0]: row[1] for row in raw.execute("SELECT site, count(*) FROM telemetry GROUP BY site")}
            raw.close()
            for site, confirmed in self.confirmed.items():
                start = datetime.now(UTC) - timedelta(days=3)
                known: set[datetime] = set()
                while page := store.telemetry.between(site, start, datetime.now(UTC)):
                    known |= {stored.point.at for stored in page}
                    start = page[-1].point.at + timedelta(microseconds=1)
                assert {datetime.fromisoformat(at) for at in confirmed} <= known, f"{site}: confirmed points are lost"
                assert len(known) == kept.get(site, 0)
            assert {e.event_id for e in store.events.page(limit=500).items} >= set(list(self.orders)[:500])
            versions = []
            for publication in store.publications.page(limit=500).items:
                documents = store.publications.setpoints(publication.version)
                assert set(documents) == set(self.confirmed), f"version {publication.version} is half published"
                assert all(d.digest == digest_of(d) and d.plan_id == publication.plan_id for d in documents.values())
                assert store.plans.get(publication.plan_id).audit.passed
                versions.append(publication.version)
            assert versions == sorted(set(versions), reverse=True)
            assert store.audit_log.broken_at() is None
            assert len([p for p in store.publications.page(limit=500).items if p.occasion == "hourly"]) <= 3
            return {"points": sum(map(len, self.confirmed.values())), "orders": len(self.orders), "versions": len(versions)}
        finally:
            store.close()


def kills(folder: Path, rounds: int, seed: int) -> Victim:
    victim, rng = Victim(folder), random.Random(seed)
    victim.prepare()
    for _ in range(rounds):
        victim.round(rng)
        victim.check()
    victim.start()
    caught_up = time.monotonic() + 60
    while True:  # an order whose plan was cut off is planned by the next life
        freshness = httpx.get(f"{victim.url}/v1/sites/pecos/setpoints", headers=victim.auth("pecos"), timeout=10).json()
        newest = set(victim.orders) and min(s["limit_w"] for s in freshness["steps"])
        if newest and newest <= 10**6:
            break
        assert time.monotonic() < caught_up
        time.sleep(0.2)
    victim.process.send_signal(signal.SIGTERM)
    assert victim.process.wait(20) == 0, "it stops by itself when asked"
    return victim


def test_nothing_confirmed_is_lost_and_nothing_is_half_published(tmp_path):
    victim = kills(tmp_path, rounds=3, seed=1)
    found = victim.check()
    assert found["points"] > 10
    assert found["versions"] > 1
    assert max(victim.starts_s) < 3 * START_WITHIN_S  # the machine may be busy with other tests


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_deaths(tmp_path, capsys):
    victim = kills(tmp_path, rounds=50, seed=2)
    found = victim.check()
    with capsys.disabled():
        starts = sorted(victim.starts_s)
        took = f"{starts[0]:.1f}-{starts[-1]:.1f} s, median {starts[len(starts) // 2]:.1f} s"
        print(f"\n50 kills: {found}; start to first set-point {took}")
    assert found["points"] > 500
