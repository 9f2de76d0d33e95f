"""What was entered and binds over a stretch of time: orders, outages, pins, told awards; as far as the fleet has what they name.

A fleet may change under them. What no longer fits it must not keep the whole fleet from being planned: it is left out, or
cut to what is there, and a note for the plan's readers says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.asic import AsicGroup
from models.availability import Outage, Pin
from models.base import iso
from models.fleet import Fleet
from models.gpu import GpuPool
from models.order import LimitOrder
from models.reserve import ToldAward
from models.site import Site
from service.reserve_carry import known_calls
from service.store import Store

Machine = AsicGroup | GpuPool


@dataclass(frozen=True)
class Standing:
    """Orders, outages, pins and awards that bind, and notes on those that do not fit the fleet."""

    orders: tuple[LimitOrder, ...]
    outages: tuple[Outage, ...]
    pins: tuple[Pin, ...]
    awards: tuple[ToldAward, ...] = ()
    notes: tuple[str, ...] = ()

    def after(self, instant: datetime) -> "Standing":
        """Return what of it still binds after an instant; notes are left behind."""
        return Standing(
            orders=tuple(o for o in self.orders if o.end is None or o.end > instant),
            outages=tuple(o for o in self.outages if o.end is None or o.end > instant),
            pins=tuple(p for p in self.pins if p.expires > instant),
        )

    def same_as(self, other: "Standing") -> bool:
        """Whether two say the same of orders, outages and pins, in whatever order; problems keep awards in another form."""
        return all(
            {entry.name: entry for entry in mine} == {entry.name: entry for entry in theirs}
            for mine, theirs in zip(self._parts(), other._parts(), strict=True)
        )

    def _parts(self) -> tuple[Sequence[LimitOrder | Outage | Pin], ...]:
        return self.orders, self.outages, self.pins


def standing(store: Store, fleet: Fleet, start: datetime, end: datetime) -> Standing:
    """Return what binds somewhere in [start, end)."""
    machines = {site.name: machines_of(site) for site in fleet.sites}
    notes: list[str] = []
    orders = known_calls(fleet, [o for o in store.events.binding(start, end) if o.site in machines])
    outages = [_fitted(entry.outage, machines, notes) for entry in store.outages.standing(start, end)]
    pins = [entry.pin for entry in store.pins.standing(start, end) if _fits(entry.pin, machines, notes)]
    awards = [entry.award for entry in store.awards.standing(start, end) if _is_sold(entry.award, fleet, notes)]
    return Standing(orders, tuple(o for o in outages if o is not None), tuple(pins), tuple(awards), tuple(notes))


def machines_of(site: Site) -> dict[str, Machine]:
    """Return the ASIC groups and GPU pools of a site by name."""
    machines: tuple[Machine, ...] = (*site.asic_groups, *site.gpu_pools)
    return {machine.name: machine for machine in machines}


def there(machine: Machine) -> int:
    """Return how many blocks or nodes a machine has."""
    return machine.blocks if isinstance(machine, AsicGroup) else machine.nodes


def _fitted(outage: Outage, machines: Mapping[str, Mapping[str, Machine]], notes: list[str]) -> Outage | None:
    machine = machines.get(outage.site, {}).get(outage.machine)
    where = f"{outage.site}/{outage.machine}"
    if machine is None:
        notes.append(f"outage_ignored: an outage is for {where}, which the fleet does not have")
        return None
    if outage.count <= there(machine):
        return outage
    notes.append(f"outage_cut: an outage is for {outage.count} of {where}, which has {there(machine)}: all are out")
    return outage.model_copy(update={"count": there(machine)})


def _fits(pin: Pin, machines: Mapping[str, Mapping[str, Machine]], notes: list[str]) -> bool:
    machine = machines.get(pin.site, {}).get(pin.machine)
    where = f"{pin.site}/{pin.machine}"
    if machine is None:
        notes.append(f"pin_ignored: {pin.owner}'s pin is for {where}, which the fleet does not have")
    elif pin.count > there(machine):
        notes.append(f"pin_ignored: {pin.owner}'s pin is for {pin.count} of {where}, which has {there(machine)}")
    elif pin.mode is not None and pin.mode not in modes_of(machine):
        notes.append(f"pin_ignored: {pin.owner}'s pin is for mode {pin.mode} of {where}, which has none such")
    else:
        return True
    return False


def _is_sold(award: ToldAward, fleet: Fleet, notes: list[str]) -> bool:
    site = fleet.site_by_name.get(award.site)
    reserve = next((r for r in site.reserves if r.name == award.reserve), None) if site else None
    if site is None or reserve is None:
        notes.append(f"award_ignored: an award is of {award.site}/{award.reserve}, which the fleet does not sell")
    elif reserve.block_at(site.zone, award.start) != (award.start, award.end):
        block = f"from {iso(award.start)} to {iso(award.end)}"
        notes.append(f"award_ignored: an award is of {award.site}/{award.reserve} {block}, which is no block of it any more")
    else:
        return True
    return False


def modes_of(machine: Machine) -> tuple[str, ...]:
    """Return the modes of an ASIC group by name; nodes of a pool have none."""
    return tuple(mode.name for mode in machine.modes) if isinstance(machine, AsicGroup) else ()
