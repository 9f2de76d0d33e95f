"""Compares the two readings of one model, by names and codes, never by order."""

import numpy as np
from pyomo.repn import generate_standard_repn

from optimizer.compile import compile_model
from optimizer.data import bind, index_of
from optimizer.pyomo_reading import read


def same_bound(ours, theirs):
    return ours == theirs if theirs is not None else not np.isfinite(ours)


def assert_equal_readings(model, data):
    """Assert zero difference in columns, bounds, integrality, rows, coefficients and money; return the arrays."""
    arrays, other = compile_model(model, data), read(model, data)
    bound = bind(model, data)
    number = {}
    for name, variable in model.variables.items():
        component = other.model.component(name)
        codes = index_of(bound.over(variable.over))
        assert len(codes) == arrays.columns[name].size == len(component)
        for index, column in zip(codes, arrays.columns[name].ravel(), strict=True):
            decision = component[index]
            number[id(decision)] = column
            assert same_bound(arrays.col_lower[column], decision.lb), decision.name
            assert same_bound(arrays.col_upper[column], decision.ub), decision.name
            assert arrays.integer[column] == decision.is_integer(), decision.name
    assert len(number) == arrays.matrix.shape[1]
    seen = 0
    for name, constraint in model.constraints.items():
        component = other.model.component(name)
        codes = index_of(bound.over(constraint.over))
        assert len(codes) == arrays.rows[name].size
        for index, row in zip(codes, arrays.rows[name].ravel(), strict=True):
            seen += 1
            ours = row_of(arrays.matrix, row)
            if len(index) and (index if len(index) > 1 else index[0]) not in component:  # Pyomo unpacks members of one axis
                assert not ours, (name, index)
                assert arrays.row_lower[row] <= 0 <= arrays.row_upper[row], (name, index)
                continue
            their = component[index]
            repn = generate_standard_repn(their.body)
            assert ours == coefficients(repn, number), their.name
            for mine, limit in ((arrays.row_lower[row], their.lower), (arrays.row_upper[row], their.upper)):
                assert same_bound(mine, None if limit is None else float(limit()) - float(repn.constant)) or np.isclose(
                    mine, float(limit()) - float(repn.constant), rtol=1e-15, atol=1e-12
                ), their.name
    assert seen == arrays.matrix.shape[0]
    assert set(arrays.money) == set(other.money)
    for name, cells in other.money.items():
        term = arrays.money[name]
        assert [(o, s) for o, s, _ in cells] == list(zip(term.owner.tolist(), term.step.tolist(), strict=True))
        for cell, (_, _, expression) in enumerate(cells):
            repn = generate_standard_repn(expression)
            assert row_of(term.matrix, cell) == coefficients(repn, number), (name, cell)
            assert np.isclose(term.constant[cell], float(repn.constant), rtol=1e-15, atol=0), (name, cell)
    objective = generate_standard_repn(other.model.profit.expr)
    costs = coefficients(objective, number)
    assert np.allclose(arrays.cost, [costs.get(c, 0.0) for c in range(len(arrays.cost))], rtol=1e-15, atol=0)
    assert np.isclose(arrays.offset, float(objective.constant), rtol=1e-12, atol=1e-9)
    return arrays


def row_of(matrix, row):
    start, end = matrix.indptr[row], matrix.indptr[row + 1]
    return dict(zip(matrix.indices[start:end].tolist(), matrix.data[start:end].tolist(), strict=True))


def coefficients(repn, number):
    found = {}
    for decision, value in zip(repn.linear_vars, repn.linear_coefs, strict=True):
        found[number[id(decision)]] = found.get(number[id(decision)], 0.0) + float(value)
    return {column: value for column, value in found.items() if value != 0}
