"""A set of back-tests: policies of several periods side by side come to what each comes to alone."""

from datetime import timedelta

import pytest

from scenarios.backtest.histories import HISTORIES, spec_of
from scenarios.backtest.published import run_set, table
from scenarios.backtest.run import run

FEW = ("break_even", "perfect_foresight")


@pytest.fixture(scope="module")
def specs():
    later = {"start": HISTORIES["storm"].start + timedelta(hours=31)}
    common = {"steps": 4, "window_steps": 4, "sites": 1, "policies": FEW}
    first = spec_of("storm", **common)
    return [first, spec_of("storm", **common, **later).model_copy(update={"name": "storm-ends"})]


def test_a_set_comes_to_what_each_of_it_comes_to_alone(specs, tmp_path):
    told = []
    reports = run_set(specs, folder=tmp_path, workers=2, tell=told.append)
    assert [one.digest for one in reports] == [run(spec).digest for spec in specs]
    again = run_set(specs, folder=tmp_path, workers=2)
    assert [one.cpu_s for one in again] == [one.cpu_s for one in reports], "nothing was done twice"
    assert table(reports).count("\n") == 3
    assert "storm-ends, 0 days" in table(reports)


def test_two_back_tests_of_one_name_are_refused(specs, tmp_path):
    with pytest.raises(ValueError, match="different names"):
        run_set([specs[0], specs[0]], folder=tmp_path)
