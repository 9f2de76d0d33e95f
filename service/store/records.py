"""What the store keeps beside the records of `models`: one frozen record per kind of row."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import Field

from models.base import Count, Instant, Name, Record, Text, Watts, Work, iso
from models.fleet import Fleet
from models.order import LimitOrder
from models.plan import Basis, Status
from service.store.series_records import Flag

ObjectId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
Json = dict[str, Any]

Role = Literal["controller", "feed", "planner", "operator", "admin"]
ROLES: tuple[Role, ...] = ("controller", "feed", "planner", "operator", "admin")


class FleetVersion(Record):
    """One version of the fleet; versions count up from 1."""

    version: Count
    digest: Text
    created_at: Instant
    created_by: Text
    fleet: Fleet


class PlanHead(Record):
    """What lists of plans show."""

    plan_id: ObjectId
    created_at: Instant
    basis: Basis
    status: Status
    problem_digest: Text
    starts: Instant
    ends: Instant
    sites: Count
    profit_usd: float
    bound_usd: float | None = None
    gap_usd: float | None = None
    gap_percent: float | None = None
    labels: tuple[str, ...] = ()
    purpose: Literal["fleet", "scenario"] = "fleet"
    """`fleet` plans may be published; `scenario` plans answer what-ifs and never reach a site."""


class Publication(Record):
    """One act of publishing: the whole fleet's set-points, or none.

    `occasion` says why: `hourly`, `start`, `event-<id>`, `request-<job>`; (unit, slot, occasion) happens once.
    `version` counts up over all units, so it strictly increases for every site.
    """

    version: Count
    unit: Name
    slot: Instant
    occasion: ObjectId
    epoch: Count
    plan_id: ObjectId
    basis: Basis
    published_at: Instant
    sites: Count


class WorkDone(Record):
    """What a site did of each workload since an instant: tokens, or micro-node-hours of rented nodes; of others, not told."""

    since: Instant
    work: Annotated[dict[Name, Work], Len(1, 100)]


class TelemetryPoint(Record):
    """What a site measured at one instant: draw at its meter, blocks by group and mode, nodes that are on and warm by pool.

    done: what its nodes did until then, where it counts that.
    """

    at: Instant
    draw_w: Watts
    mode_blocks: Annotated[dict[Name, dict[Name, Count]], Len(0, 100)] = {}
    nodes_on: Annotated[dict[Name, Count], Len(0, 100)] = {}
    nodes_warm: Annotated[dict[Name, Count], Len(0, 100)] = {}
    done: WorkDone | None = None


class StoredTelemetry(Record):
    """A measured point as it is kept: flagged points are stored and not used for planning."""

    point: TelemetryPoint
    received_at: Instant
    flags: tuple[Flag, ...] = ()


AckState = Literal["received", "accepted", "rejected", "applied", "failed", "superseded"]
ACK_FOLLOWS: dict[AckState | None, tuple[AckState, ...]] = {
    None: ("received", "accepted", "rejected", "applied"),
    "received": ("accepted", "rejected", "applied", "failed", "superseded"),
    "accepted": ("applied", "failed", "superseded"),
    "applied": ("failed", "superseded"),
    "failed": ("applied", "superseded"),
    "rejected": (),
    "superseded": (),
}
"""What may follow what: a controller may skip `received`, a rejection and a supersession are final."""


class Acknowledgement(Record):
    """One step of one instruction's life, as the controller told it."""

    site: Name
    version: Count
    state: AckState
    at: Instant
    received_at: Instant
    current: bool
    """Whether the version was the site's newest when the acknowledgement came."""
    revision: Count = 0
    """Of a document that was made on the spot in the version's stead; 0 for the published one."""
    detail: Text = ""


EventKind = Literal["curtailment", "outage", "demand_response", "emergency_stop"]


class Event(Record):
    """A limit order with its history. A withdrawn order no longer binds."""

    event_id: ObjectId
    kind: EventKind
    order: LimitOrder
    created_at: Instant
    created_by: Text
    withdrawn_at: Instant | None = None
    withdrawn_by: Text | None = None


JobKind = Literal["plan", "scenario", "scenario_set", "futures", "backtest"]
JobState = Literal["queued", "running", "done", "failed", "infeasible", "cancelled"]
TERMINAL: tuple[JobState, ...] = ("done", "failed", "infeasible", "cancelled")


class Job(Record):
    """Work that takes a while. Every job ends in done, failed, infeasible or cancelled."""

    job_id: ObjectId
    kind: JobKind
    state: JobState
    created_at: Instant
    created_by: Text
    payload: Json = {}
    progress: Json = {}
    """What a caller may watch: share done, incumbent, bound, gap."""
    holder: Text | None = None
    started_at: Instant | None = None
    heartbeat_at: Instant | None = None
    lease_until: Instant | None = None
    cancel_asked_at: Instant | None = None
    finished_at: Instant | None = None
    result: Json | None = None
    """What came out: ids of plans and scenarios, key figures, or the diagnosis of an infeasible problem."""
    problem: Json | None = None
    """Why it failed: `code` and `detail`."""

    @property
    def finished(self) -> bool:
        """Whether the state is terminal."""
        return self.state in TERMINAL


class Scenario(Record):
    """A what-if: changes to a base problem, and what came out once its job is done."""

    scenario_id: ObjectId
    name: Text
    job_id: ObjectId
    created_at: Instant
    created_by: Text
    request: Json
    base_digest: Text | None = None
    result: Json | None = None


class KeyRecord(Record):
    """A key without its secret. Controllers carry the list of their sites; other roles have none."""

    key_id: ObjectId
    role: Role
    label: Text
    sites: tuple[Name, ...] = ()
    created_at: Instant
    created_by: Text
    expires_at: Instant
    revoked_at: Instant | None = None
    last_used_at: Instant | None = None

    def live(self, now: datetime) -> bool:
        """Whether the key opens anything at an instant."""
        return self.revoked_at is None and now < self.expires_at


class AuditEntry(Record):
    """One line of the append-only log; `chain` is the digest of the line and of the chain before it."""

    number: Count
    at: Instant
    who: Text
    action: Name
    subject: Text
    before: Text | None = None
    after: Text | None = None
    request_id: Text | None = None
    detail: Json = {}
    previous: Text
    chain: Text


def age_s(since: datetime, now: datetime) -> int:
    """Return the time from an instant until now in whole seconds, never negative."""
    return max(0, int((now - since) / timedelta(seconds=1)))


def late_by(what: str, newest: datetime, now: datetime, after_s: int) -> str | None:
    """Return in words that something is stale, or None while it is not."""
    age = age_s(newest, now)
    return f"stale: {what}: newest is of {iso(newest)}, {age} s old, expected within {after_s} s" if age > after_s else None
