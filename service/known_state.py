"""Reads out of the store what the next plan's state follows from: published plans, telemetry and acknowledgements."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from models.fleet import Fleet
from models.reserve import Award
from models.state import State
from scenarios.feed import initial_state
from service.in_force import InForce, in_force
from service.late_work import settled
from service.reserve_carry import carried_awards
from service.state_carry import FRESH, Observed, carried_state, counted_workloads
from service.store import Store
from service.store.common import UnreadableError

_log = structlog.get_logger("wattsplit.planning")

MAX_BACK = 200
"""Publications that are looked through for the plan in force: one or two an hour, and bursts of events."""
MOST_ACKNOWLEDGED = 20


def known_state(
    store: Store, fleet: Fleet, *, now: datetime, at: datetime, ambient_c: Mapping[str, float] | None = None
) -> State:
    """Return the state that a plan which begins at `at` finds, as it is known now.

    ambient_c: outside temperature by series, for what must be assumed.
    """
    plans = recent_plans(store, now)
    base = in_force(plans, now)
    since = min(base.plan.created_at, now - FRESH) if base else now - FRESH
    observed = {site.name: observations(store, site.name, since, now) for site in fleet.sites}
    if base is not None and counted_workloads(fleet):
        plans = [_settled(store, fleet, plan, now) if plan is base else plan for plan in plans]
    return carried_state(fleet, plans, observed, now=now, at=at, assumed=initial_state(fleet, at, ambient_c).sites)


def _settled(store: Store, fleet: Fleet, plan: InForce, now: datetime) -> InForce:
    """Return a plan that has begun with what is known by now of the work before its first step (`service.late_work`).

    What came in while the plan was prepared, within seconds, is taken as known when it was made.
    """
    made, begins, state = plan.plan.created_at, plan.plan.grid.start, plan.problem.state
    earlier = recent_plans(store, made, before=plan.version) if made < begins else []
    if (base := in_force(earlier, made)) is None:
        return plan
    since = min(base.plan.created_at, made - FRESH)

    def as_known(known_at: datetime, believed_at: datetime) -> State:
        observed = {site.name: observations(store, site.name, since, known_at, known_at) for site in fleet.sites}
        return carried_state(fleet, earlier, observed, now=believed_at, at=begins, assumed=state.sites)

    settled_state = settled(state, as_known(made, made), as_known(now, begins))
    return replace(plan, problem=plan.problem.model_copy(update={"state": settled_state}))


def known_awards(store: Store, fleet: Fleet, *, now: datetime, at: datetime) -> tuple[Award, ...]:
    """Return what is awarded of reserves in the blocks that a plan which begins at `at` meets, as it is known now."""
    if not any(site.reserves for site in fleet.sites):
        return ()
    return carried_awards(fleet, recent_plans(store, now), now=now, at=at)


def recent_plans(store: Store, now: datetime, before: int | None = None) -> list[InForce]:
    """Return published plans, newest first, back to the one that is in force now; `before` leaves out later versions and it.

    One that another release stored, and this one cannot read, is passed over; where it is the one in force, nothing is
    known of what sites were commanded, and the state follows from what was measured.
    """
    found: list[InForce] = []
    for publication in store.publications.page(after=before, limit=MAX_BACK).items:
        try:
            plan = store.plans.get(publication.plan_id)
            problem = store.plans.problem(plan.problem_digest) if plan else None
            told = store.publications.setpoints(publication.version)
        except UnreadableError as error:
            _log.warning("publication not read", version=publication.version, why=str(error))
            if (begins := store.plans.starts(publication.plan_id)) is not None and begins <= now:
                break
            continue
        if plan is None or problem is None:
            continue
        found.append(InForce(publication.version, plan, problem, {site: d.valid_until for site, d in told.items()}))
        if plan.grid.start <= now:
            break
    return found


def observations(store: Store, site: str, since: datetime, now: datetime, known_at: datetime | None = None) -> Observed:
    """Return what a site measured since an instant, without what is flagged, and how it answered to versions.

    known_at: what came in later is left out.
    """
    last = known_at or datetime.max.replace(tzinfo=UTC)
    points = [p for p in store.telemetry.between(site, since, now + timedelta(seconds=1)) if p.received_at <= last]
    states: dict[int, str] = {}
    begun: dict[int, datetime] = {}
    for ack in store.acknowledgements.recent(site, limit=MOST_ACKNOWLEDGED):
        if ack.revision:
            continue  # made on the spot after the published document had ended: it says nothing of what that commanded
        if ack.received_at > last:
            continue
        states.setdefault(ack.version, ack.state)
        if ack.state == "applied" and ack.at <= now:
            begun[ack.version] = ack.at
    return Observed(
        points=tuple(p.point for p in points if not set(p.flags) - {"late"}),
        applied=frozenset(v for v, state in states.items() if state == "applied"),
        refused=frozenset(v for v, state in states.items() if state in ("rejected", "failed")),
        begun=begun,
    )
