"""Deletes what is older than what is kept: the leader once a day, or a person by command (`service.store.retention` says what).

The instant before which things are old moves once a day, at midnight UTC, and the look for them is hourly: a service that is
started, stopped or handed over at any time still deletes each day's share on that day, and most looks find nothing. Between
two portions it rests, so that whoever waits to write comes first. What begins to be deleted, and what was, is in the audit log.
"""

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from models.base import iso
from service.alarms import Alarms
from service.backtesting.kept import folder_of
from service.ports import Clock
from service.store import Store
from service.store.database import StoreUnavailableError
from service.store.retention import Amount, Bounds

LOOK_AT_MINUTE = 5
"""Of every hour: long before the next hour is planned."""
REST_S = 0.05
FILES = "backtest files"
_log = structlog.get_logger("wattsplit.retention")


@dataclass
class Pruned:
    """What was old by table, and whether all of it was looked at."""

    before: datetime
    tables: dict[str, Amount] = field(default_factory=dict)
    complete: bool = False

    @property
    def total(self) -> Amount:
        """All tables together."""
        return reduce(Amount.plus, self.tables.values(), Amount())

    def add(self, table: str, amount: Amount) -> None:
        """Count more of a table, or of the files."""
        if amount.rows:
            self.tables[table] = self.tables.get(table, Amount()).plus(amount)


def cutoff(now: datetime, keep: timedelta) -> datetime:
    """Return the instant before which things are old: the midnight before the time of keeping."""
    return (now - keep).replace(hour=0, minute=0, second=0, microsecond=0)


def would_prune(store: Store, before: datetime, data_dir: str) -> Pruned:
    """Return what is older than an instant and may be deleted; nothing is."""
    bounds, found = store.retention.bounds(before), Pruned(before)
    _files(store, bounds, data_dir, found, delete=False)
    for portion in store.retention.portions(bounds, delete=False):
        for table, amount in portion.items():
            found.add(table, amount)
    found.complete = True
    return found


def prune(
    store: Store, before: datetime, data_dir: str, *, by: str, now: Clock, stop: Callable[[float], bool] | None = None
) -> Pruned:
    """Delete what is older than an instant and may be deleted, and return what it was.

    by: who deletes, for the audit log. stop: waits so many seconds and says whether to end early; what is left is still old.
    """
    rest = stop or (lambda seconds: threading.Event().wait(seconds))
    bounds, gone = store.retention.bounds(before), Pruned(before)
    if next(store.retention.portions(bounds, delete=False), None) is None:
        gone.complete = True
        return gone
    subject = f"what is older than {iso(before)}"
    store.audit_log.append(by, "history.prune", subject, at=now())
    _files(store, bounds, data_dir, gone, delete=True)
    for portion in store.retention.portions(bounds, delete=True):
        for table, amount in portion.items():
            gone.add(table, amount)
        if rest(REST_S):
            break
    else:
        gone.complete = True
    rows = {table: amount.rows for table, amount in gone.tables.items()}
    detail = {"rows": rows, "bytes": gone.total.bytes, "complete": gone.complete}
    store.audit_log.append(by, "history.pruned", subject, at=now(), detail=detail)
    return gone


def _files(store: Store, bounds: Bounds, data_dir: str, found: Pruned, *, delete: bool) -> None:
    """Count the folders of old back-tests, and delete them before their rows go: what is cut off here is found again."""
    for job_id in store.retention.old_backtests(bounds):
        folder = folder_of(data_dir, job_id)
        files = [path for path in folder.rglob("*") if path.is_file()]
        found.add(FILES, Amount(len(files), sum(path.stat().st_size for path in files)))
        if delete:
            shutil.rmtree(folder, ignore_errors=True)


class Pruner:
    """Deletes what is old while this process leads; `keep` is None where everything is kept for ever."""

    def __init__(self, store: Store, keep: timedelta | None, data_dir: str, now: Clock, leads: Callable[[], bool]) -> None:
        self._store, self._keep, self._data_dir, self._now, self._leads = store, keep, data_dir, now, leads
        self._alarms = Alarms(store, now)
        self._closing, self._working = threading.Event(), threading.Lock()
        self._done: datetime | None = None
        self._bells: BackgroundScheduler | None = None

    def start(self) -> None:
        """Look every hour whether there is something old."""
        bells = BackgroundScheduler(timezone="UTC")
        options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
        bells.add_job(self.turn, CronTrigger(minute=LOOK_AT_MINUTE, second=0, timezone="UTC"), id="prune", **options)
        bells.start()
        self._bells = bells

    def stop(self, timeout_s: float = 10.0) -> None:
        """Look no more; what is being deleted ends with its portion."""
        self._closing.set()
        bells, self._bells = self._bells, None
        if bells is not None:
            bells.shutdown(wait=False)
        if self._working.acquire(timeout=timeout_s):
            self._working.release()

    def turn(self) -> Pruned | None:
        """Delete what is old by now; None where nothing is looked for."""
        with self._working:
            return self._turn()

    def _turn(self) -> Pruned | None:
        if self._keep is None or not self._leads():
            return None
        before = cutoff(self._now(), self._keep)
        if before == self._done:
            return None
        try:
            gone = prune(self._store, before, self._data_dir, by="retention", now=self._now, stop=self._ends)
        except StoreUnavailableError as error:  # the next look may find it answering
            _log.warning("nothing old is deleted now", words=str(error))
            return None
        except Exception as error:
            self._alarms.raise_("prune_failed", f"what is older than {iso(before)} is not deleted: {error}"[:2000])
            return None
        if gone.complete:
            self._done = before
        _log.info("history pruned", before=iso(before), rows=gone.total.rows, bytes=gone.total.bytes)
        return gone

    def _ends(self, seconds: float) -> bool:
        return self._closing.wait(seconds) or not self._leads()
