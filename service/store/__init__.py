"""The store: one object with a repository per subject; SQL is spoken here and nowhere else.

`open_store(url)` opens `sqlite:///path` or `postgresql://…` and migrates it. Several calls inside
`with store.transaction():` become one commit: `store.plans.add(problem, plan)`, then `store.publications.publish(…)`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from service.store.acknowledgements import Acknowledgements
from service.store.audit_log import AuditLog
from service.store.database import Database
from service.store.entries import Entries
from service.store.entry_records import AwardEntry, DifficultyEntry, OutageEntry, PinEntry
from service.store.events import Events
from service.store.fleets import FleetVersions
from service.store.forecasts import ForecastModels
from service.store.idempotency import Idempotency
from service.store.jobs import Jobs
from service.store.keys import Keys
from service.store.leases import Leases
from service.store.migrate import migrate
from service.store.plans import Plans
from service.store.publications import Publications
from service.store.retention import Retention
from service.store.scenarios import Scenarios
from service.store.series import SeriesStore
from service.store.telemetry import Telemetry


class Store:
    """All repositories over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.audit_log = AuditLog(database)
        self.fleets = FleetVersions(database, self.audit_log)
        self.series = SeriesStore(database)
        self.forecasts = ForecastModels(database)
        self.plans = Plans(database)
        self.publications = Publications(database, self.audit_log)
        self.telemetry = Telemetry(database)
        self.acknowledgements = Acknowledgements(database)
        self.events = Events(database, self.audit_log)
        self.outages = Entries(database, self.audit_log, OutageEntry)
        self.pins = Entries(database, self.audit_log, PinEntry)
        self.awards = Entries(database, self.audit_log, AwardEntry)
        self.difficulty = Entries(database, self.audit_log, DifficultyEntry)
        self.jobs = Jobs(database)
        self.scenarios = Scenarios(database)
        self.keys = Keys(database, self.audit_log)
        self.idempotency = Idempotency(database)
        self.leases = Leases(database)
        self.retention = Retention(database)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls of this thread in the block one commit, or none."""
        with self._database.write():
            yield

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """Let this thread wait for other processes only as long as a request may, while the block runs."""
        with self._database.hurrying():
            yield

    def stop_waiting(self) -> None:
        """Wait for other processes no longer than a moment from now on: the service stops."""
        self._database.stop_waiting()

    def ping(self) -> None:
        """Read one value, so that a store that is gone is noticed."""
        with self._database.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def close(self) -> None:
        """Close all connections."""
        self._database.close()


def open_store(url: str) -> Store:
    """Open a store by URL, bring its schema up to date, and return it.

    Raises:
        service.store.migrate.SchemaTooNewError: a newer release wrote it.
        ValueError: the URL is of another kind of database.
    """
    database = Database(url)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(database)
