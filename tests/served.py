"""A small service in one process: two sites, a published plan, a key of every role, and a clock that tests turn.

    served = Served(tmp_path)              everything behind `served.client` (in process), on a real SQLite file
    with served.listening() as address:    the same behind waitress on a free loopback port

Long work is queued and not run: planning has tests of its own.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from models.asic import AsicGroup, Mode
from models.contract import FixedPrice
from models.fleet import Fleet
from models.gpu import GpuPool
from models.plan import Plan
from models.problem import Problem
from models.setpoint import SetPoint
from models.site import Site
from models.state import GroupState, PoolState, SiteState, State
from models.time_grid import hourly
from models.workload import InteractiveWorkload
from optimizer.audit import audit
from optimizer.fallback import rule_plan
from service.app import create_app
from service.config import Settings
from service.documents import documents
from service.http.server import create
from service.keys import Keyring
from service.ports import Freshness, Services
from service.store import Store, open_store
from service.store.entry_records import Entry
from service.store.records import ROLES, Event, FleetVersion, Job, JobKind, Publication

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
SITES = ("pecos", "kiruna")


class Clock:
    """The time as a test wants it."""

    def __init__(self, at: datetime = START + timedelta(minutes=5)) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def ahead(self, **by: float) -> None:
        self.at += timedelta(**by)


class Queue:
    """Jobs that are queued in the store and never run."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store, self._now = store, now

    def submit(self, kind: JobKind, payload: Mapping[str, Any], *, asked_by: str, job_id: str) -> Job:
        return self._store.jobs.add(job_id, kind, payload, by=asked_by, at=self._now())

    def cancel(self, job_id: str, *, asked_by: str) -> Job:
        return self._store.jobs.ask_cancel(job_id, at=self._now())

    def progress(self, job_id: str) -> None:
        return None


class Listener:
    """Planning that only remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fleets: list[FleetVersion] = []
        self.entries: list[Entry] = []
        self.limits_told = 0
        self.fresh = True

    def entry_changed(self, entry: Entry) -> None:
        self.entries.append(entry)

    def limits_changed(self) -> None:
        self.limits_told += 1

    def event_changed(self, event: Event) -> None:
        self.events.append(event)

    def fleet_changed(self, version: FleetVersion) -> None:
        self.fleets.append(version)

    def freshness(self, now: datetime) -> Freshness:
        why = () if self.fresh else ("rule plan served: solver_timeout",)
        return Freshness(fresh=self.fresh, basis="rule", published_at=START, plan_id=None, reasons=why)


class Ladder:
    """Lower rungs as a test wants them."""

    def __init__(self) -> None:
        self.give: Callable[[str, datetime], SetPoint | None] = lambda site, now: None

    def fallback(self, site: str, now: datetime) -> SetPoint | None:
        return self.give(site, now)


class Served:
    """Everything behind one application."""

    def __init__(self, folder: Path, *, url: str | None = None, publish: bool = True, **settings: Any) -> None:
        self.now = Clock()
        self.url = url or f"sqlite:///{folder / 'store.db'}"
        self.store = open_store(self.url)
        self.keyring = Keyring(self.store, self.now)
        self.planning, self.ladder = Listener(), Ladder()
        self.settings = Settings(database_url=self.url, port=0, **{"failures_per_minute": 100_000} | settings)
        self.services = Services(
            settings=self.settings, store=self.store, keyring=self.keyring, now=self.now,
            jobs=Queue(self.store, self.now), planning=self.planning, publisher=self.ladder,
        )  # fmt: skip
        self.app = create_app(self.services)
        self.fleet = fleet()
        self.store.fleets.add(self.fleet, by="test", at=self.now())
        with self.store.transaction():
            self.tokens = {role: self.key(role) for role in ROLES}
        self.problem, self.plan = planned()
        if publish:
            self.publish()

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def key(self, role: str, sites: tuple[str, ...] = SITES[:1]) -> str:
        bound = sites if role == "controller" else ()
        return self.keyring.issue(role, label=f"a {role}", by="test", sites=bound)[1]  # type: ignore[arg-type]

    def as_(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def publish(self, occasion: str = "hourly", plan: Plan | None = None) -> Publication:
        plan = plan or self.plan
        assert plan.audit is not None
        self.store.plans.add(self.problem, plan)

        def make(version: int) -> dict[str, SetPoint]:
            return documents(
                plan, self.fleet.site_by_name, version=version, epoch=0, issued=self.now(), input_digest=self.problem.digest,
                audit=plan.audit, standing={}, reasons={},
            )  # fmt: skip

        return self.store.publications.publish(
            unit="fleet", slot=plan.grid.start, occasion=occasion, epoch=0, plan_id=plan.plan_id, basis=plan.basis,
            at=self.now(), documents=make,
        )  # fmt: skip

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve on a free loopback port and give its address."""
        server = create(self.app, self.settings, self.store.publications.stop_waiting)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.effective_port}"
        finally:
            server.close()
            thread.join(10)
            assert not thread.is_alive()

    def close(self) -> None:
        self.store.close()


def fleet() -> Fleet:
    modes = (
        Mode(name="eco", miner_power_w=2_400, miner_hash_th_per_s=130.0),
        Mode(name="normal", miner_power_w=3_500, miner_hash_th_per_s=200.0),
    )
    row = AsicGroup(name="row", model="S21", blocks=4, miners_per_block=180, modes=modes, sleep_power_w=15)
    pool = GpuPool(
        name="nodes",
        gpu_type="h100",
        nodes=6,
        node_fixed_w=8_200,
        node_span_w=1_300,
        throughput_tokens_per_s={"llama-70b": 2_731},
    )
    return Fleet(
        name="two",
        sites=tuple(
            Site(
                name=name, region=region, country="US", zone="America/Chicago", ambient="inland",
                connection_limit_w=3_000_000, base_load_w=10_000, contract=FixedPrice(price_usd_per_mwh=40.0 + 10 * place),
                asic_groups=(row,), gpu_pools=(pool,),
            )
            for place, (name, region) in enumerate(zip(SITES, ("texas", "nordic"), strict=True))
        ),
        workloads=(
            InteractiveWorkload(
                name="chat", model="llama-70b", price_usd_per_mwork=0.9, routing_usd_per_mwork={"texas": 0.0, "nordic": 0.01},
                unserved_usd_per_mwork=2.0,
            ),
        ),
    )  # fmt: skip


def problem(of: Fleet, steps: int = 48) -> Problem:
    idle = {
        site.name: SiteState(draw_w=20_000, groups={"row": GroupState()}, pools={"nodes": PoolState()}, as_of=START)
        for site in of.sites
    }
    return Problem(
        name="two", grid=hourly(START, steps), fleet=of, hashprice_usd_per_ph_day=(48.0,) * steps,
        ambient_c={"inland": (20.0,) * steps}, demand_work_per_h={"chat": (20_000_000,) * steps},
        state=State(at=START, sites=idle),
    )  # fmt: skip


def audited(of: Problem) -> Plan:
    made = rule_plan(of, START)
    report = audit(of, made)
    assert report.passed, report.broken
    return made.model_copy(update={"audit": report})


@cache
def planned() -> tuple[Problem, Plan]:
    """Return the fleet's problem and its rule plan; both are frozen, so that tests may share them."""
    made = problem(fleet())
    return made, audited(made)
