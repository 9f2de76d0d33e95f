"""Joins the concrete parts: the one place that knows them all.

service = assemble(Settings.from_environment())
service.start()          # plans what is owed at once, then every hour
app = create_app(service.services)
…
service.stop()           # nothing is left behind
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.reading import BadInputError
from scenarios.reference import reference_fleet
from service.alarms import Alarms
from service.backtest_kind import backtest_kind
from service.config import Settings, UnsafeSettingsError
from service.engine import Engine
from service.feeds.feeds_file import AnyFeed, in_words, read_feeds
from service.feeds.runner import FeedRunner
from service.forecasting import Trainer
from service.futures_kind import futures_kind
from service.inputs import SHIPPED
from service.job_kinds import plan_kind, scenario_kind
from service.jobs import JobRunner, Kind
from service.keys import Keyring
from service.leader import Leadership
from service.optimiser import real_engine
from service.planning import Choices, Planner
from service.ports import Clock, Services
from service.publication import Fallbacks
from service.retention import Pruner
from service.scenario_set_kind import scenario_set_kind
from service.scheduler import Desk
from service.store import Store, open_store
from service.store.records import JobKind
from service.unanswered import Unanswered


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Service:
    """The parts of a running service."""

    services: Services
    store: Store
    planner: Planner
    desk: Desk
    runner: JobRunner
    leadership: Leadership
    feeds: FeedRunner
    trainer: Trainer
    pruner: Pruner

    def start(self) -> None:
        """Take the lead if nobody else has it; plan what is owed; run jobs. A follower serves and waits for its turn.

        So does whoever cannot write the store now: sites are served from what can be read.
        """
        self.desk.start()
        self.runner.start()
        self.feeds.start()
        self.trainer.start()
        self.pruner.start()

    def stop(self) -> None:
        """Stop jobs and planning, give up the lead, close the store; no child is left."""
        self.store.stop_waiting()
        self.pruner.stop()
        self.trainer.stop()
        self.feeds.stop()
        self.runner.stop()
        self.desk.stop()
        self.store.close()


def assemble(
    settings: Settings,
    *,
    now: Clock = utc_now,
    engine: Engine | None = None,
    store: Store | None = None,
    load_reference: bool = True,
) -> Service:
    """Return the service of some settings, not running yet; an empty store gets the reference fleet if `load_reference`.

    Raises:
        service.store.migrate.SchemaTooNewError: a newer release wrote the store.
        service.store.database.StoreUnavailableError: the store cannot be opened.
        UnsafeSettingsError: the database URL is of another kind; the file of feeds cannot be read, or is refused.
    """
    feeds = configured_feeds(settings)
    store = store or opened(settings)
    if load_reference and store.fleets.newest() is None:
        store.fleets.add(reference_fleet(), by=SHIPPED, at=now())
    engine = engine or real_engine()
    choices = Choices(
        horizon_h=settings.horizon_h, asked_gap=settings.asked_gap, budget_s=settings.budget_s, memory_mib=settings.memory_mib,
        give_up_usd=settings.give_up_usd, least_gain_usd=settings.least_gain_usd,
        look_ahead_every_h=settings.look_ahead_every_h, workers=settings.workers, engine=settings.engine,
    )  # fmt: skip
    leadership = Leadership(store, choices.unit, now, lock_file(settings))
    alarms = Alarms(store, now)
    planner = Planner(store, engine, choices, now, lambda: leadership.epoch, alarms)
    desk = Desk(planner, leadership, now, Unanswered(store, alarms, settings.acknowledge_within_s))
    kinds: dict[JobKind, Kind] = {
        "plan": plan_kind(desk, choices),
        "scenario": scenario_kind(store, engine, choices, now),
        "futures": futures_kind(store, engine, choices, now),
        "scenario_set": scenario_set_kind(store, engine, choices, now),
        "backtest": backtest_kind(settings),
    }
    runner = JobRunner(store, now, leadership.holder, kinds, slots=settings.what_if_slots, leads=lambda: leadership.epoch > 0)
    fetching = FeedRunner(feeds, store, alarms, now, leads=lambda: leadership.epoch > 0, limits_changed=desk.limits_changed)
    services = Services(
        settings=settings,
        store=store,
        keyring=Keyring(store, now),
        now=now,
        jobs=runner,
        planning=desk,
        publisher=Fallbacks(planner),
        feeds=fetching,
    )
    trainer = Trainer(store, now, leads=lambda: leadership.epoch > 0)
    pruner = Pruner(store, settings.keep_history, settings.data_dir, now, leads=lambda: leadership.epoch > 0)
    return Service(services, store, planner, desk, runner, leadership, fetching, trainer, pruner)


def opened(settings: Settings) -> Store:
    """Return the store that the settings name.

    Raises:
        UnsafeSettingsError: the URL is of another kind.
    """
    try:
        return open_store(settings.store_url)
    except ValueError as error:
        raise UnsafeSettingsError(f"WATTSPLIT_DATABASE_URL: {error}") from None


def configured_feeds(settings: Settings) -> tuple[AnyFeed, ...]:
    """Return the feeds that the settings name.

    Raises:
        UnsafeSettingsError: the file cannot be read, or is refused.
    """
    if settings.feeds_file is None:
        return ()
    try:
        return read_feeds(Path(settings.feeds_file)).feeds
    except OSError as error:
        raise UnsafeSettingsError(f"WATTSPLIT_FEEDS_FILE: {settings.feeds_file}: {error.strerror or error}") from None
    except BadInputError as error:
        raise UnsafeSettingsError(f"WATTSPLIT_FEEDS_FILE: {settings.feeds_file} is refused: {in_words(error)}") from None


def lock_file(settings: Settings) -> Path | None:
    """Return the file whose lock makes a process on this machine the leader; None where processes may be on several."""
    url = settings.store_url
    return Path(url.removeprefix("sqlite:///") + ".leader") if url.startswith("sqlite:///") else None
