"""The elastic model: a model in which rules may give way, each by an amount that counts, and the least total is looked for.

Every rule that inputs can contradict becomes a row of its own: pins, limits, and what is in service are bounds in the model
itself. Which rules may give way is said by name; all others stay as hard as they are. Where a block stops before its
minimum run, nothing of its warm-up is missed; where a node does, nothing of its loading.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from models.problem import Problem
from optimizer.availability import days, group_in_service, modes_allowed, pinned, pool_available
from optimizer.compiled import Compiled, Family, Floats
from optimizer.formulation import build
from optimizer.sets import Release, World, world


@dataclass(frozen=True)
class Rule:
    """A rule that may give way: its name and unit, and what a unit counts against a kW of a draw."""

    name: str
    unit: str
    weight: float


WISHES: Mapping[str, Rule] = {"pin_blocks": Rule("pin", "blocks", 0.1), "pin_nodes": Rule("pin", "nodes", 0.1)}
"""What a person asked for: it gives way first."""
WEAR: Mapping[str, Rule] = {
    "ramp": Rule("ramp", "kW", 1.0),
    "min_up": Rule("min_up", "blocks", 1000.0),
    "min_down": Rule("min_down", "blocks", 1000.0),
    "node_min_up": Rule("min_up", "nodes", 1000.0),
    "daily_starts": Rule("daily_starts", "starts", 1000.0),
}
"""What spares machines and the grid: a planner may give way on it, at the price of wear."""
FIXED: Mapping[str, Rule] = {
    "limit": Rule("limit", "kW", 1.0),
    "feeder_limit": Rule("feeder_limit", "kW", 1.0),
    "in_service": Rule("in_service", "blocks", 1000.0),
    "nodes_in_service": Rule("in_service", "nodes", 1000.0),
    "heat": Rule("heat", "blocks", 1000.0),
    "dark": Rule("dark", "blocks", 1000.0),
    "nodes_dark": Rule("dark", "nodes", 1000.0),
}
"""Grid and physics: shown, never offered."""
RULES: Mapping[str, Rule] = {**WISHES, **WEAR, **FIXED}
TIED: Mapping[str, str] = {"node_min_up": "node_capacity"}
"""A node that stops before its minimum run stops loading, so that it takes no room any more."""


@dataclass(frozen=True)
class Place:
    """A row that may give way: its rule by key, what it binds and in which step; sign +1 lets it go lower, -1 higher."""

    key: str
    site: str
    thing: str
    step: int
    row: int
    sign: int
    tied: int = -1


@dataclass(frozen=True, eq=False)
class Stiff:
    """A model with a row for every rule that may give way, none of which does yet."""

    problem: Problem
    compiled: Compiled
    places: tuple[Place, ...]

    def elastic(self, keys: Collection[str]) -> tuple[Compiled, list[Place]]:
        """Return the model in which rules of these keys give way, one column after its own for each place."""
        places = [place for place in self.places if place.key in keys]
        model, columns, count = self.compiled, len(self.compiled.cost), len(places)
        cells = [(p.row, n, p.sign) for n, p in enumerate(places)]
        cells += [(p.tied, n, -1) for n, p in enumerate(places) if p.tied >= 0]
        rows, slacks, signs = np.array(cells, dtype=np.int64).reshape(-1, 3).T
        more = sparse.csr_matrix((signs.astype(np.float64), (rows, slacks)), shape=(model.matrix.shape[0], count))
        matrix = sparse.hstack([model.matrix, more], format="csr")
        matrix.sort_indices()
        weights = np.array([RULES[place.key].weight for place in places], dtype=np.float64)
        soft = replace(
            model,
            matrix=matrix,
            cost=np.concatenate((np.zeros(columns), -weights)),
            offset=0.0,
            col_lower=np.concatenate((model.col_lower, np.zeros(count))),
            col_upper=np.concatenate((model.col_upper, np.full(count, np.inf))),
            integer=np.concatenate((model.integer, np.zeros(count, dtype=np.bool_))),
            columns={**model.columns, "slack": np.arange(columns, columns + count)},
            column_families={**model.column_families, "slack": Family(("SLACKS",), (tuple(map(str, range(count))),))},
            money={},
        )
        return soft, places

    def given_way(self, amounts: Sequence[tuple[Place, float]]) -> Compiled:
        """Return the model with some places given way for good, each by an amount; nothing else is sought in it."""
        lower, upper = self.compiled.row_lower.copy(), self.compiled.row_upper.copy()
        for place, amount in amounts:
            (lower if place.sign > 0 else upper)[place.row] -= place.sign * amount
            if place.tied >= 0:
                upper[place.tied] += amount
        model = self.compiled
        return replace(model, row_lower=lower, row_upper=upper, cost=np.zeros(len(model.cost)), offset=0.0, money={})


def stiff(problem: Problem, release: Release | None = None, *, sites: Sequence[str] | None = None) -> Stiff:
    """Return the stiff model of some sites, or of the whole fleet, where `release` frees them of their past."""
    release = release or Release()
    free = replace(release, pins={pin.name: 0 for pin in problem.pins})
    compiled = build(problem, "fleet" if sites is None else "sites", sites=sites, release=free)
    return _Stiffening(world(problem, sites, release), compiled).stiff()


@dataclass(eq=False)
class _Stiffening:
    """Turns bounds into rows, and lists all rows that may give way."""

    here: World
    compiled: Compiled
    places: list[Place] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)

    def stiff(self) -> Stiff:
        model = self.compiled
        self.col_lower, self.col_upper = model.col_lower.copy(), model.col_upper.copy()
        self.col_lower[model.columns["paid_hash"].ravel()] = -np.inf
        for key in WEAR:
            self._rows(key)
        self._rows("feeder_limit")
        self._limits()
        self._groups()
        self._pools()
        self._pins()
        count = len(self.columns)
        shape = (count, len(model.cost))
        more = sparse.csr_matrix((np.ones(count), (np.arange(count), np.array(self.columns, dtype=np.int64))), shape=shape)
        lower, upper = np.array(self.bounds, dtype=np.float64).reshape(-1, 2).T
        rowed = replace(
            model,
            matrix=sparse.vstack([model.matrix, more], format="csr"),
            col_lower=self.col_lower,
            col_upper=self.col_upper,
            row_lower=np.concatenate((model.row_lower, lower)),
            row_upper=np.concatenate((model.row_upper, upper)),
            rows={**model.rows, "stiffened": np.arange(count) + model.matrix.shape[0]},
            row_families={**model.row_families, "stiffened": Family(("BOUNDS",), (tuple(map(str, range(count))),))},
        )
        return Stiff(self.here.problem, rowed, tuple(self.places))

    def _rows(self, key: str) -> None:
        """List the rows of a rule that has rows in the model itself."""
        model = self.compiled
        if key not in model.rows:
            return
        tied = model.rows[TIED[key]].ravel().tolist() if key in TIED else None
        for place, row in enumerate(model.rows[key].ravel().tolist()):
            thing, moment = _parts(model.row_families[key], place)
            step = self._first_step_of(thing, moment) if key == "daily_starts" else self._step(moment)
            for sign, bound in ((1, model.row_lower[row]), (-1, model.row_upper[row])):
                if np.isfinite(bound):
                    self.places.append(Place(key, thing.split("/")[0], thing, step, row, sign, tied[place] if tied else -1))

    def _step(self, moment: str) -> int:
        return self.compiled.axes["STEPS"].index(moment)

    def _first_step_of(self, thing: str, day: str) -> int:
        zone = self.here.problem.fleet.site_by_name[thing.split("/")[0]].zone
        return [f"{d}" for d in days(self.here, zone)].index(day)

    def _bound(
        self, key: str, thing: str, step: int, column: int, *, least: float = -np.inf, most: float = np.inf, tied: int = -1
    ) -> None:
        """Make a row of a bound of a column; a tied row gives way with it."""
        row = self.compiled.matrix.shape[0] + len(self.columns)
        self.columns.append(column)
        self.bounds.append((least, most))
        signs = [sign for sign, bound in ((1, least), (-1, most)) if np.isfinite(bound)]
        self.places += [Place(key, thing.split("/")[0], thing, step, row, sign, tied) for sign in signs]

    def _limits(self) -> None:
        """A dark site has no limit here: its machines are dark."""
        limit_kw = self.here.effective_limit_w / 1000
        for n, t in np.argwhere(self.here.energised).tolist():
            column = int(self.compiled.columns["draw"][n, t])
            self.col_upper[column] = np.inf
            self._bound("limit", self.here.sites[n].name, t, column, most=float(limit_kw[n, t]))
        dark = self.compiled.columns["draw"][~self.here.energised]
        self.col_upper[dark] = np.inf

    def _groups(self) -> None:
        on, in_mode = self.compiled.columns["on"], self.compiled.columns["in_mode"]
        allowed = modes_allowed(self.here)
        rank = {label: n for n, label in enumerate(self.compiled.column_families["in_mode"].labels[0])}
        for n, (g, there) in enumerate(zip(self.here.groups, group_in_service(self.here), strict=True)):
            lit = self._lit(g.site, g.group.name)
            for t in range(len(there)):
                self.col_upper[on[n, t]] = g.group.blocks
                if not lit[t] or there[t] < g.group.blocks:
                    self._bound("in_service" if lit[t] else "dark", g.label, t, int(on[n, t]), most=float(there[t]))
                for k, mode in enumerate(g.group.modes):
                    column = int(in_mode[rank[f"{g.label} {mode.name}"], t])
                    self.col_upper[column] = g.group.blocks
                    if k >= allowed[n, t]:
                        self._bound("heat", f"{g.label}/{mode.name}", t, column, most=0.0)

    def _pools(self) -> None:
        nodes_on = self.compiled.columns["nodes_on"]
        warm = self.compiled.column_families["nodes_warm"].labels[0]
        with_warm = dict(zip(warm, self.compiled.rows["warm_in_service"].tolist(), strict=True))
        for n, (p, there) in enumerate(zip(self.here.pools, pool_available(self.here), strict=True)):
            lit = self._lit(p.site, p.pool.name)
            for t in range(len(there)):
                self.col_upper[nodes_on[n, t]] = p.pool.nodes
                if not lit[t] or there[t] < p.pool.nodes:
                    key = "nodes_in_service" if lit[t] else "nodes_dark"
                    tied = with_warm[p.label][t] if p.label in with_warm else -1
                    self._bound(key, p.label, t, int(nodes_on[n, t]), most=float(there[t]), tied=tied)

    def _lit(self, site: int, machine: str) -> Sequence[bool]:
        lit: list[bool] = (self.here.energised[site] & self.here.live[site][machine]).tolist()
        return lit

    def _pins(self) -> None:
        on, in_mode, nodes_on = (self.compiled.columns[name] for name in ("on", "in_mode", "nodes_on"))
        rank = {label: n for n, label in enumerate(self.compiled.column_families["in_mode"].labels[0])}
        for n, g in enumerate(self.here.groups):
            if (held := pinned(self.here, g.site, g.group.name)) is not None:
                pin, ends = held
                row = on[n] if pin.mode is None else in_mode[rank[f"{g.label} {pin.mode}"]]
                self._pin("pin_blocks", g.label, row[:ends].tolist(), pin.count)
        for n, p in enumerate(self.here.pools):
            if (held := pinned(self.here, p.site, p.pool.name)) is not None:
                self._pin("pin_nodes", p.label, nodes_on[n, : held[1]].tolist(), held[0].count)

    def _pin(self, key: str, thing: str, columns: Sequence[int], count: int) -> None:
        for t, column in enumerate(columns):
            self._bound(key, thing, t, column, least=count, most=count)


def _parts(family: Family, place: int) -> tuple[str, str]:
    """Return what a row binds, and its step or day."""
    parts = family.label("", place)[1:-1].replace(" ", ",").split(",")
    return parts[0], parts[-1]


def amounts(places: Sequence[Place], slack: Floats, least: float) -> Iterator[tuple[Place, float]]:
    """Yield the places that gave way, and by how much: whole blocks, nodes and starts, and kW up to the milliwatt."""
    for place, given in zip(places, slack.tolist(), strict=True):
        if given > least:
            yield place, _kw_up(given) if RULES[place.key].unit == "kW" else float(round(given))


def _kw_up(kw: float) -> float:
    return -(-(kw * 1e6 - 1e-2) // 1) / 1e6
