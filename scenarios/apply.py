"""Applies what-if patches to a problem, and says what of a problem can be patched."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, TypeVar

from pydantic import ValidationError

from models.availability import Outage
from models.base import Record, Text
from models.contract import FixedPrice
from models.fleet import Fleet
from models.market import DifficultyStep
from models.problem import Problem
from models.reading import BadInputError, refusals, refuse
from models.site import Site
from models.workload import Workload
from scenarios.patch import QUANTITIES, UNITS, Patch, Quantity

MAX_PATCHES = 1_000
R = TypeVar("R", bound=Record)

_SERIES: dict[Quantity, str] = {
    "energy_price": "prices_usd_per_mwh",
    "ambient": "ambient_c",
    "demand": "demand_work_per_h",
}
"""Fields of the problem that hold one series per name."""

OF_SITES: tuple[Quantity, ...] = ("limit", "site", "contract_price", "connection")
"""Quantities of sites: a patch may also name the region that they are in."""

_EXAMPLES: dict[Quantity, str] = {
    "hashprice": "=-20%",
    "difficulty": "@24h..=+4%",
    "energy_price": "=+15",
    "ambient": "=+8",
    "demand": "=+30%",
    "limit": "=-50%",
    "feeder": "=-50%",
    "site": "=off",
    "outage": "=1",
    "contract_price": "=+5",
    "work_price": "=-10%",
    "connection": "=+5MW",
}


class Patchable(Record):
    """A name that a patch may change, its unit, and an example of a patch."""

    quantity: Quantity
    name: Text
    unit: Text
    example: Text


def patchable(problem: Problem) -> list[Patchable]:
    """Return every name of a problem that a patch may change."""
    found = []
    for quantity in QUANTITIES:
        for name in _known(problem, quantity):
            target = quantity if name == "*" else f"{quantity}[{name}]"
            example = f"{target}{_EXAMPLES[quantity]}"
            found.append(Patchable(quantity=quantity, name=name, unit=UNITS[quantity], example=example))
    return found


def apply_patches(problem: Problem, patches: Sequence[Patch]) -> Problem:
    """Return the problem with all patches applied in order, validated whole and labelled `what-if`.

    Raises:
        BadInputError: a patch names nothing that is there, its window lies outside the horizon, or what it makes is no
            problem; the pointer is the patch's place in the list.
    """
    if len(patches) > MAX_PATCHES:
        refuse("too_many_patches", f"expected at most {MAX_PATCHES} patches, got {len(patches)}")
    for place, patch in enumerate(patches):
        try:
            problem = _applied(problem, patch)
        except ValidationError as error:
            first, *more = refusals(error)
            others = f" (and {len(more)} faults more)" if more else ""
            refuse("patch_result", f"{patch}: {first.pointer} {first.detail}{others}", f"/{place}")
        except BadInputError as error:
            raise BadInputError([r.model_copy(update={"pointer": f"/{place}"}) for r in error.refusals]) from None
    return problem


def _applied(problem: Problem, patch: Patch) -> Problem:
    names = _matching(problem, patch)
    steps = _touched(problem, patch)
    if patch.quantity == "hashprice":
        values = _not_negative(_changed(problem.hashprice_usd_per_ph_day, steps, patch), patch)
        return _rebuilt(problem, hashprice_usd_per_ph_day=values)
    if patch.quantity == "difficulty":
        at = problem.grid.start + timedelta(hours=patch.from_h)
        step = DifficultyStep(at=at, change_share=round(patch.value - 1, 12))
        return _rebuilt(problem, difficulty_steps=(*problem.difficulty_steps, step))
    if (field := _SERIES.get(patch.quantity)) is not None:
        series: Mapping[str, Sequence[float]] = getattr(problem, field)
        whole = patch.quantity == "demand"
        changed = {n: _changed(series[n], steps, patch, whole) for n in names}
        for values in changed.values() if whole else ():
            _not_negative(values, patch)
        return _rebuilt(problem, **{field: {**series, **changed}})
    if patch.quantity == "outage":
        return _rebuilt(problem, outages=(*problem.outages, *_outages(problem, names, patch)))
    if patch.quantity == "feeder":
        return _rebuilt(problem, feeder_limit_w=_feeder_limits(problem, names, steps, patch))
    if patch.quantity in ("limit", "site"):
        return _rebuilt(problem, limit_w={**problem.limit_w, **{n: _limits(problem, n, steps, patch) for n in names}})
    return _rebuilt(problem, fleet=_changed_fleet(problem.fleet, names, patch))


def _rebuilt(problem: Problem, **changes: Any) -> Problem:
    labels = problem.labels if "what-if" in problem.labels else (*problem.labels, "what-if")
    return _remade(problem, **changes, labels=labels)


def _known(problem: Problem, quantity: Quantity) -> list[str]:
    """Names that a patch of a quantity may address; one quantity of the whole fleet has only `*`."""
    if quantity in ("hashprice", "difficulty"):
        return ["*"]
    if (field := _SERIES.get(quantity)) is not None:
        return list(getattr(problem, field))
    if quantity == "work_price":
        return [workload.name for workload in problem.fleet.workloads]
    if quantity == "outage":
        groups = [f"{site.name}/{group.name}" for site in problem.fleet.sites for group in site.asic_groups]
        return groups + [f"{site.name}/{pool.name}" for site in problem.fleet.sites for pool in site.gpu_pools]
    if quantity == "feeder":
        return [f"{site.name}/{feeder.name}" for site in problem.fleet.sites for feeder in site.feeders]
    return [site.name for site in problem.fleet.sites]


def _matching(problem: Problem, patch: Patch) -> list[str]:
    known = _known(problem, patch.quantity)
    regions = {site.name: site.region for site in problem.fleet.sites} if patch.quantity in OF_SITES else {}
    found = [n for n in known if fnmatchcase(n, patch.name) or fnmatchcase(regions.get(n, ""), patch.name)]
    if not found:
        near = get_close_matches(patch.name, known, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {_few(known)}"
        refuse("patch_name", f"{patch}: {patch.quantity} has no {patch.name!r}{hint}")
    return found


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"


def _touched(problem: Problem, patch: Patch) -> range:
    edges_h = [offset / 3600 for offset in problem.grid.offset_s]
    to_h = edges_h[-1] if patch.to_h is None else patch.to_h
    steps = [t for t in range(problem.grid.steps) if edges_h[t] < to_h and edges_h[t + 1] > patch.from_h]
    if not steps:
        refuse("patch_window", f"{patch}: the window lies outside the horizon of {edges_h[-1]:g} h")
    return range(steps[0], steps[-1] + 1)


def _changed(values: Sequence[float], steps: Iterable[int], patch: Patch, whole: bool = False) -> tuple[float, ...]:
    changed = list(values)
    for t in steps:
        changed[t] = round(_new(changed[t], patch)) if whole else _new(changed[t], patch)
    return tuple(changed)


def _not_negative(values: tuple[float, ...], patch: Patch) -> tuple[float, ...]:
    """Return values as they are; refuse what falls below 0 with the percentage that was probably meant."""
    if (least := min(values)) < 0:
        words = f"{patch.quantity} would be {least:g} {UNITS[patch.quantity]}, which cannot be below 0"
        meant = patch.model_copy(update={"change": "scale", "value": 1 + patch.value / 100})
        is_percent = patch.change != "scale" and -100 <= patch.value < 0
        refuse("patch_value", f"{patch}: {words}" + (f"; did you mean {meant}?" if is_percent else ""))
    return values


def _new(value: float, patch: Patch) -> float:
    if patch.change == "set":
        return patch.value
    return value + patch.value if patch.change == "add" else value * patch.value


def _limits(problem: Problem, name: str, steps: range, patch: Patch) -> tuple[float, ...]:
    connection_w = problem.fleet.site_by_name[name].connection_limit_w
    limits = problem.limit_w.get(name, (connection_w,) * problem.grid.steps)
    if patch.quantity == "site":
        return tuple((connection_w if patch.value else 0) if t in steps else limits[t] for t in range(len(limits)))
    changed = _changed(limits, steps, patch, whole=True)
    if (top := max(changed)) > connection_w:
        words = f"{name} has a connection of {connection_w} W, a limit of {top} W is not possible"
        refuse("patch_value", f"{patch}: {words}; to enlarge it write connection[{name}]={top:.0f}W")
    return changed


def _outages(problem: Problem, names: Sequence[str], patch: Patch) -> list[Outage]:
    """Return one outage for each machine, under names that nobody else has."""
    begins, taken = problem.grid.start, {outage.name for outage in problem.outages}
    free = (name for n in count() if (name := f"what-if-{n}") not in taken)
    start = begins + timedelta(hours=patch.from_h)
    end = None if patch.to_h is None else begins + timedelta(hours=patch.to_h)
    machines = [name.split("/") for name in names]
    return [
        Outage(name=next(free), site=site, machine=machine, count=int(patch.value), start=start, end=end)
        for site, machine in machines
    ]


def _feeder_limits(problem: Problem, names: Sequence[str], steps: range, patch: Patch) -> dict[str, dict[str, Sequence[float]]]:
    limits: dict[str, dict[str, Sequence[float]]] = {site: dict(series) for site, series in problem.feeder_limit_w.items()}
    for name in names:
        site, feeder = name.split("/")
        own = next(f.limit_w for f in problem.fleet.site_by_name[site].feeders if f.name == feeder)
        before = limits.get(site, {}).get(feeder, (own,) * problem.grid.steps)
        limits.setdefault(site, {})[feeder] = _changed(before, steps, patch, whole=True)
    return limits


def _changed_fleet(fleet: Fleet, names: Sequence[str], patch: Patch) -> Fleet:
    if patch.quantity == "work_price":
        workloads = tuple(_priced(w, patch) if w.name in names else w for w in fleet.workloads)
        return _remade(fleet, workloads=workloads)
    change = _reconnected if patch.quantity == "connection" else _recontracted
    return _remade(fleet, sites=tuple(change(s, patch) if s.name in names else s for s in fleet.sites))


def _priced(workload: Workload, patch: Patch) -> Workload:
    return _remade(workload, price_usd_per_mwork=_new(workload.price_usd_per_mwork, patch))


def _reconnected(site: Site, patch: Patch) -> Site:
    return _remade(site, connection_limit_w=round(_new(site.connection_limit_w, patch)))


def _recontracted(site: Site, patch: Patch) -> Site:
    """Change a fixed price, or the adder of an index price."""
    contract = site.contract
    field = "price_usd_per_mwh" if isinstance(contract, FixedPrice) else "adder_usd_per_mwh"
    return _remade(site, contract=_remade(contract, **{field: _new(getattr(contract, field), patch)}))


def _remade(record: R, **changes: Any) -> R:
    """Return a record with some fields changed, validated."""
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    return type(record).model_validate({**fields, **changes})
