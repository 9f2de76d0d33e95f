"""/v1/sites/{site}/acknowledgements: what the controller did with an instruction."""

from datetime import timedelta

from models.base import Count, Instant, Record, Text, iso
from service.api.common import invalid, site_in_force
from service.http.routes import Answer, Call, Route, reads, writes
from service.ports import Services
from service.store.acknowledgements import UnknownVersionError
from service.store.records import Acknowledgement, AckState


class AcknowledgementIn(Record):
    """The state that an instruction reached: received, accepted, rejected, applied, failed or superseded."""

    version: Count
    revision: Count = 0
    state: AckState
    at: Instant
    detail: Text = ""


class Acknowledgements(Record):
    """A site's acknowledgements, newest first, at most 100."""

    items: tuple[Acknowledgement, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of acknowledgements."""
    store = services.store

    def acknowledge(call: Call, site: str, body: AcknowledgementIn) -> Answer:
        """Keep a state. The same state again changes nothing; a state that cannot follow the present one is a conflict."""
        site_in_force(services, site)
        if body.at > call.now + timedelta(seconds=services.settings.telemetry_max_ahead_s):
            raise invalid("/at", "outside_window", f"{site}: expected no later than now, {iso(call.now)}, got {iso(body.at)}")
        try:
            kept = store.acknowledgements.add(
                site, body.version, body.state, at=body.at, received_at=call.now, detail=body.detail, revision=body.revision
            )
        except UnknownVersionError as error:
            raise invalid("/version", "unknown_version", str(error)) from None
        return Answer(kept, headers={"Location": f"/v1/sites/{site}/acknowledgements"})

    def acknowledged(call: Call, site: str) -> Acknowledgements:
        """List what the site acknowledged."""
        site_in_force(services, site)
        return Acknowledgements(items=tuple(store.acknowledgements.recent(site)))

    path = "/v1/sites/{site}/acknowledgements"
    readers = reads("controller", "operator", "planner", site="site")
    return [
        Route(
            "POST", path, acknowledge, writes("controller", site="site"), "Acknowledge an instruction", "acknowledgements",
            Acknowledgement, 201, problems=("conflict",),
        ),
        Route("GET", path, acknowledged, readers, "What the site acknowledged", "acknowledgements", Acknowledgements),
    ]  # fmt: skip
