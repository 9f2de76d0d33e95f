"""What was last read well, kept in memory: it serves on where the store does not answer in time."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.store.database import StoreUnavailableError

T = TypeVar("T")

QUICKLY_MS = 50
"""Longest wait for a store where memory can stand in: a site's key and its document make two, of the 250 ms it is promised."""
PATIENTLY_MS = 1_000
"""Longest wait where nothing is remembered: longer than the service's own commits, short enough not to tie up threads."""


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What was found, or None where there is nothing; `fresh` if the store said so just now."""

    found: T | None
    fresh: bool


class Remembered(Generic[T]):
    """The last good reading of each name, as long as it counts."""

    def __init__(self, counts_s: float = math.inf, now_s: Callable[[], float] = time.monotonic) -> None:
        self._counts_s, self._now_s = counts_s, now_s
        self._kept: dict[str, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def read(self, name: str, look: Callable[[int], T | None]) -> Reading[T]:
        """Return what `look(within_ms)` finds in the store, or what it found last.

        Raises:
            StoreUnavailableError: the store does not answer in time, and what was read well is none or too old.
        """
        began_s = self._now_s()
        try:
            found = look(PATIENTLY_MS if self._counting(name) is None else QUICKLY_MS)
        except StoreUnavailableError:
            if (kept := self._counting(name)) is None:
                raise
            return Reading(kept, fresh=False)
        if found is None:
            self._kept.pop(name, None)
        else:
            self._keep(name, found, began_s)
        return Reading(found, fresh=True)

    def changed(self, name: str, to: T) -> None:
        """Remember what this process has just committed; a reading that began before does not undo it."""
        self._keep(name, to, self._now_s())

    def _keep(self, name: str, found: T, began_s: float) -> None:
        """Keep the reading that began last: of two under way at once, the older may end later."""
        with self._lock:
            if name not in self._kept or self._kept[name][0] <= began_s:
                self._kept[name] = began_s, found

    def _counting(self, name: str) -> T | None:
        kept = self._kept.get(name)
        return kept[1] if kept is not None and self._now_s() - kept[0] <= self._counts_s else None
