"""What is published, as planning reads it: whether it holds, whether it knows what binds, and what goes on from it."""

from collections.abc import Collection, Mapping
from datetime import datetime

from models.plan import Basis, Plan
from models.problem import Problem
from models.setpoint import SetPoint
from service.alarms import Alarms
from service.difficulty import difficulty_steps
from service.engine import EngineFailedError
from service.known_state import MAX_BACK
from service.limits import limits, lower_than_known
from service.reserve_carry import with_told
from service.slots import HOUR, missed_slots
from service.standing import Standing, standing
from service.store import Store
from service.store.common import UnreadableError
from service.store.records import FleetVersion, Publication

HOURLY = "hourly"
INPUT_MISSING = "input_missing: "
"""What the document of a site begins a reason with where the site is held because its own input is missing."""
STAMP = "%Y-%m-%dT%H:%MZ"
MOST_MISSED = 48
"""Missed slots that are recorded one by one; a longer stretch is recorded as one."""


def in_plain(basis: Basis) -> str:
    """Return a rung of the ladder as people say it."""
    return basis.replace("_", " ")


class NothingToPlanError(Exception):
    """There is no fleet yet, or nothing is known that could be planned with."""


class Published:
    """The publications of a planning unit, and the fleet that they are of."""

    def __init__(self, store: Store, unit: str, alarms: Alarms) -> None:
        self.store, self.unit, self.alarms = store, unit, alarms
        self._known: tuple[str, Problem] | None = None

    def is_served(self, now: datetime) -> bool:
        """Whether a published document holds now and is not overdue.

        One that has yet to begin does not: it was published before the clock was set back.
        """
        newest = self.store.publications.newest(self.unit)
        if newest is None:
            return False
        fleet = self.store.fleets.newest()
        try:
            standing = self.store.publications.setpoints(newest.version)
        except UnreadableError:  # another release published it; sites may read it, but nobody here can say what they do
            return False
        wanted = {site.name for site in fleet.fleet.sites} if fleet else set()
        return wanted == set(standing) and all(d.valid_from <= now < d.stale_after for d in standing.values())

    def is_current(self, now: datetime) -> bool:
        """Whether the newest publication knows the fleet, every order, outage and pin that binds from now on, and no other.

        What was told of awards must be what it plans with, and so must the changes of the difficulty to come.
        Nor must a series have told a lower limit since: a higher one can wait for the hourly plan.
        """
        newest = self.store.publications.newest(self.unit)
        if newest is None:
            return False
        if self._known is None or self._known[0] != newest.plan_id:
            try:
                plan = self.store.plans.get(newest.plan_id)
                problem = self.store.plans.problem(plan.problem_digest) if plan else None
            except UnreadableError:
                return False
            if problem is None:
                return False
            self._known = newest.plan_id, problem
        _, problem = self._known
        fleet, grid, since = self.fleet().fleet, problem.grid, max(now, problem.grid.start)
        if problem.fleet != fleet:  # not by digest: a stored one may be of a release with fewer fields
            return False
        known = Standing(problem.orders, problem.outages, problem.pins).after(since)
        bound = standing(self.store, fleet, since, grid.end)
        if not known.same_as(bound) or set(with_told(problem.awards, bound.awards)) != set(problem.awards):
            return False
        changes, _ = difficulty_steps(self.store, since, grid.end)
        if changes != tuple(sorted((step for step in problem.difficulty_steps if step.at > since), key=lambda step: step.at)):
            return False
        return not lower_than_known(limits(self.store, fleet, grid, now=now), problem, since)

    def has_hourly(self, slot: datetime) -> bool:
        """Whether a slot has its hourly publication."""
        return any(p.occasion == HOURLY for p in self.store.publications.of_slot(self.unit, slot))

    def standing_plan(self, problem: Problem) -> Plan | None:
        """Return the newest optimised plan that sites follow, where it is of the sites that are planned."""
        try:
            plan = self.last_optimised(problem.grid.start)
        except EngineFailedError:
            return None
        return plan if set(plan.sites) == set(problem.fleet.site_by_name) else None

    def last_optimised(self, now: datetime) -> Plan:
        """Return the newest optimised plan that was published and still covers some of the time to come.

        Raises:
            EngineFailedError: there is none, or another release stored it.
        """
        for publication in self._optimised_ones():
            try:
                plan = self.store.plans.get(publication.plan_id)
            except UnreadableError as error:
                raise EngineFailedError(str(error)) from None
            if plan is not None and plan.grid.end > now + HOUR:
                return plan
        raise EngineFailedError("no optimised plan was published lately")

    def last_good(self, now: datetime, sites: Collection[str]) -> dict[str, Plan]:
        """Return the plan that each of some sites goes on with, for those that have one.

        It is the newest one in which the site stands on its optimised rung, or on what is left of such a plan; and the last
        plan in which the site was optimised covers some of the time to come as well, so that something of it is left. What
        another release stored ends the search: the sites that are still looked for have none.
        """
        newest: dict[str, Plan] = {}
        found: dict[str, Plan] = {}
        for publication in self._optimised_ones():
            if not (sought := set(sites) - found.keys()):
                break
            try:
                rungs = {site: self._rung(site, publication.version) for site in sorted(sought)}
                told = [s for s, rung in rungs.items() if rung == "optimised" or (rung == "last_good" and s not in newest)]
                plan = self.store.plans.get(publication.plan_id) if told else None
            except UnreadableError:
                break
            if plan is not None and plan.grid.end > now + HOUR:
                newest = dict.fromkeys(told, plan) | newest
                found |= {site: newest[site] for site in told if rungs[site] == "optimised"}
        return found

    def _optimised_ones(self) -> list[Publication]:
        """Return the publications of optimised plans, newest first, as far back as anything of them can be left."""
        return [p for p in self.store.publications.page(limit=MAX_BACK).items if p.basis == "optimised"]

    def _rung(self, site: str, version: int) -> Basis | None:
        """Return on which rung a site stood in a publication; one that it did not tell stood on none."""
        document = self.store.publications.setpoint(site, version)
        return None if document is None else document.basis

    def documents_in_force(self) -> Mapping[str, SetPoint]:
        """Return what sites were told last; nothing where another release told it and it cannot be led in."""
        newest = self.store.publications.newest(self.unit)
        try:
            return self.store.publications.setpoints(newest.version) if newest else {}
        except UnreadableError:
            return {}

    def note_missed(self, slot: datetime) -> None:
        """Record the slots between the last hourly publication and this one: nobody will ever plan them."""
        hourly = [p.slot for p in self.store.publications.page(limit=MAX_BACK).items if p.occasion == HOURLY]
        missed = missed_slots(max(hourly, default=None), slot)
        if len(missed) > MOST_MISSED:
            words = f"{self.unit} {missed[0]:{STAMP}} to {missed[-1]:{STAMP}}"
            self.alarms.note("slot.missed", words, slots=len(missed), made_up_by=f"{slot:{STAMP}}")
            return
        for each in missed:
            self.alarms.note("slot.missed", f"{self.unit} {each:{STAMP}}", made_up_by=f"{slot:{STAMP}}")

    def fleet(self) -> FleetVersion:
        """Return the fleet in force.

        Raises:
            NothingToPlanError: no fleet is stored, or one that another release stored and this one cannot read.
        """
        try:
            version = self.store.fleets.newest()
        except UnreadableError as error:
            raise NothingToPlanError(f"{error}; import the fleet again") from None
        if version is None:
            raise NothingToPlanError("no fleet is stored; import one, or load the reference fleet")
        return version
