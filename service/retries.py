"""When an optimisation that failed is tried again within its hour: after five minutes, then ten, then twenty."""

from datetime import datetime, timedelta

from service.store.records import Publication

FIRST_AFTER = timedelta(minutes=5)
MOST = 3


class Retries:
    """Counts the tries of a slot. What is counted is not stored: a process that starts anew may try anew."""

    def __init__(self) -> None:
        self._slot: datetime | None = None
        self._tries = 0
        self._last: datetime | None = None

    def due(self, slot: datetime, newest: Publication | None, now: datetime) -> int | None:
        """Return the number of the try that is due, from 1; None while none is: what is in force is optimised, or just tried."""
        if newest is None or newest.basis == "optimised":
            return None
        if self._slot != slot:
            self._slot, self._tries, self._last = slot, 0, None
        since = max(newest.published_at, self._last or newest.published_at)
        if self._tries >= MOST or now < since + FIRST_AFTER * 2**self._tries:
            return None
        return self._tries + 1

    def tried(self, now: datetime) -> None:
        """Count a try that ended."""
        self._tries, self._last = self._tries + 1, now
