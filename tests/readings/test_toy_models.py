"""The declaration layer on toy models: both readings agree, and mistakes in rules and data are refused."""

import numpy as np
import pytest
from comparison import assert_equal_readings

from optimizer.compile import compile_model
from optimizer.data import DataError, Groups
from optimizer.declare import Model


def toy():
    model = Model()
    model.axis("SITES")
    model.axis("STEPS")
    model.axis("UNITS")
    model.axis("MODES")
    model.sparse("UNIT_MODES", "UNITS", "MODES")
    model.ragged("units_at", by=["SITES"], of=["UNITS"])
    model.ragged("modes_of", by=["UNITS"], of=["MODES"])
    model.ragged("recent", by=["UNITS", "STEPS"], of=["STEPS"])
    model.parameter("power", "UNIT_MODES")
    model.parameter("pue", "SITES", "STEPS")
    model.parameter("limit", "SITES", "STEPS")
    model.parameter("count", "UNITS")
    model.parameter("on_before", "UNITS")
    model.parameter("price", "SITES", "STEPS")
    model.parameter("sunk", "SITES")

    def units(m, u, *_):
        return 0, m.count[u]

    model.variable("draw", "SITES", "STEPS", bounds=lambda m, s, t: (0, m.limit[s, t]))
    model.variable("in_mode", "UNIT_MODES", "STEPS", integer=True, bounds=units)
    model.variable("on", "UNITS", "STEPS", bounds=units)
    model.variable("start", "UNITS", "STEPS")
    model.variable("slack", bounds=lambda m: (-1, float("inf")))

    @model.constraint("UNITS", "STEPS")
    def adds_up(m, u, t):
        return sum(m.in_mode[u, k, t] for k in m.modes_of[u]) == m.on[u, t]

    @model.constraint("UNITS", "STEPS")
    def starts(m, u, t):
        return m.on[u, t] - m.previous(m.on, m.on_before, u, t) <= m.start[u, t]

    @model.constraint("UNITS", "STEPS")
    def stays(m, u, t):
        return sum(m.start[u, h] for h in m.recent[u, t]) <= m.on[u, t]

    @model.constraint("SITES", "STEPS")
    def balance(m, s, t):
        machines = sum(
            sum(m.power[u, k] * m.in_mode[u, k, t] for k in m.modes_of[u]) - 0.25 * m.on[u, t] + 0.5 * m.count[u]
            for u in m.units_at[s]
        )
        return m.draw[s, t] == m.pue[s, t] * machines + 3

    @model.constraint("SITES", "STEPS")
    def between(m, s, t):
        return -m.sunk[s], m.draw[s, t] + m.slack[()], 7

    @model.constraint()
    def alone(m):
        return m.slack[()] >= -0.5

    model.earns("energy", ("SITES", "STEPS"), lambda m, s, t: -m.price[s, t] * m.draw[s, t])
    model.earns("sunk", ("SITES", "STEPS"), lambda m, s, t: m.sunk[s])
    model.earns("energy", ("SITES", "STEPS"), lambda m, s, t: m.sunk[s] * m.slack[()] - 1)
    return model


def toy_data(rng, sites=3, units=4, steps=3):
    modes = rng.integers(1, 4, units)
    at = np.sort(rng.integers(0, sites, units))
    recent = [(u, t, h) for u in range(units) for t in range(steps) for h in range(max(0, t - int(modes[u]) + 1), t + 1)]
    back = np.array([h for *_, h in recent], int)
    return {
        "SITES": tuple(f"s{i}" for i in range(sites)),
        "STEPS": tuple(f"t{i}" for i in range(steps)),
        "UNITS": tuple(f"u{i}" for i in range(units)),
        "MODES": ("low", "mid", "high"),
        "UNIT_MODES": np.array([(u, k) for u in range(units) for k in range(modes[u])], int).reshape(-1, 2),
        "units_at": Groups.of(sites, at, np.arange(units)),
        "modes_of": Groups(modes, np.array([k for u in range(units) for k in range(modes[u])], int)),
        "recent": Groups.of(units * steps, np.array([u * steps + t for u, t, _ in recent], int), back),
        "power": rng.random(int(modes.sum())),
        "pue": 1 + rng.random((sites, steps)),
        "limit": rng.random((sites, steps)),
        "count": rng.integers(1, 9, units),
        "on_before": rng.integers(0, 5, units),
        "price": rng.normal(size=(sites, steps)),
        "sunk": rng.random(sites),
    }


@pytest.mark.parametrize("seed", range(12))
def test_both_readings_are_equal(seed):
    rng = np.random.default_rng(seed)
    assert_equal_readings(toy(), toy_data(rng, sites=1 + seed % 4, units=seed % 5, steps=1 + seed % 3))


def test_labels_name_columns_and_rows():
    arrays = compile_model(toy(), toy_data(np.random.default_rng(0)))
    labels = [arrays.column_label(j) for j in range(arrays.matrix.shape[1])]
    assert len(set(labels)) == len(labels)
    assert arrays.column_label(int(arrays.columns["draw"][2, 1])) == "draw[s2,t1]"
    assert arrays.column_label(int(arrays.columns["in_mode"][0, 2])) == "in_mode[u0 low,t2]"
    assert arrays.row_label(int(arrays.rows["balance"][1, 0])) == "balance[s1,t0]"
    assert arrays.row_label(int(arrays.rows["alone"][()])) == "alone"
    with pytest.raises(IndexError):
        arrays.row_label(arrays.matrix.shape[0])


def with_rule(rule):
    model = toy()
    model.constraint("UNITS", "STEPS")(rule)
    return model


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda m, u, t: m.on[u, t] <= (1 if m.count[u] else 2), "branch on a value"),
        (lambda m, u, t: m.on[u, t] <= (1 if m.count[u] == 3 else 2), "branch on a value"),
        (lambda m, u, t: m.on[u, t] <= (1 if m.count[u] < 3 else 2), "branch on a value"),
        (lambda m, u, t: m.on[u, t] * m.start[u, t] <= 1, "linear"),
        (lambda m, u, t: 0 <= m.on[u, t] <= 1, "branch on"),
        (lambda m, u, t: m.on[u, t] <= u, "operand"),
    ],
)
def test_rules_that_could_differ_between_the_readings_are_refused(rule, said):
    with pytest.raises(TypeError, match=said):
        compile_model(with_rule(rule), toy_data(np.random.default_rng(0)))


def test_an_index_outside_its_sum_is_refused():
    def leaks(m, u, t):
        inner = list(m.modes_of[u])
        return -m.power[u, inner[0]], m.on[u, t], 1

    with pytest.raises(ValueError, match="must not come out of a sum"):
        compile_model(with_rule(leaks), toy_data(np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": [1, 2]}, "count: expected shape"),
        ({"price": np.full((3, 3), np.nan)}, "price: values must be finite"),
        ({"UNIT_MODES": [(0, 0), (0, 0)]}, "in order and each once"),
        ({"UNIT_MODES": [(0, 9)]}, "outside MODES"),
        ({"units_at": Groups(np.array([1, 0, 0]), np.array([0, 1]))}, "units_at: 3 groups"),
    ],
)
def test_data_that_do_not_fit_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        compile_model(toy(), {**toy_data(np.random.default_rng(0)), **change})


def test_missing_data_are_named():
    data = toy_data(np.random.default_rng(0))
    del data["price"]
    with pytest.raises(DataError, match=r"no data for \['price'\]"):
        compile_model(toy(), data)


def test_declarations_that_do_not_fit_are_refused():
    model = toy()
    with pytest.raises(ValueError, match="declared twice"):
        model.axis("SITES")
    with pytest.raises(ValueError, match="set NOWHERE is not declared"):
        model.variable("x", "NOWHERE")
    with pytest.raises(ValueError, match="ragged"):
        model.parameter("y", "modes_of")
    with pytest.raises(ValueError, match="by owner and step"):
        model.earns("z", ("STEPS", "SITES"), lambda m, t, s: 0)
