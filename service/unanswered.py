"""Watches whether sites answer: a controller that has a key acknowledges what its site is told, or somebody is called.

A site without a key of its own has no controller, and nothing is expected of it.
"""

from datetime import datetime, timedelta

from models.base import iso
from service.alarms import Alarms
from service.store import Store

REFUSALS = ("rejected", "failed")


class Unanswered:
    """Looks for documents that nobody acknowledged in time, and for those that a site refused; each is an alarm once."""

    def __init__(self, store: Store, alarms: Alarms, within_s: int) -> None:
        self._store, self._alarms, self._within = store, alarms, timedelta(seconds=within_s)
        self._raised: dict[str, tuple[str, int]] = {}
        self.late: dict[str, str] = {}
        """Sites that owe an answer, and since when, in words."""

    def look(self, now: datetime) -> None:
        """Look at every site that has a live controller key."""
        late = {}
        for site, since in self._expected(now).items():
            answered = self._store.acknowledgements.newest(site)
            if answered is not None and answered.state in REFUSALS and answered.version == self._newest(site):
                words = f"{site} {answered.state} version {answered.version}: {answered.detail or 'no reason given'}"
                self._raise("refused_by_site", site, answered.version, words)
            owed = self._store.publications.first_after(site, answered.version if answered else 0)
            if owed is None:
                continue
            version, published_at = owed
            waiting = now - max(published_at, since)
            if waiting > self._within:
                minutes = int(waiting.total_seconds() // 60)
                late[site] = (
                    f"version {version} of {iso(published_at.replace(microsecond=0))} and all after it, for {minutes} min"
                )
                self._raise("unacknowledged", site, version, f"{site} has not acknowledged {late[site]}")
        self.late = late

    def _expected(self, now: datetime) -> dict[str, datetime]:
        """Return the sites of which an answer is expected, and from when on: since their first live key was made."""
        found: dict[str, datetime] = {}
        for key in self._store.keys.all():
            if key.role == "controller" and key.live(now):
                for site in key.sites:
                    found[site] = min(key.created_at, found.get(site, key.created_at))
        return found

    def _newest(self, site: str) -> int | None:
        return self._store.publications.newest_version(site)

    def _raise(self, code: str, site: str, version: int, words: str) -> None:
        if self._raised.get(site) != (code, version):
            self._raised[site] = code, version
            self._alarms.raise_(code, words, site=site, version=version)
