"""Watches whether series are told in time, whoever tells them: one that is overdue is an alarm, once until it is told again."""

from datetime import datetime

from service.alarms import Alarms
from service.store import Store
from service.store.records import late_by


class Overdue:
    """Looks for series whose newest value is older than their declaration allows."""

    def __init__(self, store: Store, alarms: Alarms) -> None:
        self._store, self._alarms = store, alarms
        self._raised: set[str] = set()

    def look(self, now: datetime) -> None:
        """Look at every series that was ever told."""
        overdue = set()
        for declaration in self._store.series.declarations():
            newest = self._store.series.newest_known_at(declaration.name)
            if newest is None:
                continue
            words = late_by(f"series {declaration.name}", newest, now, declaration.late_after_s)
            if words is None:
                continue
            overdue.add(declaration.name)
            if declaration.name not in self._raised:
                self._alarms.raise_("series_stale", words, series=declaration.name)
        self._raised = overdue
