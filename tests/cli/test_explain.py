"""`wattsplit plan explain`: the same figures in words and as JSON, refused where there is nothing to explain."""

from random import Random

import pytest
from worlds import world

from models.explanation import Explanation


@pytest.fixture
def planned(wattsplit, tmp_path):
    problem = world(Random(4), sites=2, steps=4)
    (tmp_path / "problem.json").write_text(problem.model_dump_json())
    assert wattsplit("plan", "run", "problem.json", "--gap", "0", "--budget", "PT30S", "--out", "plan.json").code == 0
    return problem.fleet.sites[0].name


def test_a_step_is_explained_in_words_and_as_json(wattsplit, planned):
    where = ("problem.json", "plan.json", "--site", planned, "--step", "1")
    shown = wattsplit("plan", "explain", *where)
    assert shown.code == 0, shown.err
    told = Explanation.model_validate(wattsplit("plan", "explain", *where, "--json").json, strict=False)
    assert " ".join(told.reason.split()) in " ".join(shown.out.split())
    assert "One more MW here" in shown.out
    assert "Other uses of this step, forced" in shown.out


def test_what_is_not_there_is_refused(wattsplit, planned):
    assert wattsplit("plan", "explain", "problem.json", "plan.json", "--site", "atlantis", "--step", "1").code == 3
    assert wattsplit("plan", "explain", "problem.json", "plan.json", "--site", planned, "--step", "4").code == 3
    assert wattsplit("plan", "explain", "plan.json", "--site", planned, "--step", "1").code == 2
