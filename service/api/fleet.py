"""/v1/fleet: the fleet as it is planned, by version; the effective input is echoed, defaults filled in."""

from models.base import Count, Instant, Record, Text
from models.fleet import Fleet
from service.api.common import found, who
from service.http.paging import Listing, PageQuery
from service.http.routes import Call, Route, reads, writes
from service.ports import Services
from service.store.records import FleetVersion


class FleetVersionHead(Record):
    """One line of the list of versions."""

    version: Count
    digest: Text
    created_at: Instant
    created_by: Text
    name: Text
    sites: Count


class FleetVersions(Listing):
    """Versions of the fleet, newest first."""

    items: tuple[FleetVersionHead, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of the fleet."""
    store = services.store

    def show(call: Call) -> FleetVersion:
        """Return the version in force, whole, with every default filled in."""
        return found(store.fleets.newest())

    def replace(call: Call, body: Fleet) -> FleetVersion:
        """Validate a fleet whole, keep it as a new version, and plan with it at once. The same fleet makes no version."""
        before = store.fleets.newest()
        version = store.fleets.add(body, by=who(call), at=call.now, request_id=call.request_id)
        if (before is None or version.version != before.version) and services.planning is not None:
            services.planning.fleet_changed(version)
        return version

    def versions(call: Call, query: PageQuery) -> FleetVersions:
        """List all versions."""
        page = store.fleets.page(query.after, query.limit)
        return FleetVersions.of(page, tuple(_head(version) for version in page.items))

    def version(call: Call, number: str) -> FleetVersion:
        """Return one version."""
        return found(store.fleets.get(int(number)) if number.isdigit() and len(number) < 10 else None)

    look = reads("operator", "planner")
    return [
        Route("GET", "/v1/fleet", show, look, "The fleet in force", "fleet", FleetVersion, problems=("not_found",)),
        Route("PUT", "/v1/fleet", replace, writes("operator"), "Replace the fleet", "fleet", FleetVersion, limit="large"),
        Route("GET", "/v1/fleet/versions", versions, look, "Versions of the fleet", "fleet", FleetVersions),
        Route("GET", "/v1/fleet/versions/{number}", version, look, "One version of the fleet", "fleet", FleetVersion),
    ]


def _head(version: FleetVersion) -> FleetVersionHead:
    return FleetVersionHead(
        version=version.version, digest=version.digest, created_at=version.created_at, created_by=version.created_by,
        name=version.fleet.name, sites=len(version.fleet.sites),
    )  # fmt: skip
