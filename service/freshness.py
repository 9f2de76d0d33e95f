"""How fresh what sites are served is, and why it is not: for `/v1/health/fresh` and for the page."""

from datetime import datetime

from models.plan import Basis
from service.ports import Freshness
from service.published import INPUT_MISSING, Published, in_plain
from service.slots import HOUR, MINUTE, PLAN_FROM_MINUTE, floor_hour
from service.store.common import UnreadableError
from service.store.records import Publication

MOST_NAMED = 5
UNTOLD = ("demand_missing:", "hashprice_missing:")
"""Reasons of a plan for which it is not fresh: something old or assumed stands in for all sites."""
Said = tuple[tuple[str, ...], dict[str, str], dict[str, Basis]]


class Gauge:
    """Reads freshness off the newest publication; what a publication says is read once."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._read: tuple[int, tuple[str, ...], dict[str, str], dict[str, Basis]] = 0, (), {}, {}

    def read(self, now: datetime, busy: str | None, unanswered: dict[str, str], failing: tuple[str, ...] = ()) -> Freshness:
        """Return how fresh the published set-points are; anything but a fresh optimised plan of all sites has its reason.

        Args:
            now: present instant.
            busy: what is being planned, or None.
            unanswered: sites whose controllers do not answer, and since when, in words; that alone makes nothing stale.
            failing: what goes wrong in planning now, in words: the next plan will not come, though the last one may still hold.
        """
        ailing = tuple(f"failing: {words}" for words in failing)
        this_hour = floor_hour(now) + PLAN_FROM_MINUTE * MINUTE
        next_run = this_hour if now < this_hour else this_hour + HOUR
        newest = self._published.store.publications.newest(self._published.unit)
        if newest is None:
            return Freshness(
                fresh=False, basis=None, published_at=None, plan_id=None, next_run_at=next_run,
                reasons=("nothing is published", *ailing),
            )  # fmt: skip
        untold, held, rungs = self._said(newest)
        reasons = []
        if not self._published.is_served(now):
            reasons.append(
                f"stale: the newest publication is version {newest.version} of {newest.published_at:%Y-%m-%dT%H:%M:%SZ}"
            )
        if newest.basis != "optimised":
            reasons.append(f"fallback: the {newest.basis} plan is served")
        reasons += [*ailing, *untold, *_named(held, rungs)]
        return Freshness(
            fresh=not reasons, basis=newest.basis, published_at=newest.published_at, plan_id=newest.plan_id, next_run_at=next_run,
            reasons=(*reasons, *([f"busy: {busy}"] if busy else [])), stale_sites=held, unanswered=unanswered,
        )  # fmt: skip

    def _said(self, newest: Publication) -> Said:
        """Return what is not known of workloads and hashprice, in words, and sites that are held because input is missing."""
        if self._read[0] != newest.version:
            store = self._published.store
            try:
                plan = store.plans.get(newest.plan_id)
                documents = store.publications.setpoints(newest.version)
            except UnreadableError as error:
                return (f"unreadable: {error}",), {}, {}
            untold = tuple(words for words in (plan.reasons if plan else ()) if words.startswith(UNTOLD))
            held = {
                site: reason.removeprefix(INPUT_MISSING)
                for site, document in documents.items()
                for reason in document.reasons
                if reason.startswith(INPUT_MISSING)
            }
            self._read = newest.version, untold, held, {site: documents[site].basis for site in held}
        return self._read[1:]


def _named(held: dict[str, str], rungs: dict[str, Basis]) -> list[str]:
    """Return the first of the held sites in words, and how many more there are."""
    words = [f"stale: {site} is held on its {in_plain(rungs[site])} plan: {why}" for site, why in list(held.items())[:MOST_NAMED]]
    return [*words, f"stale: {len(held) - MOST_NAMED} more sites are held"] if len(held) > MOST_NAMED else words
