"""/v1/sites/{site}/telemetry: measured points. A 200 means that they are on the disk."""

from datetime import timedelta
from typing import Annotated

from annotated_types import Len

from models.base import Count, Instant, Record, iso
from models.fleet import Fleet
from models.reading import BadInputError, Refusal
from models.site import Site
from service.api.common import QueryInstant, fleet_in_force, found, site_in_force
from service.http.paging import Query
from service.http.problems import FieldError, Problem
from service.http.routes import Call, Route, reads, writes
from service.ports import Services
from service.store.records import StoredTelemetry, TelemetryPoint
from service.store.series_records import Flag
from service.store.telemetry import ConflictingTelemetryError

MAX_POINTS = 500
MOST_PUE = 3
"""No cooling makes a site draw more than this many times its machines' name-plate."""
LONGEST_DONE = timedelta(days=1)
"""A site that counts its work tells it every few minutes; what it tells late it tells in parts."""
MOST_PACE = 2
"""No node does more work than this many times what the fleet says of it."""


class TelemetryIn(Record):
    """Points of one site; they may be late and out of order, and may be sent again."""

    points: Annotated[tuple[TelemetryPoint, ...], Len(1, MAX_POINTS)]


class Flagged(Record):
    """A point that is kept and not used for planning."""

    at: Instant
    flags: tuple[Flag, ...]


class TelemetryReceipt(Record):
    """What became of the points: new ones, those that were kept already, and those that are flagged."""

    stored: Count
    known: Count
    flagged: tuple[Flagged, ...]


class TelemetryOut(Record):
    """Points of a site, oldest first."""

    items: tuple[StoredTelemetry, ...]


class Window(Query):
    """Half-open stretch of time; the last 24 hours if it is left out."""

    start: QueryInstant | None = None
    end: QueryInstant | None = None


def routes(services: Services) -> list[Route]:
    """Return the routes of telemetry."""
    store, settings = services.store, services.settings

    def report(call: Call, site: str, body: TelemetryIn) -> TelemetryReceipt:
        """Keep points of the site. All or none are kept; what is kept survives a power cut."""
        fleet = fleet_in_force(services)
        facts = found(fleet.site_by_name.get(site))
        oldest = call.now - timedelta(seconds=settings.telemetry_max_age_s)
        newest = call.now + timedelta(seconds=settings.telemetry_max_ahead_s)
        faults: list[Refusal] = []
        offered = []
        for place, point in enumerate(body.points):
            if not oldest <= point.at <= newest:
                faults.append(
                    Refusal(
                        pointer=f"/points/{place}/at", code="outside_window",
                        detail=f"{site}: expected an instant from {iso(oldest)} to {iso(newest)}, got {iso(point.at)}",
                    )
                )  # fmt: skip
            faults += _unknown_machines(facts, point, f"/points/{place}")
            faults += _unknown_work(fleet, facts, point, f"/points/{place}/done")
            beyond = not faults and (_beyond_nameplate(facts, point) or _beyond_nodes(fleet, facts, point))
            flags: tuple[Flag, ...] = ("above_nameplate",) if beyond else ()
            offered.append(StoredTelemetry(point=point, received_at=call.now, flags=flags))
        if faults:
            raise BadInputError(faults)
        try:
            stored = store.telemetry.add(site, offered)
        except ConflictingTelemetryError as error:
            detail = "another measurement is kept for this instant"
            where = [FieldError(part="body", pointer=f"/points/{i}", code="conflict", detail=detail) for i in error.indexes]
            raise Problem("conflict", str(error), where) from None
        flagged = tuple(Flagged(at=o.point.at, flags=o.flags) for o in offered if o.flags)
        return TelemetryReceipt(stored=stored, known=len(offered) - stored, flagged=flagged)

    def measured(call: Call, site: str, query: Window) -> TelemetryOut:
        """List what the site measured, at most 10,000 points."""
        site_in_force(services, site)
        end = query.end or call.now + timedelta(seconds=settings.telemetry_max_ahead_s)
        start = query.start or end - timedelta(days=1)
        return TelemetryOut(items=tuple(store.telemetry.between(site, start, end)))

    mine = "site"
    return [
        Route(
            "POST", "/v1/sites/{site}/telemetry", report, writes("controller", site=mine), "Report measurements", "telemetry",
            TelemetryReceipt, limit="telemetry", problems=("conflict",),
        ),
        Route(
            "GET", "/v1/sites/{site}/telemetry", measured, reads("controller", "operator", "planner", site=mine),
            "What the site measured", "telemetry", TelemetryOut,
        ),
    ]  # fmt: skip


def _unknown_machines(site: Site, point: TelemetryPoint, at: str) -> list[Refusal]:
    modes = {group.name: {mode.name for mode in group.modes} for group in site.asic_groups}
    pools = {pool.name for pool in site.gpu_pools}
    unknown = []
    for group, counts in point.mode_blocks.items():
        if group not in modes:
            unknown.append((f"{at}/mode_blocks/{group}", f"site {site.name} has no ASIC group {group}; it has {sorted(modes)}"))
        else:
            unknown += [
                (f"{at}/mode_blocks/{group}/{mode}", f"group {group} has no mode {mode}; it has {sorted(modes[group])}")
                for mode in counts
                if mode not in modes[group]
            ]
    unknown += [
        (f"{at}/{what}/{pool}", f"site {site.name} has no GPU pool {pool}; it has {sorted(pools)}")
        for what, counts in (("nodes_on", point.nodes_on), ("nodes_warm", point.nodes_warm))
        for pool in counts
        if pool not in pools
    ]
    cold = {pool.name for pool in site.gpu_pools if pool.warm_w is None}
    unknown += [
        (f"{at}/nodes_warm/{pool}", f"nodes of {site.name}/{pool} are on or off: it has no warm_w")
        for pool, count in point.nodes_warm.items()
        if count and pool in cold
    ]
    return [Refusal(pointer=pointer, code="unknown_name", detail=detail) for pointer, detail in unknown]


def _unknown_work(fleet: Fleet, site: Site, point: TelemetryPoint, at: str) -> list[Refusal]:
    if (done := point.done) is None:
        return []
    refused = []
    if not timedelta(0) < point.at - done.since <= LONGEST_DONE:
        words = (
            f"expected before {iso(point.at)} and at most {LONGEST_DONE // timedelta(hours=1)} h before, got {iso(done.since)}"
        )
        refused.append(Refusal(pointer=f"{at}/since", code="outside_window", detail=f"{site.name}: {words}"))
    for name in done.work:
        if (workload := fleet.workload_by_name.get(name)) is None:
            words = f"the fleet has no workload {name}; it has {sorted(fleet.workload_by_name)}"
        elif not any(workload.work_per_node_h(pool) for pool in site.gpu_pools):
            words = f"no GPU pool of {site.name} can serve {name}"
        else:
            continue
        refused.append(Refusal(pointer="/".join((at, "work", name)), code="unknown_name", detail=words))
    return refused


def _beyond_nodes(fleet: Fleet, site: Site, point: TelemetryPoint) -> bool:
    """Whether work cannot have been done: more than all nodes of the site do in the time, as where a unit is wrong."""
    if (done := point.done) is None:
        return False
    hours = (point.at - done.since) / timedelta(hours=1)
    shares = 0.0
    for name, work in done.work.items():
        shares += work / sum(pool.nodes * fleet.workload_by_name[name].work_per_node_h(pool) for pool in site.gpu_pools)
    return shares > MOST_PACE * hours


def _beyond_nameplate(site: Site, point: TelemetryPoint) -> bool:
    """Whether a measurement cannot be: more machines than there are, or more power than they and their cooling can draw."""
    blocks = {group.name: group.blocks for group in site.asic_groups}
    nodes = {pool.name: pool.nodes for pool in site.gpu_pools}
    return (
        point.draw_w > max(site.connection_limit_w, MOST_PUE * site.nameplate_w + site.base_load_w)
        or any(sum(counts.values()) > blocks.get(group, 0) for group, counts in point.mode_blocks.items())
        or any(point.nodes_on.get(pool, 0) + point.nodes_warm.get(pool, 0) > count for pool, count in nodes.items())
    )
