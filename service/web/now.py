"""What the page asks every few seconds: which plan is served, whether it is fresh, what is being planned, and who asks."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from models.base import Count, Instant, Name, NonNegative, Record, Text
from models.plan import Basis
from service.keys import Principal
from service.ports import Services


@runtime_checkable
class TellsProgress(Protocol):
    """A planner that can say how its running optimisation goes on."""

    def progress(self) -> Mapping[str, Any] | None:
        """Return what is known (`seconds`, `objective_usd`, `bound_usd`, each absent while unknown); None when idle."""
        ...


class Planning(Record):
    """An optimisation that runs: the share of its time budget that is spent, and the gap that is proven so far."""

    share: NonNegative
    gap_percent: NonNegative | None


class Asker(Record):
    """Whose session or key this is."""

    role: Text


class Now(Record):
    """The service at this moment. `plan_id` is the plan that sites are served, or the newest one while none is published."""

    plan_id: Name | None
    version: Count | None
    basis: Basis | None
    published_at: Instant | None
    fresh: bool
    reasons: tuple[Text, ...]
    held: dict[Name, Text]
    """Sites that are held on their last good or rule plan, and why; `reasons` name the first of them."""
    unanswered: tuple[Text, ...]
    """Sites whose controllers have not acknowledged what they were told, and since when."""
    planning: Planning | None
    next_run_at: Instant | None
    who: Asker | None
    release: Text


def now(services: Services, principal: Principal, release: str) -> Now:
    """Return what the service is about."""
    published = services.store.publications.newest()
    newest = services.store.plans.newest() if published is None else None
    freshness = services.planning.freshness(services.now()) if services.planning is not None else None
    return Now(
        plan_id=published.plan_id if published else newest.plan_id if newest else None,
        version=published.version if published else None,
        basis=published.basis if published else newest.basis if newest else None,
        published_at=published.published_at if published else None,
        fresh=freshness is not None and freshness.fresh,
        reasons=freshness.reasons if freshness else ("planning is not running",),
        held=freshness.stale_sites if freshness else {},
        unanswered=tuple(f"{site}: {words}" for site, words in freshness.unanswered.items()) if freshness else (),
        planning=_planning(services),
        next_run_at=freshness.next_run_at if freshness else None,
        who=None if principal.role == "reader" else Asker(role=principal.role),
        release=release,
    )


def _planning(services: Services) -> Planning | None:
    told = services.planning.progress() if isinstance(services.planning, TellsProgress) else None
    if told is None:
        return None
    share = min(1.0, float(told.get("seconds") or 0.0) / services.settings.budget_s)
    return Planning(share=round(share, 2), gap_percent=_gap_percent(told.get("objective_usd"), told.get("bound_usd")))


def _gap_percent(objective_usd: float | None, bound_usd: float | None) -> float | None:
    if not objective_usd or bound_usd is None:
        return None
    return round(100 * max(0.0, bound_usd - objective_usd) / abs(objective_usd), 3)
