"""The engine's benchmark: its lines measure what they say, its verdicts read the figures rightly, and absent peers are named."""

import json
import math
import subprocess
import sys
from argparse import Namespace

import pytest

from benchmarks.engine import LINE, NO_PEERS, ROOT, measured, peers_python
from benchmarks.lines import ALL, BESIDE, DEMANDS, GAPS, PEERS, Demand, at, growth, hardest, rounds_of, row_of
from benchmarks.measures import MEASURES
from benchmarks.table import BEGIN, END, page, picture, told, verdicts, with_figures

SAME_MODEL = """
from benchmarks.measuring import arrays_of, compiled_of, problem_of
from benchmarks.peer_linopy import built, handed_over
from optimizer.formulation import data_of, formulate
from optimizer.highs_models import loaded
from optimizer.recovery import recover
from optimizer.sets import world
problem, compiled, model = problem_of("4x6", 1), compiled_of("4x6", 1), formulate()
ours = loaded({"options": {}, "offset": 0.0}, arrays_of(compiled))
theirs = handed_over(built(model, data_of(model, world(problem, release=recover(problem).release))))
theirs.setOptionValue("output_flag", False)
for highs in (ours, theirs):
    highs.setOptionValue("solve_relaxation", True)
    highs.run()
a, b = (highs.getInfo().objective_function_value for highs in (ours, theirs))
whole = [sum(kind.name == "kInteger" for kind in highs.getLp().integrality_) for highs in (ours, theirs)]
assert whole[0] == whole[1] > 0
assert theirs.getNumCol() == ours.getNumCol()
assert abs(a - b) <= 1e-9 * abs(a), (a, b)
"""


def plan(cpu_s: float, **more) -> dict:
    return {"cpu_s": cpu_s, "wall_s": cpu_s, "gap": 5e-4, "memory_gib": 0.2, "engine_cpu_s": cpu_s / 2, **more}


def rows() -> dict:
    figures = {"45x24": (5e-4, 4.0), "45x24@1e-3": (1e-3, 2.0), "200x24": (1e-3, 10.0), "1000x24": (1e-3, 50.0)}
    figures |= {f"45x24-{kind}": (1e-3, cpu_s) for kind, cpu_s in (("flat", 1.0), ("identical", 3.0), ("tight", 9.0))}
    rounds = {line: [{"plan": plan(cpu_s), "simplex": {"cpu_s": 2.0, "wall_s": 2.0}}] for line, (_, cpu_s) in figures.items()}
    rounds["200x24"][0]["two workers"] = plan(10.5, wall_s=6.0)
    return {line: row_of(line, figures[line][0], rounds[line]) for line in figures}


def test_a_line_is_measured_in_a_process_of_its_own(root):
    words = [sys.executable, "benchmarks/engine.py", "--only", "4x6@2e-3", "--json"]
    record = json.loads(subprocess.check_output(words, cwd=root, text=True, stderr=subprocess.DEVNULL))
    (row,) = record["rows"]
    assert row["line"] == "4x6@2e-3"
    assert row["gap_asked"] == 2e-3
    assert 0 <= row["plan"]["gap"] <= 2e-3
    assert 0 < row["plan"]["engine_cpu_s"] < row["plan"]["cpu_s"]
    assert row["plan"]["objective_usd"] <= row["plan"]["bound_usd"]
    assert "highspy" in record["machine"]


def test_every_line_measures_only_what_there_is_and_long_ones_once():
    assert set(BESIDE) | set(PEERS) | set(GAPS) <= set(ALL)
    for line in ALL:
        rounds = rounds_of(line, 3, peers=True)
        assert all(what in MEASURES for what in rounds[0])
        assert len(rounds) in (1, 3)
        assert all(set(later) <= set(rounds[0]) and later[0] == "plan" for later in rounds[1:])
    assert "mip" not in rounds_of("45x24", 3, peers=True)[1]


def test_figures_are_medians_and_ratios_are_within_a_round():
    rounds = [{"plan": plan(p), "simplex": {"cpu_s": s}} for p, s in ((1.0, 1.0), (9.0, 3.0), (4.0, 8.0))]
    row = row_of("45x24", 5e-4, rounds)
    assert (row["plan"]["cpu_s"], row["simplex"]["cpu_s"], row["plan_by"]["simplex"]) == (4.0, 3.0, 1.0)


def test_verdicts_say_goal_met_missed_or_not_measured():
    found = rows()
    assert growth(found) == pytest.approx(math.log(25) / math.log(1000 / 45))
    assert hardest(found) == 4.5
    assert found["200x24"]["wall_by_two_workers"] == pytest.approx(10 / 6)
    assert found["200x24"]["serial_share"] == pytest.approx(0.2)
    stands = {what: verdict for what, *_, verdict in verdicts(found)}
    assert len(stands) == len(DEMANDS)
    assert stands["45x24 plan at 5e-4 ÷ simplex relaxation, CPU"] == "missed"
    assert stands["1000x24 plan to 1e-3, CPU"] == "met"
    assert stands["1000x24 peak memory of all processes"] == "goal"
    assert stands["200x24 wall with 1 worker ÷ 2"] == "met"
    assert stands["build and hand-over ÷ linopy's, 45x24"] == "not measured"
    assert Demand("", 2, 3, at("45x24", "plan", "cpu_s"), larger=True).verdict(found)[1] == "goal"


def test_the_page_and_the_picture_hold_every_line():
    found = rows()
    found["45x24"]["linopy"] = {"failed": NO_PEERS, "cpu_s": None}
    written = page({"rows": list(found.values()), "machine": "a machine", "at": "2026-11-22T09:00:00+00:00"})
    assert all(f"| {line} " in written for line in found)
    assert NO_PEERS in written
    assert picture(list(found.values())).count("<circle") == 8
    failed = row_of("45x24", 5e-4, [{"plan": {"failed": "more than 900 s", "cpu_s": None}}])
    assert "more than 900 s" in told(failed)
    assert "more than 900 s" in page({"rows": [failed], "machine": "", "at": ""})


def test_a_peer_that_was_stopped_stands_with_a_ratio_of_at_most():
    stopped = {"cpu_s": 40.0, "status": "time_limit, no plan"}
    ended, far = {"cpu_s": 40.0, "gap": 4e-4}, {"cpu_s": 40.0, "gap": None}
    row = row_of("45x24", 5e-4, [{"plan": plan(4.0), "pypsa blocks": stopped, "mip": ended, "scip": far}])
    words = told(row)
    assert "pypsa blocks 40.00 s time_limit, no plan (plan ÷ it ≤ 0.1)" in words
    assert "mip 40.00 s gap 4.0e-04 (plan ÷ it 0.1)" in words
    assert "scip 40.00 s no plan (plan ÷ it ≤ 0.1)" in words


def test_a_whole_run_writes_its_figures_between_two_marks_of_the_readme(root):
    readme, record = (root / "README.md").read_text(), {"rows": list(rows().values()), "machine": "a machine", "at": "2026-11-22"}
    written = with_figures(readme, record)
    assert "| 1000x24 plan to 1e-3, CPU " in written
    assert "a machine; 2026-11-22" in written
    assert with_figures(written, record) == written
    before, _, after = readme.partition(BEGIN)
    assert written.startswith(before)
    assert written.endswith(after.partition(END)[2])
    with pytest.raises(ValueError, match=r"README\.md: expected"):
        with_figures("a page without marks", record)


def test_absent_peers_are_named_with_how_to_install_them():
    if peers_python() is not None:
        pytest.skip("the peers are here")
    assert measured("linopy", "4x6", Namespace(seed=1, gap=None, instance=None)) == {"failed": NO_PEERS, "cpu_s": None}


def test_linopy_reads_the_same_model(root):
    if (python := peers_python()) is None:
        pytest.skip("no Python with the extra `peers`")
    subprocess.run([python, "-c", SAME_MODEL], cwd=root, check=True, capture_output=True)


def test_every_line_of_the_table_can_be_asked_for_and_a_word_that_is_no_fleet_is_refused():
    assert [line for line in ALL if not LINE.fullmatch(line)] == []
    words = [sys.executable, "benchmarks/engine.py", "--only", "45x24,re-plan"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert done.returncode == 2
    assert "expected fleets such as 45x24" in done.stderr
    assert "got 're-plan'" in done.stderr
