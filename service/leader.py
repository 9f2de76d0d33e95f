"""Who plans: at most one process, told apart from those before it by an epoch that only counts up.

On SQLite the processes share a machine, so the kernel's file lock decides: it is gone the moment its holder is, however
that ended. On PostgreSQL a lease does, and a dead leader's lease has to run out. Either way the epoch in the store
fences: a publication of an older epoch is refused.
"""

import fcntl
import os
import secrets
import socket
from pathlib import Path

import structlog

from service.ports import Clock
from service.store import Store
from service.store.database import StoreUnavailableError

LEASE_S = 60
RENEW_EVERY_S = 20
_log = structlog.get_logger("wattsplit.leader")


class Leadership:
    """One process' claim to plan a unit."""

    def __init__(self, store: Store, unit: str, now: Clock, lock_file: Path | None) -> None:
        self.holder = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._store, self._unit, self._now, self._lock_file = store, unit, now, lock_file
        self._lock: int | None = None
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """The number under which this process may publish; 0 while it never led."""
        return self._epoch

    def lead(self) -> bool:
        """Take the lead or keep it; return whether this process leads."""
        if self._lock_file is not None and not self._locked(self._lock_file):
            return False
        sure = self._lock is not None  # whoever held the lease has let go of the lock, so it is gone
        lease = self._store.leases.acquire(self._unit, self.holder, at=self._now(), ttl_s=LEASE_S, take_over=sure)
        if lease is None:
            self._epoch = 0
            return False
        self._epoch = lease.epoch
        return True

    def resign(self) -> None:
        """Give the lead up, so that another need not wait; where the store cannot be written, the lease runs out."""
        if self._epoch:
            try:
                self._store.leases.release(self._unit, self.holder, at=self._now())
            except StoreUnavailableError as error:
                _log.warning("lease not given up", words=str(error))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locked(self, path: Path) -> bool:
        if self._lock is not None:
            return True
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True
