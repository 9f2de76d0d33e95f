"""Reads out of the store what the next plan's state follows from: published plans, telemetry and acknowledgements."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from models.fleet import Fleet
from models.reserve import Award
from models.state import State
from scenarios.feed import initial_state
from service.in_force import InForce, in_force
from service.reserve_carry import carried_awards
from service.state_carry import FRESH, Observed, carried_state
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
    return carried_state(fleet, plans, observed, now=now, at=at, assumed=initial_state(fleet, at, ambient_c).sites)


def known_awards(store: Store, fleet: Fleet, *, now: datetime, at: datetime) -> tuple[Award, ...]:
    """Return what is awarded of reserves in the blocks that a plan which begins at `at` meets, as it is known now."""
    if not any(site.reserves for site in fleet.sites):
        return ()
    return carried_awards(fleet, recent_plans(store, now), now=now, at=at)


def recent_plans(store: Store, now: datetime) -> list[InForce]:
    """Return published plans, newest first, back to the one that is in force now.

    One that another release stored, and this one cannot read, is passed over; where it is the one in force, nothing is
    known of what sites were commanded, and the state follows from what was measured.
    """
    found: list[InForce] = []
    for publication in store.publications.page(limit=MAX_BACK).items:
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


def observations(store: Store, site: str, since: datetime, now: datetime) -> Observed:
    """Return what a site measured since an instant, without what is flagged, and how it answered to versions."""
    points = store.telemetry.between(site, since, now + timedelta(seconds=1))
    states: dict[int, str] = {}
    begun: dict[int, datetime] = {}
    for ack in store.acknowledgements.recent(site, limit=MOST_ACKNOWLEDGED):
        if ack.revision:
            continue  # made on the spot after the published document had ended: it says nothing of what that commanded
        states.setdefault(ack.version, ack.state)
        if ack.state == "applied" and ack.at <= now:
            begun[ack.version] = ack.at
    return Observed(
        points=tuple(p.point for p in points if not set(p.flags) - {"late"}),
        applied=frozenset(v for v, state in states.items() if state == "applied"),
        refused=frozenset(v for v, state in states.items() if state in ("rejected", "failed")),
        begun=begun,
    )
