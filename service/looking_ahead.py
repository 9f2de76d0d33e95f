"""Looks ahead over the rest of the month, every so many hours, and lets the plans until the next look go by what was found.

It looks when a plan was published, never before one is due, and stops as soon as something else is wanted. What series do
not tell yet is a forecast, by the same rules as in a plan. Until a first look, and at sites that it had no time for, periods
are owed by their share of the time.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from models.billing import month_of, month_span
from models.fleet import Fleet
from models.outlook import Outlook
from models.problem import Problem
from models.time_grid import TimeGrid
from optimizer.look_ahead import rest_of_periods

LookAhead = Callable[[Problem, float, Callable[[], bool]], dict[str, Outlook]]
"""Finds outlooks of a problem that reaches to the end of its periods, in so many seconds, unless it is cancelled."""

STEP_H = 4
MOST_S = 120.0


class LookingAhead:
    """The outlooks of a fleet, and when they were found; every_h: hours between two looks, none where it is 0."""

    def __init__(self, look: LookAhead | None, every_h: int) -> None:
        self._look, self._every = look, timedelta(hours=every_h)
        self._found: dict[str, Outlook] = {}
        self._of: tuple[Fleet, datetime] | None = None

    def is_due(self, fleet: Fleet, now: datetime) -> bool:
        """Whether it is time for another look."""
        if self._look is None or not self._every or not charged(fleet):
            return False
        return self._of is None or self._of[0] != fleet or now - self._of[1] >= self._every

    def look(self, problem: Problem, now: datetime, stop: Callable[[], bool], blind: Collection[str]) -> None:
        """Look ahead; `problem` reaches to the end of the month (`rest_of_month`). A look that was stopped is forgotten.

        blind: sites whose own input is missing; nothing is found for them.
        """
        if self._look is not None:
            found = self._look(problem, MOST_S, stop)
            if not stop():
                self._found = {name: outlook for name, outlook in found.items() if name not in blind}
                self._of = problem.fleet, now

    def outlook(self, fleet: Fleet, at: datetime) -> Mapping[str, Outlook]:
        """Return what is known for a plan of a fleet that begins at an instant: months that are over are left out."""
        if self._of is None or self._of[0] != fleet:
            return {}
        known = {}
        for name, found in self._found.items():
            present = month_of(fleet.site_by_name[name].zone, at)
            known[name] = found.model_copy(update={"peaks_w": {m: w for m, w in found.peaks_w.items() if m >= present}})
        return known


def charged(fleet: Fleet) -> list[str]:
    """Names of the sites whose bills run over months."""
    return [s.name for s in fleet.sites if s.demand_charge is not None or s.take_or_pay is not None]


def rest_of_month(fleet: Fleet, start: datetime) -> TimeGrid:
    """Return coarse steps to the end of the month, at the last of the sites whose bills run over months."""
    zones = {fleet.site_by_name[name].zone for name in charged(fleet)}
    end = max(month_span(zone, month_of(zone, start))[1] for zone in zones)
    return rest_of_periods(start, end, STEP_H)
