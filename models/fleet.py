"""The fleet: all sites, and the workloads that they share."""

from functools import cached_property
from typing import Annotated, Self

from annotated_types import Len
from pydantic import model_validator

from models.base import Name, Record, Text, repeated
from models.site import Site
from models.workload import Workload


class Fleet(Record):
    """Sites and workloads under one name; a workload lists the regions whose sites may serve it."""

    name: Name
    title: Text = ""
    sites: Annotated[tuple[Site, ...], Len(1, 5_000)]
    workloads: Annotated[tuple[Workload, ...], Len(0, 500)] = ()
    source: Text = ""

    @model_validator(mode="after")
    def names_fit_together(self) -> Self:
        """Refuse repeated names, and regions that no site is in."""
        if twice := repeated([s.name for s in self.sites] + [w.name for w in self.workloads]):
            raise ValueError(f"names of sites and workloads must differ, got {twice} twice")
        regions = {site.region for site in self.sites}
        for workload in self.workloads:
            if unknown := sorted(set(workload.routing_usd_per_mwork) - regions):
                raise ValueError(f"workload {workload.name}: routing_usd_per_mwork names regions without a site: {unknown}")
        return self

    @cached_property
    def site_by_name(self) -> dict[str, Site]:
        """Sites by name."""
        return {site.name: site for site in self.sites}

    @cached_property
    def workload_by_name(self) -> dict[str, Workload]:
        """Workloads by name."""
        return {workload.name: workload for workload in self.workloads}
