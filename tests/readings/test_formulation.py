"""The formulation read twice is one model; its parts are the fleet; a plan's money is the objective."""

import time
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from comparison import assert_equal_readings
from scipy.optimize import Bounds, LinearConstraint, milp
from worlds import world as random_world

from models.plan import GroupPlan, PoolPlan, ReservePlan, SitePlan
from optimizer.compile import compile_model
from optimizer.formulation import build, data_of, formulate
from optimizer.pyomo_reading import read
from optimizer.recovery import recover
from optimizer.reserves import reserve_blocks
from optimizer.sets import Release, world
from optimizer.valuation import PlacementError, broken, money_lines, place_sites
from scenarios.feed import reference_problem


def problem_of(seed):
    return random_world(Random(seed), sites=1 + seed % 3, steps=1 + seed % 5)


def without(problem, *, pools=False, groups=False, workloads=False):
    """The same problem without some kinds of machines or demand."""
    drop: dict = {"feeders": ()} | ({"gpu_pools": ()} if pools else {})
    drop |= {"asic_groups": ()} if groups else {}
    sites = tuple(site.model_copy(update=drop) for site in problem.fleet.sites)
    if workloads or pools:
        problem = problem.model_copy(update={"demand_work_per_h": {} if workloads else problem.demand_work_per_h})
    fleet = problem.fleet.model_copy(update={"sites": sites, **({"workloads": ()} if workloads else {})})
    return type(problem).model_construct(**{**dict(problem), "fleet": type(fleet).model_construct(**dict(fleet))})


@pytest.mark.parametrize("seed", range(60))
def test_both_readings_of_random_worlds_are_equal(seed):
    problem = problem_of(seed)
    release = recover(problem).release if seed % 2 else Release()
    for part in ("fleet", "sites", "workloads", "coupling") if seed < 12 else ("fleet",):
        model = formulate(part)
        assert_equal_readings(model, data_of(model, world(problem, release=release)))


@pytest.mark.parametrize("missing", [["pools"], ["groups"], ["workloads"], ["pools", "groups", "workloads"]])
def test_both_readings_are_equal_where_families_are_empty(missing):
    for seed in (3, 8):
        model = formulate()
        bare = without(problem_of(seed), **dict.fromkeys(missing, True))
        arrays = assert_equal_readings(model, data_of(model, world(bare)))
        assert arrays.columns["draw"].size


def by_label(compiled):
    """Columns, rows and money of a model, known by their labels."""
    names = [compiled.column_label(j) for j in range(compiled.matrix.shape[1])]
    bounds = zip(compiled.col_lower.tolist(), compiled.col_upper.tolist(), compiled.integer.tolist(), strict=True)
    columns = dict(zip(names, bounds, strict=True))
    rows = {}
    for i in range(compiled.matrix.shape[0]):
        entries = compiled.matrix[i].tocoo()
        row = {names[j]: v for j, v in zip(entries.coords[1].tolist(), entries.data.tolist(), strict=True)}
        rows[compiled.row_label(i)] = (compiled.row_lower[i], compiled.row_upper[i], row)
    money = {}
    for term, cells in compiled.money.items():
        for cell in range(len(cells.owner)):
            key = (term, compiled.axes[cells.owners][cells.owner[cell]], compiled.axes["STEPS"][cells.step[cell]])
            entries = cells.matrix[cell].tocoo()
            value = {names[j]: v for j, v in zip(entries.coords[1].tolist(), entries.data.tolist(), strict=True)}
            money[key] = (float(cells.constant[cell]), value)
    return columns, rows, money


@pytest.mark.parametrize("seed", range(15))
def test_sites_and_workloads_and_coupling_are_the_fleet_each_once(seed):
    problem = problem_of(seed)
    fleet = by_label(build(problem))
    sites = [by_label(build(problem, "sites", sites=[site.name])) for site in problem.fleet.sites]
    workloads, coupling = by_label(build(problem, "workloads")), by_label(build(problem, "coupling"))
    shared = ("supplied[", "routed[")  # the columns that the coupling joins stand on both of its sides
    joined = [{}, {}, {}]
    for part in [*sites, workloads, coupling]:
        for kind, (whole, some) in enumerate(zip(joined, part, strict=True)):
            twice = set(whole) & set(some)
            assert all(kind == 0 and label.startswith(shared) for label in twice), twice
            assert all(whole[label] == some[label] for label in twice)
            whole.update(some)
    assert joined == list(fleet)
    assert set(coupling[0]) == {label for label in fleet[0] if label.startswith(shared)}
    assert not coupling[2]


def test_all_sites_at_once_are_the_sites_one_by_one():
    problem = problem_of(5)
    joined = [{}, {}, {}]
    for site in problem.fleet.sites:
        for whole, some in zip(joined, by_label(build(problem, "sites", sites=[site.name])), strict=True):
            whole.update(some)
    assert joined == list(by_label(build(problem, "sites")))


def test_an_unknown_site_is_refused():
    with pytest.raises(KeyError, match="atlantis"):
        build(problem_of(0), "sites", sites=["atlantis"])


def best(compiled):
    rows = LinearConstraint(compiled.matrix, compiled.row_lower, compiled.row_upper)
    bounds = Bounds(compiled.col_lower, compiled.col_upper)
    return milp(-compiled.cost, integrality=compiled.integer.astype(int), bounds=bounds, constraints=[rows])


def decisions(problem, compiled, x):
    """What a solution says of each site, with hub flows dealt to pools in proportion to the work that they do."""
    here = world(problem)
    counted = [*rows_of(compiled, "in_mode"), *rows_of(compiled, "nodes_on")]
    counts = {label: tuple(np.rint(x[numbers]).astype(int).tolist()) for label, numbers in counted}
    warm = {label: tuple(np.rint(x[numbers]).astype(int).tolist()) for label, numbers in rows_of(compiled, "nodes_warm")}
    work = dict(rows_of(compiled, "node_work"))
    flows = dict(rows_of(compiled, "routed"))
    sites = {}
    for site in problem.fleet.sites:
        groups = {g.name: {m.name: counts[f"{site.name}/{g.name} {m.name}"] for m in g.modes} for g in site.asic_groups}
        labels = {p.name: f"{site.name}/{p.name}" for p in site.gpu_pools}
        pools = {p: PoolPlan(nodes_on=counts[at], nodes_warm=warm.get(at), work_per_h={}) for p, at in labels.items()}
        zero = (0,) * problem.grid.steps
        made = {name: GroupPlan(mode_blocks=modes) for name, modes in groups.items()}
        sites[site.name] = SitePlan(
            groups=made, pools=pools, draw_w=zero, hashing_w=zero, inference_w=zero, limit_w=zero,
            reserves=sold(here, compiled, x, site),
        )  # fmt: skip
    for hub in here.hubs:
        done = np.array([x[work[f"{site}/{pool}"]] for site, pool in hub.pools])
        share = done / np.maximum(done.sum(axis=0), 1e-12)
        for n in hub.work_per_node_h:
            name = problem.fleet.workloads[n].name
            for (site, pool), part in zip(hub.pools, share, strict=True):
                per_h = np.rint(1e6 * x[flows[f"{name} {hub.label}"]] * part).astype(int)
                sites[site].pools[pool].work_per_h[name] = tuple(per_h.tolist())
    return sites


def sold(here, compiled, x, site):
    """What a solution sells of the reserves of a site, and does not keep of its awards."""
    kw, unkept = dict(rows_of(compiled, "reserve")), dict(rows_of(compiled, "unkept"))
    found = []
    for block in reserve_blocks(here, here.sites.index(site)):
        short = [x[unkept.get(f"{block.label} {step}", [])].sum() for step in compiled.axes["STEPS"]]
        found.append(
            ReservePlan(
                reserve=block.reserve.name,
                start=block.begins,
                end=block.ends,
                kw=round(x[kw[block.label]]),
                is_award=block.award_kw is not None,
                unkept_w=tuple(int(np.ceil(max(0, 1000 * value - 1e-6))) for value in short),
            )
        )
    return tuple(found)


def rows_of(compiled, name):
    return zip(compiled.column_families[name].labels[0], compiled.columns[name], strict=True)


@pytest.mark.parametrize("seed", range(40))
def test_a_placed_plan_keeps_every_row_and_its_money_is_the_objective(seed):
    problem = problem_of(seed)
    compiled = build(problem, release=recover(problem).release)
    found = best(compiled)
    if found.x is None:
        pytest.skip("no optimum from the solver inside scipy")
    sites = decisions(problem, compiled, found.x)
    x = place_sites(problem, compiled, sites)
    assert broken(compiled, x, 1e-5) == []
    assert compiled.objective(x) == pytest.approx(compiled.offset - found.fun, rel=1e-6, abs=1e-3)
    lines = money_lines(compiled, x)
    assert sum(sum(line.usd) for line in lines) == pytest.approx(compiled.objective(x), rel=1e-12, abs=1e-9)
    assert len({(line.term, line.owner) for line in lines}) == len(lines)


def resting(problem):
    """A plan in which every machine is off."""
    zero = (0,) * problem.grid.steps
    return {
        site.name: SitePlan(
            groups={g.name: GroupPlan(mode_blocks={m.name: zero for m in g.modes}) for g in site.asic_groups},
            pools={p.name: PoolPlan(nodes_on=zero, nodes_warm=zero if p.warm_w is not None else None) for p in site.gpu_pools},
            draw_w=zero,
            hashing_w=zero,
            inference_w=zero,
            limit_w=zero,
        )
        for site in problem.fleet.sites
    }


def test_a_broken_plan_is_shown_row_by_row():
    problem = next(p for p in map(problem_of, range(200)) if any(g.blocks > 1 for g in p.fleet.sites[0].asic_groups))
    compiled = build(problem)
    x = place_sites(problem, compiled, resting(problem))
    held = {"min_up", "node_min_up", "node_capacity", "ramp", "paid_hash"}
    assert {r.label.split("[")[0] for r in broken(compiled, x)} <= held
    x[compiled.columns["in_mode"][0, 0]] += 0.5
    labels = [r.label for r in broken(compiled, x)]
    assert compiled.row_label(int(compiled.rows["modes_add_up"][0, 0])) in labels
    assert compiled.column_label(int(compiled.columns["in_mode"][0, 0])) in labels


def test_plans_of_other_machines_are_refused():
    problem = next(p for p in map(problem_of, range(200)) if p.fleet.sites[0].asic_groups and p.fleet.sites[0].gpu_pools)
    compiled, zero = build(problem), (0,) * problem.grid.steps
    site, off = problem.fleet.sites[0], resting(problem)

    def changed(**update):
        return off | {site.name: off[site.name].model_copy(update=update)}

    stranger = GroupPlan(mode_blocks={"eco": zero})
    with pytest.raises(PlacementError, match=f"{site.name}/nobody eco"):
        place_sites(problem, compiled, changed(groups=off[site.name].groups | {"nobody": stranger}))
    with pytest.raises(PlacementError, match="says nothing of"):
        place_sites(problem, compiled, changed(groups={}))
    with pytest.raises(PlacementError, match="says nothing of"):
        place_sites(problem, compiled, {})
    verses = {"work_per_h": {"poetry": (1, *zero[1:])}}
    poets = {name: made.model_copy(update=verses) for name, made in off[site.name].pools.items()}
    with pytest.raises(PlacementError, match="cannot do the work poetry"):
        place_sites(problem, compiled, changed(pools=poets))


def test_the_same_problem_compiles_to_the_same_arrays():
    one, other = build(problem_of(4)), compile_model(formulate(), data_of(formulate(), world(problem_of(4))))
    for mine, its in ((one.column_families, other.column_families), (one.row_families, other.row_families)):
        assert {name: vars(family) for name, family in mine.items()} == {name: vars(family) for name, family in its.items()}
    assert (one.matrix != other.matrix).nnz == 0
    assert np.array_equal(one.cost, other.cost)


def test_the_reference_fleet_compiles_in_a_blink():
    """45 sites x 48 hours: 0.02 s of CPU when written; the bound leaves room for slow machines, not for a slow method."""
    problem = reference_problem(datetime(2026, 1, 5, 12, tzinfo=UTC))
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        compiled = build(problem)
        seconds.append(time.process_time() - begun)
    assert compiled.columns["draw"].shape == (45, 48)
    assert min(seconds) < 0.2


def test_the_row_by_row_reading_writes_a_file_for_a_second_opinion(tmp_path):
    model, of = formulate(), problem_of(4)
    built = read(model, data_of(model, world(of)))
    built.model.write(str(tmp_path / "fleet.mps"), io_options={"symbolic_solver_labels": True})
    text = (tmp_path / "fleet.mps").read_text()
    assert "draw_balance" in text
    assert text.rstrip().endswith("ENDATA")
