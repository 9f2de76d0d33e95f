"""Stores with a past: years of plans, publications, answers, points, jobs and tellings of a fleet of two sites, by a seed.

Nothing in them was solved: one rule plan is kept again and again, under other ids, instants and problems.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from served import SITES, fleet, planned

from models.plan import Plan
from models.problem import Problem
from models.setpoint import SetPoint
from models.time_grid import hourly
from service.documents import documents
from service.store import Store
from service.store.common import new_id
from service.store.records import StoredTelemetry, TelemetryPoint
from service.store.series_records import SeriesDeclaration, SeriesPoint

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Past:
    """What fills a store from one instant to another; every choice is the seed's."""

    store: Store
    rng: Random
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By job, the plans that its result names."""
    problem: Problem | None = None
    sites: tuple[str, ...] = SITES
    """Those that are in the fleet still; one may fall silent, and leave it some time later."""
    what_if_of: dict[str, str] = field(default_factory=dict)
    """By problem, the plan of it that a what-if made."""

    def fill(self, start: datetime, end: datetime, *, every: timedelta = DAY, gone: str = "", asks: float = 0.4) -> "Past":
        """Fill a store in one commit, with a publication about `every` so often, and a job after some of them.

        gone: a site that is not in the fleet any more.
        """
        silent = self.rng.choice(SITES)
        silent_from = start + self.rng.random() * (end - start) if self.rng.random() < 0.7 else end
        leaves = silent_from + (end - silent_from) / 3 if self.rng.random() < 0.5 else end
        with self.store.transaction():
            if self.store.fleets.newest() is None:
                self.store.fleets.add(fleet(), by="test", at=start)
            self._declare(start)
            at = start
            while at < end:
                self.sites = tuple(site for site in SITES if site != gone and (site != silent or at < leaves))
                version = self.publish(at)
                for site in self.sites:
                    if site != silent or at < silent_from:
                        self._answer(site, version, at)
                        self._measure(site, at, every)
                self._tell(at)
                if self.rng.random() < asks:
                    self._ask(at + MINUTE, end)
                at += every * self.rng.uniform(0.5, 1.5)
        return self

    def plan(self, at: datetime, basis: str = "rule", *, problem: Problem, purpose: str = "fleet") -> Plan:
        """Keep one more plan."""
        _, rule = planned()
        plan = rule.model_copy(
            update={
                "plan_id": new_id(), "created_at": at, "grid": problem.grid, "problem_digest": problem.digest, "basis": basis,
                "problem_name": problem.name,
            }
        )  # fmt: skip
        self.store.plans.add(problem, plan, purpose=purpose)
        return plan

    def publish(self, at: datetime) -> int:
        """Publish one more plan and return its version."""
        if self.problem is None or at >= self.problem.grid.start + 12 * HOUR or self.rng.random() < 0.8:
            known, _ = planned()
            grid = hourly(at.replace(minute=0, second=0, microsecond=0), known.grid.steps)
            sites = {name: state.model_copy(update={"as_of": grid.start}) for name, state in known.state.sites.items()}
            state = known.state.model_copy(update={"at": grid.start, "sites": sites})
            self.problem = known.model_copy(update={"grid": grid, "state": state, "name": f"of-{at:%Y-%m-%dT%H-%M}"})
        if self.rng.random() < 0.6:
            self.plan(at, problem=self.problem)  # the rule plan that comes first and is not published
        plan = self.plan(at, self.rng.choice(("optimised", "optimised", "last_good", "rule")), problem=self.problem)
        input_digest, audit = self.problem.digest, plan.audit

        def told(version: int) -> dict[str, SetPoint]:
            made = documents(
                plan, fleet().site_by_name, version=version, epoch=0, issued=at, input_digest=input_digest, audit=audit,
                standing={}, reasons={},
            )  # fmt: skip
            return {site: made[site] for site in self.sites}

        return self.store.publications.publish(
            unit="fleet", slot=plan.grid.start, occasion=f"hourly-{plan.plan_id}", epoch=0, plan_id=plan.plan_id,
            basis=plan.basis, at=at, documents=told,
        ).version  # fmt: skip

    def _answer(self, site: str, version: int, at: datetime) -> None:
        for state in (("accepted", "applied"), ("rejected",), ())[self.rng.choice((0, 0, 0, 1, 2))]:
            self.store.acknowledgements.add(site, version, state, at=at, received_at=at)

    def _measure(self, site: str, at: datetime, every: timedelta) -> None:
        points = []
        for n in range(self.rng.randrange(4)):
            flags = ("late",) if self.rng.random() < 0.3 else ()
            point = TelemetryPoint(at=at + n * every / 10, draw_w=self.rng.randrange(10**6))
            points.append(StoredTelemetry(point=point, received_at=at, flags=flags))
        if points:
            self.store.telemetry.add(site, points)

    def _declare(self, at: datetime) -> None:
        for name in ("HUB", "AIR"):
            kind, unit = ("price", "USD/MWh") if name == "HUB" else ("ambient", "degC")
            said = {
                "name": name, "kind": kind, "subject": name.lower(), "unit": unit, "zone": "UTC", "resolution_s": 3600,
                "source": "made for tests", "curve_type": "A01",
            }  # fmt: skip
            self.store.series.declare(SeriesDeclaration.model_validate(said), at=at)

    def _tell(self, at: datetime) -> None:
        """Tell a few hours to come, some of which are told again later."""
        first = at.replace(minute=0, second=0, microsecond=0)
        for name in ("HUB", "AIR"):
            points = [
                SeriesPoint(start=first + n * HOUR, value=float(self.rng.randrange(100)), known_at=at)
                for n in range(self.rng.randrange(60))
            ]
            self.store.series.add(name, points)

    def _ask(self, at: datetime, end: datetime) -> None:
        """A job of any kind, what it made, and how it ended."""
        job_id, problem = new_id(), self.problem
        kind = self.rng.choice(("scenario", "scenario_set", "backtest", "plan"))
        self.store.jobs.add(job_id, kind, {"set": []}, by="test", at=at)
        ends = at + self.rng.choice((HOUR, HOUR, DAY, 20 * DAY))
        if self.rng.random() < 0.05 and end - at < 30 * DAY:
            return  # it waits
        job_id = self.store.jobs.claim("worker", at=at, lease_s=60, kinds=(kind,)).job_id  # one that waited comes first
        names: list[str] = []
        if kind in ("scenario", "scenario_set") and problem is not None:
            base = self.what_if_of.get(problem.digest) or self.plan(at, problem=problem, purpose="scenario").plan_id
            self.what_if_of[problem.digest] = base
            changed = problem.model_copy(update={"name": f"{problem.name}-changed"})
            names = [base, self.plan(min(ends, at + HOUR), problem=changed, purpose="scenario").plan_id]
        if kind == "scenario":
            self.store.scenarios.add(new_id(), "a what-if", job_id, {"set": []}, by="test", at=at)
        if kind == "plan":
            self.publish(at + MINUTE)
            names = [self.store.publications.newest().plan_id]
        state = self.rng.choice(("done", "done", "failed", "cancelled"))
        result = {"plan_ids": names} if state == "done" else None
        if ends < end and self.store.jobs.finish(job_id, "worker", state, at=ends, result=result) and result:
            self.named[job_id] = tuple(names)
