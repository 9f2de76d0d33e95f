"""/v1/sites: the sites of the fleet, with what each was last told and last told us."""

from datetime import datetime

from models.base import Count, Instant, Name, Record, Text, Watts
from models.plan import Basis
from models.site import Site
from service.api.common import fleet_in_force, site_in_force
from service.http.paging import Listing, PageQuery
from service.http.routes import Call, Route, reads
from service.ports import Services
from service.store.common import Page
from service.store.records import Acknowledgement, StoredTelemetry


class Told(Record):
    """The newest set-point of a site, in short."""

    version: Count
    plan_id: Name
    basis: Basis
    issued: Instant
    valid_until: Instant
    stale: bool


class SiteHead(Record):
    """One line of the list of sites."""

    name: Name
    title: Text
    region: Name
    country: Text
    zone: Text
    authority: Text
    connection_limit_w: Watts
    nameplate_w: Watts
    told: Told | None
    draw_w: Watts | None
    measured_at: Instant | None


class Sites(Listing):
    """Sites in the order of the fleet."""

    items: tuple[SiteHead, ...]


class SiteView(Record):
    """One site: what it is, what it was told, what it answered and what it measured."""

    site: Site
    told: Told | None
    acknowledged: Acknowledgement | None
    measured: StoredTelemetry | None


def routes(services: Services) -> list[Route]:
    """Return the routes of sites."""

    def sites(call: Call, query: PageQuery) -> Sites:
        """List the sites of the fleet in force."""
        first = query.after or 0
        every = fleet_in_force(services).sites
        shown = tuple(_head(services, site, call.now) for site in every[first : first + query.limit])
        last = first + query.limit
        return Sites.of(Page(shown, last if last < len(every) else None))

    def site(call: Call, site: str) -> SiteView:
        """Return one site, with defaults filled in."""
        return SiteView(
            site=site_in_force(services, site),
            told=_told(services, site, call.now),
            acknowledged=services.store.acknowledgements.newest(site),
            measured=services.store.telemetry.newest(site, usable=False),
        )

    look = reads("operator", "planner")
    return [
        Route("GET", "/v1/sites", sites, look, "The sites of the fleet", "sites", Sites, problems=("not_found",)),
        Route("GET", "/v1/sites/{site}", site, look, "One site", "sites", SiteView),
    ]


def _head(services: Services, site: Site, now: datetime) -> SiteHead:
    measured = services.store.telemetry.newest(site.name, usable=False)
    return SiteHead(
        name=site.name, title=site.title, region=site.region, country=site.country, zone=site.zone, authority=site.authority,
        connection_limit_w=site.connection_limit_w, nameplate_w=site.nameplate_w, told=_told(services, site.name, now),
        draw_w=measured.point.draw_w if measured else None, measured_at=measured.point.at if measured else None,
    )  # fmt: skip


def _told(services: Services, site: str, now: datetime) -> Told | None:
    document = services.store.publications.setpoint(site)
    if document is None:
        return None
    return Told(
        version=document.version, plan_id=document.plan_id, basis=document.basis, issued=document.issued,
        valid_until=document.valid_until, stale=now >= document.stale_after,
    )  # fmt: skip
