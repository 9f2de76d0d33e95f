"""What two plans decide differently, in the steps that both have."""

from collections.abc import Iterator, Mapping

from models.plan import Plan, SitePlan

Counts = dict[str, int]


def changed_cells(before: Plan, after: Plan) -> tuple[int, int]:
    """Return how many pairs of machines and step differ in their counts, and how many were compared: all that both have."""
    differ = [was != now for was, now in cells(before, after)]
    return sum(differ), len(differ)


def cells(before: Plan, after: Plan, only: str | None = None) -> Iterator[tuple[Counts, Counts]]:
    """Yield the counts above zero, by mode, of every machine in every step that both plans have; `only`: of one site."""
    then = {(start, length): t for t, (start, length) in enumerate(zip(before.grid.starts, before.grid.step_s, strict=True))}
    keys = enumerate(zip(after.grid.starts, after.grid.step_s, strict=True))
    steps = [(then[key], t) for t, key in keys if key in then]
    for name, site in after.sites.items():
        if (old := before.sites.get(name)) is None or only not in (None, name):
            continue
        for machine, now in _series(site).items():
            if (was := _series(old).get(machine)) is not None:
                yield from ((_at(was, i), _at(now, t)) for i, t in steps)


def _series(site: SitePlan) -> dict[str, dict[str, tuple[int, ...]]]:
    """Counts by machine and mode; nodes are on, warm or off."""
    groups = {name: dict(group.mode_blocks) for name, group in site.groups.items()}
    return groups | {
        name: {"on": p.nodes_on} | ({"warm": p.nodes_warm} if p.nodes_warm else {}) for name, p in site.pools.items()
    }


def _at(series: Mapping[str, tuple[int, ...]], step: int) -> Counts:
    return {mode: counts[step] for mode, counts in series.items() if counts[step]}


def distance(before: Plan, after: Plan) -> tuple[int, int]:
    """How many decisions differ, and by how many blocks and nodes together."""
    changed = units = 0
    for was, now in cells(before, after):
        apart = sum(abs(now.get(mode, 0) - was.get(mode, 0)) for mode in was.keys() | now.keys())
        changed += apart > 0
        units += apart
    return changed, units
