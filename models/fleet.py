"""The fleet: all sites, and the workloads that they share."""

from functools import cached_property
from typing import Annotated, Self

from annotated_types import Gt, Len
from pydantic import model_validator

from models.base import Name, Record, Text, Watts, repeated
from models.site import Site
from models.workload import InteractiveWorkload, Latency, LatencyTable, Workload


class StepGuard(Record):
    """The fleet's draw may change by `most_change_w` in any five minutes; orders are exempt.

    Each site has a fixed share of it, by its connection, and keeps that as a ramp: so the guard holds whatever the others do,
    also where one of them is late. What a site does under an order, or in the step after one, counts for nobody; its share is
    not dealt to others.
    """

    most_change_w: Annotated[Watts, Gt(0)]
    source: Text = ""


class Fleet(Record):
    """Sites and workloads under one name.

    A workload may be served where its routing costs name the region, its residency allows the country, and the table of
    latencies says that its users need not wait longer than they may.
    """

    name: Name
    title: Text = ""
    sites: Annotated[tuple[Site, ...], Len(1, 5_000)]
    workloads: Annotated[tuple[Workload, ...], Len(0, 500)] = ()
    latency_ms: LatencyTable = {}
    step_guard: StepGuard | None = None
    source: Text = ""

    @model_validator(mode="after")
    def names_fit_together(self) -> Self:
        """Refuse repeated names, and regions that no site is in."""
        if twice := repeated([s.name for s in self.sites] + [w.name for w in self.workloads]):
            raise ValueError(f"names of sites and workloads must differ, got {twice} twice")
        if self.step_guard is not None and (slow := [s.name for s in self.sites if not self.ramp_w_per_min(s)]):
            raise ValueError(f"step_guard: expected at least 1 W per minute for each site by its connection, got none for {slow}")
        regions = {site.region for site in self.sites}
        for workload in self.workloads:
            if unknown := sorted(set(workload.routing_usd_per_mwork) - regions):
                raise ValueError(f"workload {workload.name}: routing_usd_per_mwork names regions without a site: {unknown}")
            self._can_be_served(workload)
        return self

    def _can_be_served(self, workload: Workload) -> None:
        """Refuse a workload whose latencies are not told, or that no site may serve."""
        limit = _latency(workload)
        known = self.latency_ms.get(limit.users, {}) if limit else {}
        if limit and (untold := sorted(set(workload.routing_usd_per_mwork) - set(known))):
            raise ValueError(f"workload {workload.name}: expected latency_ms.{limit.users} for its regions, missing {untold}")
        if not any(self.admits(workload, site) for site in self.sites):
            rules = [f"regions {sorted(workload.routing_usd_per_mwork)}"]
            rules += [f"countries {sorted(workload.countries)}"] if workload.countries else []
            rules += [f"at most {limit.most_ms} ms from {limit.users} ({known})"] if limit else []
            raise ValueError(f"workload {workload.name}: expected a site that may serve it, got none for {', '.join(rules)}")

    def admits(self, workload: Workload, site: Site) -> bool:
        """Whether a site may serve a workload: by region, residency and latency."""
        if site.region not in workload.routing_usd_per_mwork:
            return False
        if workload.countries is not None and site.country not in workload.countries:
            return False
        limit = _latency(workload)
        return limit is None or self.latency_ms[limit.users][site.region] <= limit.most_ms

    def ramp_w_per_min(self, site: Site) -> int | None:
        """Return how fast the draw of a site may change: its own ramp, or its share of the step guard where that is less."""
        if self.step_guard is None:
            return site.ramp_w_per_min
        share = self.step_guard.most_change_w * site.connection_limit_w // (5 * self.connection_w)
        return share if site.ramp_w_per_min is None else min(share, site.ramp_w_per_min)

    @cached_property
    def guarded_site_by_name(self) -> dict[str, Site]:
        """Sites by name, each with the ramp that it keeps as its share of the step guard; what controllers are told."""
        return {site.name: site.model_copy(update={"ramp_w_per_min": self.ramp_w_per_min(site)}) for site in self.sites}

    @cached_property
    def connection_w(self) -> int:
        """All connections together."""
        return sum(site.connection_limit_w for site in self.sites)

    @cached_property
    def site_by_name(self) -> dict[str, Site]:
        """Sites by name."""
        return {site.name: site for site in self.sites}

    @cached_property
    def workload_by_name(self) -> dict[str, Workload]:
        """Workloads by name."""
        return {workload.name: workload for workload in self.workloads}


def _latency(workload: Workload) -> Latency | None:
    return workload.latency if isinstance(workload, InteractiveWorkload) else None
