"""/v1/sites/{site}/setpoints: what a site is told.

Reads the store alone, so that it answers when everything else is down; and where the store does not answer, what was last
read of it.
"""

import hashlib
from datetime import datetime
from typing import Annotated

from pydantic import Field

from models.setpoint import SetPoint
from service.api.common import site_in_force, still_kept
from service.http.log import tell
from service.http.paging import Query
from service.http.problems import Problem
from service.http.routes import Answer, Call, Route, reads
from service.ports import Services
from service.store.common import UnreadableError
from service.store.records import age_s

HEADERS = {
    "ETag": "Names this document for this key; send it back as If-None-Match.",
    "Wattsplit-Age-S": "Seconds since the document was issued.",
    "Wattsplit-Basis": "Rung of the ladder: optimised, last_good, rule or safe. A stale document is last_good at best.",
    "Wattsplit-Stale": "true once the document is past stale_after: a newer one is overdue.",
}


class WaitQuery(Query):
    """How long to wait for a document that differs from If-None-Match."""

    wait: Annotated[int, Field(ge=0, le=55, description="Seconds to wait for news; less when the service is busy.")] = 0


def routes(services: Services) -> list[Route]:
    """Return the routes of set-points."""
    store = services.store
    waiting = services.waits

    def setpoints(call: Call, site: str, query: WaitQuery) -> Answer:
        """Return the newest document of a site; with `wait`, hold on until there is news."""
        document, body = _current(services, site, call.now)
        if _unchanged(call, document) and query.wait and waiting.acquire(blocking=False):
            try:
                store.publications.wait_newer(site, document.version, min(query.wait, services.settings.long_poll_max_s))
            finally:
                waiting.release()
            document, body = _current(services, site, services.now())
        headers = _headers(call, document, services.now())
        return Answer(None, 304, headers) if _unchanged(call, document) else Answer(body, headers=headers)

    def setpoint(call: Call, site: str, version: str) -> Answer:
        """Return one version as it was published."""
        number = int(version) if version.isdigit() and len(version) < 10 else -1
        document, body = still_kept(store.publications.told(site, number), "version")
        return Answer(body, headers={"ETag": _etag(call, document)})

    mine = reads("controller", "operator", "planner", site="site")
    return [
        Route(
            "GET", "/v1/sites/{site}/setpoints", setpoints, mine, "What the site is told now", "set-points", SetPoint,
            problems=("no_setpoint",), headers=HEADERS, also_produces={304: ()},
            request_headers={"If-None-Match": "ETag of the document that the caller holds."},
        ),
        Route("GET", "/v1/sites/{site}/setpoints/{version}", setpoint, mine, "What the site was told", "set-points", SetPoint),
    ]  # fmt: skip


def _current(services: Services, site: str, now: datetime) -> tuple[SetPoint, bytes]:
    """Return the document that holds now, and its JSON: the newest if it is valid, else what the lower rungs of the ladder give.

    A stored one is sent as it was stored, so that its digest holds, whichever release wrote it. A site that left the fleet
    keeps its last document; the lower rungs need the store.

    Raises:
        Problem: not_found, for a site that there is not; no_setpoint.
    """
    newest, answers = None, True
    try:
        reading = services.store.publications.last_told(site)
    except UnreadableError as error:  # of another release: the next rung is of this one
        tell("set-point not read", site=site, cause=str(error))
    else:
        newest, answers = reading.found, reading.fresh
        if newest is None:
            site_in_force(services, site)
        elif not answers:
            tell("set-point from memory", site=site, version=newest[0].version)
    if newest is not None and now < newest[0].valid_until:
        return newest
    if services.publisher is not None and answers:
        try:
            fallback = services.publisher.fallback(site, now)
        except Exception as error:  # whatever is broken there, the site gets an answer it understands
            tell("fallback failed", site=site, cause=repr(error))
        else:
            if fallback is not None:
                return fallback, fallback.model_dump_json().encode()
    raise Problem(
        "no_setpoint", "No document is valid now; the controller acts on the failsafe of its last one.",
        headers={"Retry-After": "10"},
    )  # fmt: skip


def _unchanged(call: Call, document: SetPoint) -> bool:
    held = [tag.strip().removeprefix("W/") for tag in (call.header("If-None-Match") or "").split(",")]
    return _etag(call, document) in held


def _etag(call: Call, document: SetPoint) -> str:
    """Return a tag that no other principal can guess or be answered 304 for."""
    mark = hashlib.sha256(f"{document.digest}\0{document.version}\0{call.principal.id}".encode()).hexdigest()
    return f'"{mark[:32]}"'


def _headers(call: Call, document: SetPoint, now: datetime) -> dict[str, str]:
    stale = now >= document.stale_after
    basis = "last_good" if stale and document.basis == "optimised" else document.basis
    return {
        "ETag": _etag(call, document),
        "Cache-Control": "private, no-cache",
        "Wattsplit-Age-S": str(age_s(document.issued, now)),
        "Wattsplit-Basis": basis,
        "Wattsplit-Stale": "true" if stale else "false",
    }
