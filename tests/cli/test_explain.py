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


def test_what_time_did_not_suffice_for_is_named_with_the_option_that_gives_more(wattsplit, planned):
    where = ("--site", planned, "--step", "1", "--budget")
    hurried = wattsplit("plan", "explain", "problem.json", "plan.json", *where, "0.001")
    assert hurried.code == 0, hurried.err
    assert "time did not suffice for: the best schedule of the site, one more MW, the next block" in " ".join(hurried.out.split())
    assert "--budget 0.002" in hurried.err
    whole = wattsplit("plan", "explain", "problem.json", "plan.json", *where, "PT30S")
    assert "did not suffice" not in whole.out
    assert "--budget" not in whole.err
    assert wattsplit("plan", "explain", "latest", *where, "PT30S").code == 2
