"""Feeders between meter and machines: every limit on the path holds, and what hangs on a dead feeder is dead."""

from datetime import timedelta

import numpy as np
import pytest
from by_hand import START, cohorts, group, pool, problem, site, solved, values

from models.cooling import Cooling
from models.feeder import Feeder
from models.problem import Problem
from models.state import GroupState
from optimizer.audit import audit
from optimizer.fallback import rule_plan, safe_plan
from optimizer.formulation import build
from optimizer.recovery import recover
from optimizer.solve import optimise
from service.documents import failsafe


def tree(limits, row_w=90_000, rows_w=170_000, **more) -> Problem:
    """Two rows of two blocks (30 or 50 kW each), each on a container, both on a transformer; at 60 USD/PH/day all hash."""
    rows = tuple(group(name=name, **more.pop(name, {})) for name in ("north", "south"))
    feeders = (
        Feeder(name="north-container", kind="container", limit_w=row_w, members=("north",)),
        Feeder(name="south-container", kind="container", limit_w=row_w, members=("south",)),
        Feeder(name="transformer", limit_w=rows_w, members=("north-container", "south-container")),
    )
    given = problem(site(asic_groups=rows, feeders=feeders), step_s=(3600,) * 3, hashprice=60.0, **more)
    return Problem.model_validate(given.model_dump() | {"feeder_limit_w": {"pecos": limits}})


def draws_kw(of: Problem):
    """Draw of each row by step, in the optimum, worked out from the blocks."""
    compiled = build(of)
    x = solved(compiled)
    blocks = values(compiled, x, "in_mode").reshape(2, 2, -1)
    return (blocks * np.array([30, 50])[None, :, None]).sum(axis=1).tolist()


def plans(of: Problem):
    result = optimise(of, gap=1e-6, budget_s=20, now=START)
    assert result.ending == "planned", result.why
    found = [rule_plan(of, START), safe_plan(of, START), result.plan]
    for plan in found:
        assert audit(of, plan).broken == ()
    return found


def test_the_lowest_limit_of_the_path_binds_step_by_step():
    of = tree({"north-container": (90_000, 30_000, 90_000), "transformer": (170_000, 170_000, 60_000)})
    north, south = draws_kw(of)
    assert north[:2] == [80, 30]
    assert south[:2] == [80, 80]
    assert north[2] + south[2] == 60
    plans(of)


def test_a_limit_series_never_lifts_the_feeder_above_its_own():
    assert draws_kw(tree({"north-container": (900_000,) * 3}))[0] == [80, 80, 80]


def test_sleep_hangs_on_the_feeder_too():
    """One block asleep draws 10 x 100 W: 50 kW and 1 kW just fit, a watt less does not."""
    sleeper = {"blocks": 2, "sleep_power_w": 100}
    assert draws_kw(tree({"north-container": (51_000, 50_999, 51_000)}, north=sleeper))[0] == [50, 30, 50]


def test_a_feeder_carries_the_cooling_of_its_machines():
    """At a PUE of 1.25 two blocks in eco draw 75 kW at the feeder; where a watt of that is missing, one runs."""
    cooled = {"cooling": Cooling(base_pue_milli=1250)}
    assert draws_kw(tree({"north-container": (75_000, 74_999, 75_000)}, north=cooled))[0] == [60, 30, 60]


def test_below_a_dead_feeder_nothing_sleeps_and_nothing_runs():
    sleeper = {"sleep_power_w": 100}
    of = tree({"transformer": (170_000, 1_999, 170_000)}, north=sleeper)
    for plan in plans(of):
        made = plan.sites["pecos"]
        assert made.draw_w[1] == 0
        assert all(counts[1] == 0 for row in made.groups.values() for counts in row.mode_blocks.values())


def test_young_blocks_on_a_feeder_that_carries_less_stop_before_their_minimum_run_and_no_others():
    young = GroupState(mode_blocks={"eco": 2}, started=cohorts((2, 60)))
    of = tree(
        {"north-container": (30_000, 90_000, 90_000)}, north={"min_up_s": 7200}, south={"min_up_s": 7200},
        groups={"north": young, "south": young}, draw_w=120_000,
    )  # fmt: skip
    records = recover(of).records
    assert [(r.rule, r.step, r.shortfall, r.unit) for r in records] == [("min_up", 0, 1, "blocks")]
    assert records[0].words.startswith("north: ")
    assert "feeder north-container" in records[0].words
    plans(of)


def test_inference_takes_its_part_of_a_feeder():
    """25 kW carry two nodes of 8 to 10 kW and leave no room for a block of 30 kW."""
    feeder = Feeder(name="container", kind="container", limit_w=25_000, members=("nodes", "row"))
    of = problem(site(asic_groups=(group(),), gpu_pools=(pool(),), feeders=(feeder,)))
    compiled = build(of)
    assert solved(compiled, nodes_on=[[2, 2]]) is not None
    assert solved(compiled, nodes_on=[[4, 2]]) is None
    assert solved(compiled, on=[[0, 1]]) is None


@pytest.mark.parametrize(
    ("feeders", "words"),
    [
        ((Feeder(name="a", limit_w=1, members=("gone",)),), r"feeder a feeds \['gone'\]"),
        ((Feeder(name="a", limit_w=1, members=("b",)), Feeder(name="b", limit_w=1, members=("row",))), r"feeder a feeds \['b'\]"),
        ((Feeder(name="row", limit_w=1, members=("row",)),), "feeder row has the name of a machine"),
        ((Feeder(name="a", limit_w=1, members=("row",)), Feeder(name="b", limit_w=1, members=("row",))), r"more for \['row'\]"),
    ],
)
def test_what_is_no_tree_is_refused(feeders, words):
    with pytest.raises(ValueError, match=words):
        site(asic_groups=(group(),), feeders=feeders)


def test_a_limit_for_an_unknown_feeder_is_refused():
    with pytest.raises(ValueError, match=r"feeder_limit_w.pecos: unknown \['elsewhere'\]"):
        tree({"elsewhere": (1, 1, 1)})


def test_the_failsafe_of_a_controller_keeps_every_feeder_in_the_worst_heat():
    """90 kW carry two blocks of 30 kW each; 70 kW on the transformer carry two of the four."""
    of = tree({}, rows_w=70_000).fleet.sites[0]
    safe = of.model_copy(update={"safe": of.safe.model_copy(update={"mining_share": 1.0})})
    assert failsafe(safe, 1_000_000, timedelta(hours=2)).mode_blocks == {"north": {"eco": 2}, "south": {}}
