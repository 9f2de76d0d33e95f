"""/v1/outages and /v1/pins: machines out of service, and counts that somebody holds them to. Each re-plans at once.

Operators enter both for any site; a site's controller reports outages of its own machines, and takes back what sites
reported. What an operator has taken out of service, such as a lock-out for people at work, a site's key cannot put back.
"""

from typing import Annotated

from annotated_types import Len

from models.availability import MOST_OUTAGES, MOST_PINS, Outage, Pin
from models.base import Count, Instant, Name, PositiveCount, Record, Text, iso
from models.site import Site
from service.api.common import QueryName, fleet_in_force, found, invalid, site_in_force, taken_back, unknown_site, who
from service.http.paging import Listing, PageQuery
from service.http.problems import Problem
from service.http.routes import Answer, Call, Route, reads, writes
from service.ports import Services
from service.standing import Machine, machines_of, modes_of, there
from service.store.entry_records import OutageEntry, PinEntry
from service.store.records import Role

MOST_OF_A_SITE = 100
"""Standing outages that one site may have, so that a site that reports too much does not keep others from reporting."""


class OutageReport(Record):
    """`count` blocks or nodes of a machine are out of service from `start` (now if absent) until `end` (open if absent)."""

    machine: Name
    count: PositiveCount
    start: Instant | None = None
    end: Instant | None = None
    reason: Text = ""


class OutageIn(OutageReport):
    """An outage of any site."""

    site: Name


class PinIn(Record):
    """Exactly `count` blocks in `mode` (in any, if absent) or nodes are to run from now until `expires`; `owner` answers for it.

    Physics, grid limits, outages and minimum runs outrank a pin; where it gives way, the plan says so.
    """

    site: Name
    machine: Name
    mode: Name | None = None
    count: Count
    owner: Annotated[Text, Len(1, 200)]
    expires: Instant
    reason: Text = ""


class EntryQuery(PageQuery):
    """Entries of one site, or of all; only those that count now or later, or also ended and withdrawn ones."""

    site: QueryName | None = None
    standing: bool = False


class OwnQuery(PageQuery):
    """Only outages that count now or later, or also ended and withdrawn ones."""

    standing: bool = False


class Outages(Listing):
    """Outages, newest first."""

    items: tuple[OutageEntry, ...]


class Pins(Listing):
    """Pins, newest first."""

    items: tuple[PinEntry, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of outages and pins."""
    store = services.store

    def tell(entry: OutageEntry | PinEntry) -> None:
        if services.planning is not None:
            services.planning.entry_changed(entry)

    def report(call: Call, site: str, body: OutageReport) -> Answer:
        """Keep an outage that the site reports of its own machines, and re-plan at once."""
        return entered(call, site_in_force(services, site), body, f"/v1/sites/{site}/outages")

    def enter(call: Call, body: OutageIn) -> Answer:
        """Keep an outage and re-plan at once."""
        return entered(call, site_entered(services, body.site), body, "/v1/outages")

    def entered(call: Call, site: Site, body: OutageReport, where: str) -> Answer:
        known = store.outages.get(call.derived_id)  # kept by a first attempt whose answer was lost
        if known is None:
            known = store.outages.add(_outage(services, call, site, body), request_id=call.request_id)
            tell(known)
        return Answer(known, headers={"Location": f"{where}/{known.entry_id}"})

    def outages(call: Call, query: EntryQuery) -> Outages:
        """List outages; withdrawn ones stay on the record."""
        at = call.now if query.standing else None
        return Outages.of(store.outages.page(query.after, query.limit, site=query.site, standing_at=at))

    def own_outages(call: Call, site: str, query: OwnQuery) -> Outages:
        """List the outages of a site."""
        site_in_force(services, site)
        at = call.now if query.standing else None
        return Outages.of(store.outages.page(query.after, query.limit, site=site, standing_at=at))

    def outage(call: Call, outage: str) -> OutageEntry:
        """Return one outage."""
        return found(store.outages.get(outage))

    def end(call: Call, outage: str) -> OutageEntry:
        """Take an outage back, because the machines are back, and re-plan at once; twice is once."""
        return taken_back(store.outages, outage, call, tell)

    def end_own(call: Call, site: str, outage: str) -> OutageEntry:
        """Take back an outage that the site reported; what an operator entered is refused."""
        standing = found(store.outages.get(outage))
        if standing.outage.site != site:
            raise found(None)
        if standing.entered_as != "controller":
            raise Problem("role_not_allowed", f"Outage {outage} of {site} was entered by an operator: only an operator ends it.")
        return taken_back(store.outages, outage, call, tell)

    def pin(call: Call, body: PinIn) -> Answer:
        """Keep a pin and re-plan at once; a machine has at most one at a time."""
        known = store.pins.get(call.derived_id)
        if known is None:
            with store.transaction():  # or two at once would both find the machine free
                known = store.pins.add(_pin(services, call, body), request_id=call.request_id)
            tell(known)
        return Answer(known, headers={"Location": f"/v1/pins/{known.entry_id}"})

    def pins(call: Call, query: EntryQuery) -> Pins:
        """List pins; withdrawn and expired ones stay on the record."""
        at = call.now if query.standing else None
        return Pins.of(store.pins.page(query.after, query.limit, site=query.site, standing_at=at))

    def show_pin(call: Call, pin: str) -> PinEntry:
        """Return one pin."""
        return found(store.pins.get(pin))

    def unpin(call: Call, pin: str) -> PinEntry:
        """Take a pin back and re-plan at once; twice is once."""
        return taken_back(store.pins, pin, call, tell)

    look, write = reads("operator", "planner"), writes("operator")
    own, own_look = "/v1/sites/{site}/outages", reads("controller", "operator", "planner", site="site")
    own_write = writes("controller", site="site")
    where = {"Location": "Where it is."}
    return [
        Route("POST", "/v1/outages", enter, write, "Enter an outage", "outages", OutageEntry, 201, headers=where),
        Route("GET", "/v1/outages", outages, look, "Outages", "outages", Outages),
        Route("GET", "/v1/outages/{outage}", outage, look, "One outage", "outages", OutageEntry),
        Route("DELETE", "/v1/outages/{outage}", end, write, "End an outage", "outages", OutageEntry),
        Route("POST", own, report, own_write, "Report an outage of one's own site", "outages", OutageEntry, 201, headers=where),
        Route("GET", own, own_outages, own_look, "Outages of a site", "outages", Outages),
        Route("DELETE", f"{own}/{{outage}}", end_own, own_write, "End an outage that the site reported", "outages", OutageEntry),
        Route(
            "POST",
            "/v1/pins",
            pin,
            write,
            "Pin a machine to a count",
            "pins",
            PinEntry,
            201,
            headers=where,
            problems=("conflict",),
        ),
        Route("GET", "/v1/pins", pins, look, "Pins", "pins", Pins),
        Route("GET", "/v1/pins/{pin}", show_pin, look, "One pin", "pins", PinEntry),
        Route("DELETE", "/v1/pins/{pin}", unpin, write, "Take a pin back", "pins", PinEntry),
    ]


def _outage(services: Services, call: Call, site: Site, body: OutageReport) -> OutageEntry:
    machine = _machine(site, body.machine)
    if body.count > there(machine):
        raise invalid("/count", "too_many", f"{site.name}/{machine.name} has {there(machine)}, got {body.count}")
    start = body.start or call.now.replace(microsecond=0)
    if body.end is not None and body.end <= max(start, call.now):
        raise invalid("/end", "outside_window", f"{site.name}: expected after the start and after now, got {iso(body.end)}")
    standing = services.store.outages.standing(call.now)
    if sum(entry.outage.site == site.name for entry in standing) >= MOST_OF_A_SITE:
        raise invalid(
            "", "too_many_outages", f"{site.name} has {MOST_OF_A_SITE} standing outages already; end some that are over"
        )
    if len(standing) >= MOST_OUTAGES:
        raise invalid("", "too_many_outages", f"{MOST_OUTAGES} outages stand already; end some that are over")
    said = Outage(
        name=f"outage-{call.derived_id}", site=site.name, machine=machine.name, count=body.count, start=start, end=body.end,
        reason=body.reason,
    )  # fmt: skip
    return OutageEntry(entry_id=call.derived_id, created_at=call.now, created_by=who(call), entered_as=role_of(call), outage=said)


def _pin(services: Services, call: Call, body: PinIn) -> PinEntry:
    site = site_entered(services, body.site)
    machine = _machine(site, body.machine)
    where = f"{site.name}/{machine.name}"
    if body.count > there(machine):
        raise invalid("/count", "too_many", f"{where} has {there(machine)}, got {body.count}")
    if body.mode is not None and body.mode not in modes_of(machine):
        raise invalid(
            "/mode", "unknown_mode", f"expected a mode of {where} ({', '.join(modes_of(machine)) or 'none'}), got {body.mode}"
        )
    if body.expires <= call.now:
        raise invalid("/expires", "outside_window", f"{where}: expected after now, {iso(call.now)}, got {iso(body.expires)}")
    standing = services.store.pins.standing(call.now)
    if (same := _pinned(standing, site.name, machine.name)) is not None:
        words = f"{where} is pinned by {same.pin.owner} until {iso(same.pin.expires)} (pin {same.entry_id}): take that back first"
        raise Problem("conflict", words)
    if len(standing) >= MOST_PINS:
        raise invalid("", "too_many_pins", f"{MOST_PINS} pins stand already; take some back")
    said = Pin(
        name=f"pin-{call.derived_id}", owner=body.owner, site=site.name, machine=machine.name, mode=body.mode,
        count=body.count, expires=body.expires, reason=body.reason,
    )  # fmt: skip
    return PinEntry(entry_id=call.derived_id, created_at=call.now, created_by=who(call), entered_as=role_of(call), pin=said)


def _pinned(standing: list[PinEntry], site: str, machine: str) -> PinEntry | None:
    return next((entry for entry in standing if (entry.pin.site, entry.pin.machine) == (site, machine)), None)


def site_entered(services: Services, name: str) -> Site:
    """Return the site that an entry names.

    Raises:
        Problem: invalid_input, where the fleet has none such.
    """
    fleet = fleet_in_force(services)
    if (site := fleet.site_by_name.get(name)) is None:
        raise unknown_site(fleet, name)
    return site


def _machine(site: Site, name: str) -> Machine:
    machines = machines_of(site)
    if (machine := machines.get(name)) is None:
        words = f"{site.name} has no ASIC group or GPU pool {name}; it has {', '.join(sorted(machines)) or 'none'}"
        raise invalid("/machine", "unknown_machine", words)
    return machine


def role_of(call: Call) -> Role:
    """Return in which role an entry is made."""
    role = call.principal.role
    if role == "reader":
        raise AssertionError("a reader writes nothing")  # its policy keeps it out
    return role
