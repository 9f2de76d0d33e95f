"""The lower rungs, on the spot: what a site is told when the newest published document has ended, or there is none.

It needs the store for reading and nothing else: no scheduler, no leadership, no solver, no write. One set of documents is
made for the whole fleet, once for each publication that it stands in for and hour; serving it again extends nothing.
"""

import threading
from datetime import datetime

from models.setpoint import SetPoint
from service.documents import documents
from service.ladder import choose
from service.planning import Planner
from service.slots import floor_hour
from service.store.records import Publication

MOST_REVISIONS = 1_000_000
HORIZON_H = 4
"""Enough for what a document covers, little enough to be made within a second."""


class Fallbacks:
    """Documents from the rungs below `optimised`, made when they are asked for (`service.ports.Publisher`)."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._lock = threading.Lock()
        self._made: tuple[tuple[int, datetime], dict[str, SetPoint]] | None = None

    def fallback(self, site: str, now: datetime) -> SetPoint | None:
        """Return an audited document for a site whose newest stored one is absent or has ended; None for an unknown site.

        It has the version of the publication that it stands in for, under a revision that grows with every minute.

        Raises:
            NoRungError: not even the safe plan holds.
            NothingToPlanError: there is no fleet.
        """
        newest = self._planner.store.publications.newest(self._planner.choices.unit)
        key = (newest.version if newest else 0, floor_hour(now))
        with self._lock:
            if self._made is None or self._made[0] != key:
                self._made = key, self._documents(newest, now)
            return self._made[1].get(site)

    def _documents(self, newest: Publication | None, now: datetime) -> dict[str, SetPoint]:
        planner, version = self._planner, newest.version if newest else 0
        since = newest.published_at if newest else planner.fleet().created_at
        prepared = planner.prepare(now, HORIZON_H, keep=False)
        chosen = choose(planner.engine, prepared.problem, planner.rungs_below(prepared))
        if chosen.plan.audit is None:  # cannot be: every rung is audited
            return {}
        why = f"fallback: version {version} has ended and none has followed" if version else "fallback: nothing is published yet"
        return documents(
            chosen.plan,
            prepared.problem.fleet.guarded_site_by_name,
            version=version,
            revision=min(1 + max(0, int((now - since).total_seconds()) // 60), MOST_REVISIONS),
            epoch=newest.epoch if newest else 0,
            issued=now,
            input_digest=prepared.problem.digest,
            audit=chosen.plan.audit,
            standing={},
            reasons={s.name: (why, *chosen.falls) for s in prepared.problem.fleet.sites},
        )
