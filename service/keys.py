"""Who asks: keys `ws_<id>.<secret>`, sessions of the page, and nobody in particular on loopback.

A secret has 256 random bits, is shown once, and is kept as SHA-256; it is compared in constant time.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from service.store import Store
from service.store.common import new_id
from service.store.records import KeyRecord, Role

LIFETIME_DAYS: dict[Role, int] = {"controller": 365, "feed": 90, "planner": 90, "operator": 90, "admin": 90}
LINK_LIFETIME = timedelta(minutes=30)
SESSION_LIFETIME = timedelta(hours=12)

_TOKEN = re.compile(r"ws_([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
_NO_SECRET = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Principal:
    """Who asks, in what role, for which sites; `sites` is empty for roles that are not bound to sites."""

    id: str
    role: Role | Literal["reader"]
    sites: frozenset[str] = frozenset()
    by_cookie: bool = False

    @property
    def name(self) -> str:
        """How the audit log names the principal."""
        return "loopback reader" if self.role == "reader" else f"key {self.id} ({self.role})"


READER = Principal(id="loopback", role="reader")
"""Anybody on this machine: may read what is declared open on loopback, and write nothing."""


class Keyring:
    """Issues keys, recognises them, and closes them."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def issue(
        self,
        role: Role,
        *,
        label: str,
        by: str,
        sites: Iterable[str] = (),
        lifetime_days: int | None = None,
        request_id: str | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key and return its record and its text, which cannot be had again.

        Raises:
            ValueError: a controller without sites, another role with sites, or a lifetime beyond the role's.
        """
        bound = tuple(sorted(set(sites)))
        if (role == "controller") != bool(bound):
            wrong = f"a key of role {role} is not bound to sites" if bound else "a controller's key names its sites"
            raise ValueError(f"sites: {wrong}")
        longest = LIFETIME_DAYS[role]
        days = longest if lifetime_days is None else lifetime_days
        if not 0 < days <= longest:
            raise ValueError(f"lifetime_days: expected 1 to {longest} for role {role}, got {days}")
        secret = secrets.token_urlsafe(32)
        now = self._now()
        record = KeyRecord(
            key_id=new_id(), role=role, label=label, sites=bound, created_at=now, created_by=by,
            expires_at=now + timedelta(days=days),
        )  # fmt: skip
        self._store.keys.add(record, _hash(secret), request_id=request_id)
        return record, f"ws_{record.key_id}.{secret}"

    def recognise(self, token: str) -> Principal | None:
        """Return whose key a text is; None alike for malformed, unknown, expired, revoked and wrong ones.

        Raises:
            StoreUnavailableError: the store does not answer, and did not know the key lately.
        """
        match = _TOKEN.fullmatch(token)
        key_id, secret = match.groups() if match else ("", "")
        reading = self._store.keys.last_known(key_id)
        known = reading.found
        expected = known[1] if known else _NO_SECRET
        right = hmac.compare_digest(_hash(secret), expected)
        now = self._now()
        if known is None or match is None or not right or not known[0].live(now):
            return None
        if reading.fresh:
            self._store.keys.touch(known[0], now)
        return _principal(known[0])

    def sign_in_token(self, key_id: str) -> str:
        """Return a one-time token that opens a session of the page in the name of a key, for half an hour."""
        token = secrets.token_urlsafe(32)
        self._store.keys.add_token(_hash(token), "link", key_id, expires_at=self._now() + LINK_LIFETIME)
        return token

    def open_session(self, link_token: str) -> str | None:
        """Spend a sign-in token and return a session token; None if it is unknown, spent or expired."""
        now = self._now()
        with self._store.transaction():
            record = self._store.keys.spend_link(_hash(link_token), now)
            if record is None:
                return None
            session = secrets.token_urlsafe(32)
            expires_at = min(now + SESSION_LIFETIME, record.expires_at)
            self._store.keys.add_token(_hash(session), "session", record.key_id, expires_at=expires_at)
        return session

    def of_session(self, session_token: str) -> Principal | None:
        """Return who a session belongs to."""
        record = self._store.keys.session(_hash(session_token), self._now())
        return None if record is None else _principal(record, by_cookie=True)

    def close_session(self, session_token: str) -> None:
        """Sign out."""
        self._store.keys.end_session(_hash(session_token))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _principal(record: KeyRecord, *, by_cookie: bool = False) -> Principal:
    return Principal(id=record.key_id, role=record.role, sites=frozenset(record.sites), by_cookie=by_cookie)
