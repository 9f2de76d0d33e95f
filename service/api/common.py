"""What several resources share: looking things up, or answering that there is nothing."""

from collections.abc import Callable
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Protocol, TypeVar

from pydantic import Field

from models.base import Instant
from models.fleet import Fleet
from models.site import Site
from service.http.problems import FieldError, Problem, not_found
from service.http.routes import Call
from service.ports import Services
from service.store.entry_records import Entry
from service.store.records import Event

T = TypeVar("T")
K = TypeVar("K", bound=Entry | Event)
K_co = TypeVar("K_co", bound=Entry | Event, covariant=True)

QueryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
QueryInstant = Instant
"""An instant in a query: ISO 8601 with offset; a plus sign is written %2B."""

AskedGap = Annotated[float, Field(ge=0, le=1, description="Relative gap at which to stop, 0.005 is half a percent.")]
BudgetS = Annotated[int, Field(ge=1, le=3_600, description="Longest time for the solver, in seconds.")]

JOB_HEADERS = {"Location": "The job.", "Retry-After": "Seconds until it is worth looking."}


class Kept(Protocol[K_co]):
    """What is kept under a name, and taken back by a mark."""

    def get(self, name: str, /) -> K_co | None:
        """Return what is kept under a name."""
        ...

    def withdraw(self, name: str, /, *, by: str, at: datetime, request_id: str | None = None) -> K_co:
        """Mark it as taken back, once."""
        ...


def found(thing: T | None) -> T:
    """Return what was looked up.

    Raises:
        Problem: not_found.
    """
    if thing is None:
        raise not_found()
    return thing


def still_kept(thing: T | None, what: str) -> T:
    """Return what was looked up among what is deleted when it is old.

    Raises:
        Problem: not_found; nobody can tell what is deleted from what never was.
    """
    if thing is None:
        words = "if it is older than what is kept (WATTSPLIT_KEEP_HISTORY), it was deleted, and the audit log says when"
        raise Problem("not_found", f"There is no such {what} here; {words}.")
    return thing


def running(part: T | None, what: str) -> T:
    """Return a part of the service.

    Raises:
        Problem: not_ready, while the part is not running.
    """
    if part is None:
        raise Problem("not_ready", f"{what} is not running.", headers={"Retry-After": "5"})
    return part


def fleet_in_force(services: Services) -> Fleet:
    """Return the fleet.

    Raises:
        Problem: not_found, in an empty store.
    """
    if (version := services.store.fleets.newest()) is None:
        raise Problem("not_found", "No fleet is stored yet; put one to /v1/fleet, or `wattsplit fleet import` one.")
    return version.fleet


def site_in_force(services: Services, name: str) -> Site:
    """Return a site of the fleet.

    Raises:
        Problem: not_found.
    """
    return found(fleet_in_force(services).site_by_name.get(name))


def invalid(pointer: str, code: str, detail: str, part: str = "body") -> Problem:
    """Return a refusal of one field."""
    error = FieldError.model_validate({"part": part, "pointer": pointer, "code": code, "detail": detail})
    return Problem("invalid_input", f"{pointer}: {detail}", [error])


def unknown_site(fleet: Fleet, name: str, pointer: str = "/site") -> Problem:
    """Return the refusal of a site that the fleet does not have, with those whose names are near."""
    names = {site.lower(): site for site in fleet.site_by_name}
    near = [names[one] for one in get_close_matches(name.lower(), names, n=3)]
    meant = f"; did you mean {' or '.join(near)}?" if near else "; /v1/sites lists those it has"
    return invalid(pointer, "unknown_site", f"the fleet has no site {name}{meant}")


def taken_back(kept: Kept[K], name: str, call: Call, tell: Callable[[K], None]) -> K:
    """Take an entry or an order back, and tell the planner of it the first time; twice is once.

    Raises:
        Problem: not_found.
    """
    standing = found(kept.get(name))
    withdrawn = kept.withdraw(name, by=who(call), at=call.now, request_id=call.request_id)
    if standing.withdrawn_at is None:
        tell(withdrawn)
    return withdrawn


def who(call: Call) -> str:
    """Return how records name the caller."""
    return call.principal.name
