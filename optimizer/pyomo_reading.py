"""The second reading: Pyomo instantiates the same rules row by row, one label at a time.

It is the oracle that `compile` is tested against, and the way to every solver and file format that Pyomo knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.data import Bound, BoundGroups, Data, Members, bind, index_of
from optimizer.declare import Model, MoneyFamily, Named


@dataclass(frozen=True, eq=False)
class PyomoModel:
    """A Pyomo model of the same names, its variables, constraints and money indexed by the codes of their sets.

    money: each named term as a list of (owner code, step code, Pyomo expression). [USD]
    """

    model: Any
    money: Mapping[str, list[tuple[int, int, Any]]]


def read(model: Model, data: Data) -> PyomoModel:
    """Return the model with its data as a Pyomo model that maximises the sum of its money.

    Raises:
        DataError: the data do not fit the declarations.
    """
    bound = bind(model, data)
    built = pyo.ConcreteModel("wattsplit")
    reading = PyomoReading(bound, model)
    for variable in model.variables.values():
        over = bound.over(variable.over)
        domain = pyo.Integers if variable.integer else pyo.Reals
        component = pyo.Var(_index(over), domain=domain)
        built.add_component(variable.name, component)
        for codes in index_of(over):
            low, high = variable.bounds(reading, *codes) if variable.bounds else (0.0, None)
            component[codes].setlb(low)
            component[codes].setub(None if high == float("inf") else high)
        reading.declare(variable.name, Decisions(component))
    for constraint in model.constraints.values():
        over = bound.over(constraint.over)
        rows = pyo.Constraint(_index(over))
        built.add_component(constraint.name, rows)
        for codes in index_of(over):
            relation = constraint.rule(reading, *codes)
            rows.add(codes, pyo.Constraint.Feasible if relation is True else relation)
    money = _money(model.money, reading, bound)
    built.profit = pyo.Objective(expr=pyo.quicksum(e for cells in money.values() for _, _, e in cells), sense=pyo.maximize)
    return PyomoModel(built, money)


def _index(over: Sequence[Members]) -> pyo.Set:
    members = index_of(over)
    return pyo.Set(initialize=members, dimen=len(members[0]) if members else None)


def _money(families: Sequence[MoneyFamily], reading: "PyomoReading", bound: Bound) -> dict[str, list[tuple[int, int, Any]]]:
    terms: dict[str, list[tuple[int, int, Any]]] = {}
    for family in families:
        cells = terms.setdefault(family.term, [])
        for codes in index_of(bound.over(family.over)):
            cells.append((codes[0], codes[1], family.rule(reading, *codes)))
    return terms


class Decisions:
    """A Pyomo variable, looked up by codes."""

    def __init__(self, component: Any) -> None:
        self.component = component

    def __getitem__(self, index: Any) -> Any:
        return self.component[index if isinstance(index, tuple) else (index,)]


class Values:
    """A parameter, looked up by codes."""

    def __init__(self, over: Sequence[Members], values: Any) -> None:
        self.values = dict(zip(index_of(over), values.ravel().tolist(), strict=True))

    def __getitem__(self, index: Any) -> float:
        return float(self.values[index if isinstance(index, tuple) else (index,)])


class Sums:
    """A ragged set: iterating over a group yields its members one after the other."""

    def __init__(self, groups: BoundGroups) -> None:
        rows = [tuple(row) if len(row) > 1 else row[0] for row in groups.members.tolist()]
        keys = index_of(groups.by)
        starts, counts = groups.first.tolist(), groups.counts.tolist()
        self.members = {k: rows[a : a + n] for k, a, n in zip(keys, starts, counts, strict=True)}

    def __getitem__(self, index: Any) -> Iterator[Any]:
        return iter(self.members[index if isinstance(index, tuple) else (index,)])


class PyomoReading(Named):
    """What a rule sees as `m`: sets, parameters and variables by name."""

    def __init__(self, bound: Bound, model: Model) -> None:
        over = {name: bound.over(declared.over) for name, declared in model.parameters.items()}
        super().__init__(
            {name: Sums(members) for name, members in bound.groups.items()}
            | {name: Values(sets, bound.parameters[name]) for name, sets in over.items()}
        )

    def previous(self, variable: Decisions, before: Values, *index: int) -> Any:
        """Return a variable one step earlier, and the known value `before` (without the step) ahead of the first step."""
        *where, step = index
        return variable[(*where, step - 1)] if step else before[tuple(where)]
