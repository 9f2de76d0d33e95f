"""/v1/health: live (the process answers), ready (sites can be served), fresh (what they are served is recent and optimised)."""

from typing import Literal

from models.base import Instant, Record
from service.api.common import running
from service.http.log import tell
from service.http.problems import Problem
from service.http.routes import EVERYBODY, PUBLIC, Call, Route, reads
from service.ports import Freshness, Services
from service.store.database import StoreLockedError

SOON = {"Retry-After": "5"}


class Live(Record):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(Record):
    """The store answers and every site of the fleet can be told something."""

    status: Literal["ready"] = "ready"
    published_at: Instant
    basis: str


def routes(services: Services) -> list[Route]:
    """Return the routes of health."""
    store = services.store

    def live(call: Call) -> Live:
        """Say that the process answers, and nothing else."""
        return Live()

    def ready(call: Call) -> Ready:
        """Say whether sites can be served."""
        try:
            store.ping()
            newest = store.publications.newest()
        except Exception as error:  # whatever ails the store, the answer is the same
            tell("the store does not answer", cause=repr(error))
            why = f": {error}" if isinstance(error, StoreLockedError) else ""
            raise Problem("not_ready", f"The store does not answer{why}.", headers=SOON) from None
        if newest is None:
            raise Problem("not_ready", "Nothing is published yet.", headers=SOON)
        return Ready(published_at=newest.published_at, basis=newest.basis)

    def fresh(call: Call) -> Freshness:
        """Say whether what sites are served is recent and optimised; anything less is a 503 that says why."""
        freshness = running(services.planning, "planning").freshness(call.now)
        if not freshness.fresh:
            raise Problem("not_fresh", "; ".join(freshness.reasons) or "The published plan is not fresh.")
        return freshness

    everybody = reads(*EVERYBODY)
    return [
        Route("GET", "/v1/health/live", live, PUBLIC, "The process answers", "health", Live),
        Route("GET", "/v1/health/ready", ready, everybody, "Sites can be served", "health", Ready, problems=("not_ready",)),
        Route(
            "GET", "/v1/health/fresh", fresh, everybody, "Set-points are fresh", "health", Freshness,
            problems=("not_ready", "not_fresh"),
        ),
    ]  # fmt: skip
