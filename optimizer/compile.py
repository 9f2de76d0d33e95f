"""The production reading: every rule is evaluated once per family, with arrays in place of single labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from optimizer.algebra import Level, Linear, Number, Relation, at_rows, summed
from optimizer.array_reading import ArrayReading, ArrayVariable, family_index
from optimizer.compiled import Compiled, Family, Floats, Ints, Money
from optimizer.data import Bound, Data, Members, bind
from optimizer.declare import Axis, Constraint, Model, MoneyFamily, Variable

__all__ = ["Compiled", "compile_model"]


def compile_model(model: Model, data: Data) -> Compiled:
    """Return the model with its data as arrays.

    Raises:
        DataError: the data do not fit the declarations.
    """
    bound = bind(model, data)
    reading = ArrayReading(bound, model)
    columns, rows = _Columns(), _Rows()
    for variable in model.variables.values():
        _add_columns(reading, columns, variable, bound)
    for constraint in model.constraints.values():
        _add_rows(reading, rows, constraint, bound)
    money = _money(reading, model.money, bound, columns.count)
    cost = np.zeros(columns.count)
    for term in money.values():
        cost += np.bincount(term.matrix.indices, term.matrix.data, columns.count)
    return Compiled(
        matrix=_matrix(rows.entries, rows.count, columns.count),
        cost=cost,
        offset=float(sum(term.constant.sum() for term in money.values())),
        col_lower=_joined(columns.lower),
        col_upper=_joined(columns.upper),
        row_lower=_joined(rows.lower),
        row_upper=_joined(rows.upper),
        integer=_joined(columns.integer).astype(np.bool_),
        columns=columns.numbers,
        rows=rows.numbers,
        column_families=columns.families,
        row_families=rows.families,
        money=money,
        axes={name: bound.sets[name].labels for name, declared in model.sets.items() if isinstance(declared, Axis)},
    )


@dataclass
class _Columns:
    count: int = 0
    lower: list[Floats] = field(default_factory=list)
    upper: list[Floats] = field(default_factory=list)
    integer: list[Floats] = field(default_factory=list)
    numbers: dict[str, Ints] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)


@dataclass
class _Rows:
    count: int = 0
    entries: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    lower: list[Floats] = field(default_factory=list)
    upper: list[Floats] = field(default_factory=list)
    numbers: dict[str, Ints] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)


def _numbered(over: Sequence[Members], start: int) -> tuple[Ints, Family]:
    shape = tuple(len(s) for s in over)
    family = Family(tuple(s.name for s in over), tuple(s.labels for s in over))
    return np.arange(start, start + prod(shape), dtype=np.int64).reshape(shape), family


def _number(value: Any) -> tuple[Any, Level | None]:
    return (value.values, value.level) if isinstance(value, Number) else (value, None)


def _add_columns(reading: ArrayReading, columns: _Columns, variable: Variable, bound: Bound) -> None:
    over = bound.over(variable.over)
    level, index = family_index(over)
    low, high = variable.bounds(reading, *index) if variable.bounds and level.size else (0.0, np.inf)
    columns.lower.append(at_rows(level, *_number(low)))
    columns.upper.append(at_rows(level, *_number(high)))
    columns.integer.append(np.full(level.size, float(variable.integer)))
    columns.numbers[variable.name], columns.families[variable.name] = _numbered(over, columns.count)
    reading.declare(variable.name, ArrayVariable(over, columns.count))
    columns.count += level.size


def _add_rows(reading: ArrayReading, rows: _Rows, constraint: Constraint, bound: Bound) -> None:
    over = bound.over(constraint.over)
    level, index = family_index(over)
    rows.numbers[constraint.name], rows.families[constraint.name] = _numbered(over, rows.count)
    if not level.size:
        return
    relation = constraint.rule(reading, *index)
    if isinstance(relation, tuple):
        relation = Relation(relation[1], relation[0], relation[2])
    known = summed(level, relation.linear.numbers)
    rows.lower.append(at_rows(level, *_number(relation.low)) - known)
    rows.upper.append(at_rows(level, *_number(relation.high)) - known)
    rows.entries += [(place + rows.count, column, value) for place, column, value in _entries(level, relation.linear)]
    rows.count += level.size


def _entries(level: Level, linear: Linear) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield places, columns and coefficients of a linear expression over a family."""
    for of, columns, coefficients in linear.terms:
        place = np.arange(level.size) if of is None else of.to(level)
        yield place, np.broadcast_to(columns, place.shape), np.broadcast_to(coefficients, place.shape)


def _matrix(entries: Sequence[tuple[Ints, Ints, Floats]], rows: int, columns: int) -> Any:
    if not entries:
        return sparse.csr_matrix((rows, columns))
    place, column, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = sparse.csr_matrix((value, (place, column)), shape=(rows, columns))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _money(reading: ArrayReading, families: Sequence[MoneyFamily], bound: Bound, columns: int) -> dict[str, Money]:
    """Return the terms; families of one term stand one below the other."""
    terms: dict[str, Money] = {}
    for family in families:
        level, index = family_index(bound.over(family.over))
        linear = family.rule(reading, *index) if level.size else Linear(())
        if not isinstance(linear, Linear):
            linear = Linear((), (linear if isinstance(linear, Number) else Number(linear, None),))
        matrix = _matrix(list(_entries(level, linear)), level.size, columns)
        part = Money(matrix, summed(level, linear.numbers), family.owners, index[0].codes, index[-1].codes)
        terms[family.term] = _merged(terms[family.term], part) if family.term in terms else part
    return terms


def _merged(above: Money, below: Money) -> Money:
    if above.owners != below.owners:
        raise ValueError(f"one money term for two kinds of owner: {above.owners} and {below.owners}")
    return Money(
        sparse.vstack([above.matrix, below.matrix], format="csr"),
        np.concatenate([above.constant, below.constant]),
        above.owners,
        np.concatenate([above.owner, below.owner]),
        np.concatenate([above.step, below.step]),
    )


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)
