"""Rings every few seconds, whatever becomes of the clock: one that is set back by hours must silence nothing."""

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger("wattsplit.bell")


class Bell:
    """Calls something again and again in a thread of its own, one call at a time."""

    def __init__(self, name: str, every_s: float, ring: Callable[[], None]) -> None:
        self._name, self._every_s, self._ring = name, every_s, ring
        self._stopped = threading.Event()

    def start(self) -> None:
        """Ring from now on, at first when a pause has gone by."""
        threading.Thread(target=self._go, name=f"bell-{self._name}", daemon=True).start()

    def stop(self) -> None:
        """Ring no more; a call under way is not waited for."""
        self._stopped.set()

    def _go(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._ring()
            except Exception:  # what went wrong now may go well at the next ring
                _log.exception("bell", bell=self._name)
