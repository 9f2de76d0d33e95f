"""Slows down whoever tries keys: failures are counted by address, before a key is looked at.

A key that was accepted since the service started goes through all the same, so that whoever shares an address with a
guesser, or comes through the same proxy, is not locked out by him.
"""

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_S = 60.0
MOST_ADDRESSES = 10_000
MOST_ACCEPTED = 10_000


class Throttle:
    """Failures of the last minute by address, and digests of the keys that were accepted; both bounded."""

    def __init__(self, most: int, now_s: Callable[[], float]) -> None:
        self._most, self._now_s = most, now_s
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._accepted: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str, token: str) -> int:
        """Return how long an address has to wait before its key is looked at: 0 for most."""
        with self._lock:
            failures = self._failures.get(address)
            if failures is None or _mark(token) in self._accepted:
                return 0
            self._forget(failures)
            return 0 if len(failures) < self._most else max(1, int(failures[0] + WINDOW_S - self._now_s()) + 1)

    def failed(self, address: str) -> None:
        """Count a key that was not accepted."""
        with self._lock:
            failures = self._failures.setdefault(address, deque(maxlen=self._most))
            self._failures.move_to_end(address)
            self._forget(failures)
            failures.append(self._now_s())
            if len(self._failures) > MOST_ADDRESSES:
                self._failures.popitem(last=False)

    def accepted(self, token: str) -> None:
        """Remember a key that was accepted, by its digest."""
        with self._lock:
            self._accepted[_mark(token)] = None
            self._accepted.move_to_end(_mark(token))
            if len(self._accepted) > MOST_ACCEPTED:
                self._accepted.popitem(last=False)

    def _forget(self, failures: "deque[float]") -> None:
        while failures and failures[0] <= self._now_s() - WINDOW_S:
            failures.popleft()


def _mark(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
