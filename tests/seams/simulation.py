"""The service with simulated sites and a simulated clock: two days pass as fast as they can be planned."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from seams.joined import Book

from models.fleet import Fleet
from models.setpoint import SetPoint
from models.site import Site
from models.state import SiteState
from scenarios.feed import initial_state
from service.config import Settings
from service.simulate import Chances, SimulatedSite
from service.site_client import SiteClient
from service.store import Store
from service.store.acknowledgements import AckOrderError
from service.store.records import AckState, StoredTelemetry, TelemetryPoint
from service.wiring import Service, assemble

MIN = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DEVIANT = Chances(trip=0.02, stick=0.01, start_fails=0.03, noise=0.01)


@dataclass
class Clock:
    """A clock that is set by hand."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@dataclass
class StoreLink:
    """The way from a client to the service without a network in between."""

    store: Store
    fallback: Callable[[str, datetime], SetPoint | None]
    site: str
    clock: Clock
    down: bool = False

    def fetch(self, etag: str | None) -> tuple[str | None, bytes | None]:
        self._reach()
        told = self.store.publications.told(self.site)
        if told is None or self.clock() >= told[0].valid_until:
            made = self.fallback(self.site, self.clock())
            told = (made, made.model_dump_json().encode()) if made else None
        if told is None:
            raise ConnectionError("no document")
        document, body = told
        return (etag, None) if document.digest == etag else (document.digest, body)

    def acknowledge(self, version: int, revision: int, state: AckState, at: datetime, detail: str) -> None:
        self._reach()
        told = {"at": at, "received_at": self.clock(), "detail": detail, "revision": revision}
        try:
            self.store.acknowledgements.add(self.site, version, state, **told)
        except AckOrderError as error:
            raise ConnectionError(str(error)) from None

    def report(self, points: list[TelemetryPoint]) -> None:
        self._reach()
        self.store.telemetry.add(self.site, [StoredTelemetry(point=p, received_at=self.clock()) for p in points])

    def _reach(self) -> None:
        if self.down:
            raise ConnectionError("the line is cut")


@dataclass
class Simulation:
    """A service, its sites, and the books that judge what happened to their machines."""

    service: Service
    clock: Clock
    plants: dict[str, SimulatedSite]
    clients: dict[str, SiteClient]
    links: dict[str, StoreLink]
    books: dict[tuple[str, str], Book] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    over_limit: list[str] = field(default_factory=list)
    excused: set[str] = field(default_factory=set)
    asleep: Callable[[datetime], bool] = lambda _: False

    @property
    def store(self) -> Store:
        return self.service.store

    def run(self, hours: float, every: timedelta = 10 * MIN) -> None:
        """Let time pass: sites act and report at every tick, the scheduler's bell rings at minute 40."""
        end = self.clock.at + hours * HOUR
        while self.clock.at < end:
            self.tick(every)
            self.clock.at += every

    def tick(self, every: timedelta) -> None:
        """One moment: machines do what they do, clients poll, obey and report, and the desk does what is owed."""
        now = self.clock.at
        for name, client in self.clients.items():
            plant = self.plants[name]
            if now.minute:  # a trip and a start at one instant would look like nothing: counts tell no block from another
                plant.pass_time(now, every / HOUR)
            client.step(report=True)
            self._note_fact(name, now)
            self._judge_draw(name, client, now)
        if now.minute == 40 and not self.asleep(now):
            self.turn()

    def turn(self) -> None:
        """Ring the bell: do what is owed, and nothing more."""
        assert self.service.leadership.lead()
        published = self.store.publications.newest()
        self.service.desk.turn()
        newest = self.store.publications.newest()
        if newest is not None and newest != published:
            self._judge_plan(newest.version)
        assert not self.service.desk.turn(), "nothing is owed any more"

    # --- judges -------------------------------------------------------------------------------------------------------

    def _judge_plan(self, version: int) -> None:
        """A plan's first commands, on the books as they stood when it was made."""
        publication = self.store.publications.newest()
        plan = self.store.plans.get(publication.plan_id)
        recovered = {r.site for r in plan.recoveries}
        for (site, name), book in self.books.items():
            if self.links[site].down:
                continue  # nothing is measured of it
            made = plan.sites[site]
            trial = book.copy()
            standing = self.clients[site].document
            for t in range(plan.grid.steps):
                at = plan.grid.starts[t]
                if t == 0 and standing is not None and not self.clients[site].failing_safe:
                    for step in standing.steps:  # commands that are carried out before the plan begins
                        if self.clock.at < step.start < at:
                            trial.become(_count(step.mode_blocks, step.nodes_on, name), step.start)
                wanted = (
                    sum(c[t] for c in made.groups[name].mode_blocks.values())
                    if name in made.groups
                    else made.pools[name].nodes_on[t]
                )
                faults = trial.become(wanted, at)
                if faults and site not in recovered:
                    self.broken += [f"version {version}, {site} {name}, step {t}: {fault}" for fault in faults]

    def _note_fact(self, site: str, now: datetime) -> None:
        plant = self.plants[site]
        for (owner, name), book in self.books.items():
            if owner == site:
                machines = plant.blocks[name] if name in plant.blocks else plant.nodes[name]
                book.become(sum(m.mode is not None for m in machines), now)

    def _judge_draw(self, site: str, client: SiteClient, now: datetime) -> None:
        if client.document is None or client.failing_safe:
            return
        step = max((s for s in client.document.steps if s.start <= now), key=lambda s: s.start)
        plant = self.plants[site]
        if not any(b.stuck for blocks in plant.blocks.values() for b in blocks) and plant.draw_w(now) > step.limit_w:
            self.over_limit.append(f"{site} at {now:%d %H:%M}: draws {plant.draw_w(now)} W, limit {step.limit_w} W")

    def close(self) -> None:
        self.service.stop()


def _count(modes: dict[str, dict[str, int]], nodes: dict[str, int], name: str) -> int:
    return sum(modes[name].values()) if name in modes else nodes.get(name, 0)


def simulation(
    folder: Path, fleet: Fleet, start: datetime, *, ambient: Callable[[str, datetime], float], chances: Chances = DEVIANT,
    seed: int = 0, engine=None, leads: bool = True, **settings,
) -> Simulation:  # fmt: skip
    """Return a simulation of a fleet that begins at an instant; series are for the caller to post."""
    clock = Clock(start)
    wanted = {"horizon_h": 12, "asked_gap": 0.01, "budget_s": 20.0} | settings
    service = assemble(Settings(data_dir=str(folder), **wanted), now=clock, engine=engine, load_reference=False)
    service.store.fleets.add(fleet, by="test", at=start)
    assert service.leadership.lead() == leads
    state = initial_state(fleet, start)
    made = Simulation(service, clock, {}, {}, {})
    for number, site in enumerate(fleet.sites):
        _add(made, site, state.sites[site.name], ambient, chances, seed + number)
    return made


def _add(made: Simulation, site: Site, state: SiteState, ambient, chances: Chances, seed: int) -> None:
    plant = SimulatedSite(site, lambda at, name=site.ambient: ambient(name, at), Random(seed), chances)
    plant.begin(state, made.clock.at)
    link = StoreLink(made.store, made.service.services.publisher.fallback, site.name, made.clock)
    made.plants[site.name], made.links[site.name] = plant, link
    made.clients[site.name] = SiteClient(site, link, plant, made.clock)
    for machine in (*site.asic_groups, *site.gpu_pools):
        blocks = plant.blocks.get(machine.name) or plant.nodes[machine.name]
        down = timedelta(seconds=getattr(machine, "min_down_s", 0))
        made.books[(site.name, machine.name)] = Book(
            len(blocks), timedelta(seconds=machine.min_up_s), down,
            sorted(m.since for m in blocks if m.mode is not None), sorted(m.since for m in blocks if m.mode is None),
        )  # fmt: skip
