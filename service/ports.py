"""What the API needs from the rest of the service, as protocols: `create_app(Services(...))` wires them.

Routes translate between HTTP and these calls, and read the store; they decide nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import BoundedSemaphore
from typing import Any, Protocol

from models.base import Instant, Record
from models.plan import Basis
from models.setpoint import SetPoint
from service.config import Settings
from service.feeds.status import FeedPoll, FeedStatus
from service.keys import Keyring
from service.store import Store
from service.store.entry_records import Entry
from service.store.records import Event, FleetVersion, Job, JobKind


class Clock(Protocol):
    """The world's time, as an argument."""

    def __call__(self) -> datetime:
        """Return the present instant in UTC."""
        ...


class Fault(Record):
    """One thing wrong with what a caller asked: where (JSON pointer below the request body) and why."""

    pointer: str
    code: str
    detail: str
    hint: str | None = None


class RefusedError(Exception):
    """A request that is well-formed and cannot be taken: the API answers 422 with these faults, all at once."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = faults


class Jobs(Protocol):
    """Runs long work, one row of the job table each."""

    def submit(self, kind: JobKind, payload: Mapping[str, Any], *, asked_by: str, job_id: str) -> Job:
        """Store a queued job and wake a worker; an existing `job_id` is returned as it stands (idempotent).

        `plan` payload: {"asked_gap": float, "budget_s": int}. `scenario` payload: {"scenario_id", "name",
        "set": [patch, …], "asked_gap", "budget_s"}.

        Raises:
            RefusedError: the payload cannot be run (an unknown patch path, no problem yet to patch).
        """
        ...

    def cancel(self, job_id: str, *, asked_by: str) -> Job:
        """Ask a job to stop and return it; its process is gone within 2 s. A finished job is returned as it stands.

        Raises:
            KeyError: no such job.
        """
        ...

    def progress(self, job_id: str) -> Mapping[str, Any] | None:
        """Return what a job that runs here told last, which is newer than what is stored; None if it does not."""
        ...


class Freshness(Record):
    """Whether what sites are served is fresh, and why not.

    `stale_sites` are held on their last good or rule plan because their own input is missing, by name; `unanswered` are
    sites whose controllers have not acknowledged what they were told, which makes nothing stale by itself.
    """

    fresh: bool
    basis: Basis | None
    published_at: Instant | None
    plan_id: str | None
    next_run_at: Instant | None = None
    reasons: tuple[str, ...] = ()
    stale_sites: dict[str, str] = {}
    unanswered: dict[str, str] = {}


class Planning(Protocol):
    """Keeps plans fresh."""

    def event_changed(self, event: Event) -> None:
        """An order was entered or withdrawn (already stored): re-plan at once. Returns without waiting."""
        ...

    def entry_changed(self, entry: Entry) -> None:
        """Something was entered or withdrawn (already stored): re-plan at once. Returns without waiting."""
        ...

    def limits_changed(self) -> None:
        """A series of limits told something (already stored): re-plan at once if it is lower than the plan knows."""
        ...

    def fleet_changed(self, version: FleetVersion) -> None:
        """A new fleet is in force (already stored): re-plan at once. Returns without waiting."""
        ...

    def freshness(self, now: datetime) -> Freshness:
        """Return how fresh the published set-points are. Must not wait for a running plan."""
        ...


class Publisher(Protocol):
    """The lower rungs of the ladder, for the set-point route."""

    def fallback(self, site: str, now: datetime) -> SetPoint | None:
        """Return an audited document for a site whose newest stored one is absent or past `valid_until`, or None.

        Must answer within a second and must not need planner or scheduler; the route survives any exception of it.
        """
        ...


class Feeds(Protocol):
    """Fetches series."""

    def status(self) -> tuple[FeedStatus, ...]:
        """Return how every feed is."""
        ...

    def poll_now(self, name: str, by: str) -> FeedPoll:
        """Ask a feed at once; returns within half a minute, though the poll may still run.

        Raises:
            KeyError: there is no such feed.
        """
        ...


@dataclass(frozen=True)
class Services:
    """Everything that `create_app` joins. `planning`, `jobs` and `publisher` may be None: their routes then answer 503.

    Without `feeds` there are none.
    """

    settings: Settings
    store: Store
    keyring: Keyring
    now: Clock
    jobs: Jobs | None = None
    planning: Planning | None = None
    publisher: Publisher | None = None
    feeds: Feeds | None = None

    @cached_property
    def waits(self) -> BoundedSemaphore:
        """Held by every request that waits for news, of whatever kind: each keeps a thread, and three of eight stay free."""
        return BoundedSemaphore(min(self.settings.long_polls_max, self.settings.threads * 5 // 8))
