"""Every kind of corruption of a good plan is refused, in words that say which rule broke, where and when."""

import re
from functools import cache
from random import Random

import corruptions
import pytest
from worlds import START, world

from optimizer.audit import audit
from optimizer.fallback import rule_plan

SEEDS = range(120)
EACH = 6
WHOLE_PLAN = re.compile(r"^(plan|proof): ")
PLACED = re.compile(r"^\S+ step \d+ \(2026-11-2\dT\d\d:\d\d(:\d\d)?Z\): ")


@cache
def case(seed):
    problem = world(Random(seed), sites=1 + seed % 3, steps=2 + seed % 6)
    return corruptions.Case(problem, rule_plan(problem, START), Random(seed))


def test_there_are_more_than_thirty_kinds():
    assert len({name for name, _, _ in corruptions.CORRUPTIONS}) >= 50


@pytest.mark.parametrize(("name", "words", "spoil"), corruptions.CORRUPTIONS, ids=[c[0] for c in corruptions.CORRUPTIONS])
def test_refused_in_words(name, words, spoil):
    refused = 0
    for seed in SEEDS:
        here = case(seed)
        if (spoilt := spoil(here)) is None:
            continue
        report = audit(here.problem, spoilt)
        assert not report.passed, f"{name} of world {seed} was accepted"
        telling = [line for line in report.broken if re.search(words, line)]
        assert telling, f"{name} of world {seed}: no word of {words!r} in {report.broken}"
        owners = {s.name for s in here.problem.fleet.sites} | {w.name for w in here.problem.fleet.workloads} | {"atlantis"}
        for line in report.broken:
            assert PLACED.match(line) or WHOLE_PLAN.match(line) or re.split(r"[/: ]", line)[0] in owners | {here.problem.name}, (
                line
            )
        refused += 1
        if refused == EACH:
            return
    assert refused, f"no world to try {name} on"


def test_a_broken_limit_is_told_by_site_step_and_megawatts():
    here = next(c for c in map(case, SEEDS) if corruptions.all_blocks_in_the_highest_mode(c))
    report = audit(here.problem, corruptions.all_blocks_in_the_highest_mode(here))
    assert any(re.match(r"\S+ step \d+ \(2026-11-22T\d\d:\d\dZ\): draws [\d.]+ MW, limit [\d.]+ MW$", b) for b in report.broken)
