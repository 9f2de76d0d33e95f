"""The reference fleet is the one that was asked for, its figures have sources, and its machines have choices to make."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from models.asic import AsicGroup
from models.base import Record
from models.contract import FixedPrice, ForeignPrice, IndexPrice
from models.market import break_even_usd_per_mwh
from models.problem import Problem
from models.site import Site
from scenarios.feed import reference_problem
from scenarios.reference import HOURS_OF_WEEK, reference_feed, reference_fleet, week_table

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
SITES = reference_fleet().sites
GROUPS = [group for site in SITES for group in site.asic_groups]

NAMEPLATE = {  # TH/s and W that makers and public lists give
    "Bitmain Antminer S19j Pro": (104, 3068),
    "Bitmain Antminer S19k Pro": (120, 2760),
    "Bitmain Antminer S19 XP": (140, 3010),
    "Bitmain Antminer S19 XP Hyd": (257, 5418),
    "Bitmain Antminer T21": (190, 3610),
    "MicroBT Whatsminer M60S": (186, 3441),
    "Bitmain Antminer S21": (200, 3500),
    "Bitmain Antminer S21 Pro": (236, 3520),  # its firmware's preset next to the 234 TH/s and 3510 W of the data sheet
    "Bitmain Antminer S21 XP": (270, 3645),
    "Bitmain Antminer S21 XP Hyd": (473, 5676),
}


def test_it_has_45_sites_in_the_countries_and_markets_that_were_asked_for():
    assert len(SITES) == 45
    assert {site.country for site in SITES} == {"US", "OM", "ET", "PY"}
    abroad = [site for site in SITES if site.country != "US"]
    assert all(isinstance(site.contract, FixedPrice | ForeignPrice) for site in abroad)
    indexes = {site.contract.index for site in SITES if isinstance(site.contract, IndexPrice)}
    assert {index.split("_")[0] for index in indexes} == {"ERCOT", "PJM", "NYISO"}


def test_it_makes_about_50_exahash_with_about_1_1_gigawatts():
    exahash = sum(g.blocks * g.block_hash_ph_per_s(_normal(g)) for g in GROUPS) / 1e3
    draw_mw = sum(_normal_draw_w(site) for site in SITES) / 1e6
    connections_mw = sum(site.connection_limit_w for site in SITES) / 1e6
    assert exahash == pytest.approx(50, rel=0.03)
    assert draw_mw == pytest.approx(1_100, rel=0.03)
    assert connections_mw == pytest.approx(1_100, rel=0.03)


def test_14_sites_have_containers_of_h100_or_b200_nodes():
    pools = [pool for site in SITES for pool in site.gpu_pools]
    assert sum(bool(site.gpu_pools) for site in SITES) == 14
    assert {pool.gpu_type for pool in pools} == {"H100", "B200"}
    assert all(pool.nodes % {"H100": 64, "B200": 48}[pool.gpu_type] == 0 for pool in pools)


def test_12_workloads_of_all_three_kinds_are_asked_for():
    workloads = reference_fleet().workloads
    assert len(workloads) == 12
    assert {w.kind for w in workloads} == {"interactive", "batch", "reserved"}
    assert set(reference_feed().demand_work_per_h) == {w.name for w in workloads}
    for workload in workloads:
        fleet = reference_fleet()
        able = [p for s in SITES for p in s.gpu_pools if fleet.admits(workload, s) and workload.work_per_node_h(p)]
        assert able, f"nobody can serve {workload.name}"


def test_demand_fits_its_pools_at_almost_every_hour():
    problem = reference_problem(MONDAY, hours=HOURS_OF_WEEK)
    for workload in problem.fleet.workloads:
        capacity = sum(
            p.nodes * workload.work_per_node_h(p)
            for s in problem.fleet.sites
            for p in s.gpu_pools
            if problem.fleet.admits(workload, s)
        )
        demand = problem.demand_work_per_h[workload.name]
        assert sum(demand) / len(demand) < 0.6 * capacity, workload.name


def test_normal_modes_are_those_that_makers_publish():
    assert {g.model for g in GROUPS} == set(NAMEPLATE)
    for group in GROUPS:
        assert (_normal(group).miner_hash_th_per_s, _normal(group).miner_power_w) == NAMEPLATE[group.model]


def test_other_modes_keep_within_the_presets_that_they_are_scaled_from():
    for group in GROUPS:
        normal, s21 = _normal(group), "S21" in group.model
        low, high = group.modes[0], group.modes[-1]
        power, work = ((2550 / 3520, 4240 / 3520), (170 / 236, 283 / 236)) if s21 else ((2710 / 3150, 3640 / 3150), (0.90, 1.10))
        for mode, power_share, hash_share in zip((low, high), power, work, strict=True):
            assert mode.miner_power_w == pytest.approx(normal.miner_power_w * power_share, rel=2e-3)
            assert mode.miner_hash_th_per_s == pytest.approx(normal.miner_hash_th_per_s * hash_share, rel=2e-3)


def test_every_figure_has_its_source_or_is_marked_assumed():
    fleet, feed = reference_fleet(), reference_feed()
    records: list[Record] = [fleet, *fleet.sites, *fleet.workloads, *GROUPS]
    records += [site.contract for site in SITES] + [pool for site in SITES for pool in site.gpu_pools]
    bare = [type(r).__name__ for r in records if not r.source]  # type: ignore[attr-defined]
    assert not bare
    for group in GROUPS:  # a group's figures by what they are, each named by its source text
        for figure in (
            "mode",
            "sleep",
            "fee",
            "block size",
            "minimum times",
            "warm-up",
            "wear",
            "stale",
            "uptime",
            "PUE",
            "assumed",
        ):
            assert figure in group.source, f"{group.model}: {figure}"
    series = [feed.hashprice, *feed.prices_usd_per_mwh.values(), *feed.ambient_c.values(), *feed.shapes.values()]
    assert all(s.source and s.period and s.licence for s in series)
    assert all(d.source for d in feed.demand_work_per_h.values())


def test_hashprice_is_the_formulas_and_close_to_what_was_published_that_day():
    feed = reference_feed()
    assert feed.hashprice.usd_per_ph_day == pytest.approx(feed.hashprice.published_usd_per_ph_day, rel=3e-3)


def test_no_table_is_longer_than_200_rows_and_each_names_source_and_licence():
    for name in ("prices.csv", "temperatures.csv", "requests.csv"):
        text = (Path(__file__).parents[2] / "scenarios" / "reference" / name).read_text()
        assert all(len(column) <= 200 for column in week_table(name).values())
        head = [line for line in text.splitlines() if line.startswith("#")]
        assert any(licence in " ".join(head) for licence in ("public domain", "CC BY 4.0", "Apache-2.0"))


def test_at_the_windows_prices_two_thirds_of_all_blocks_change_mode_within_48_hours():
    """Merit order: each block by itself takes the mode that earns most after power. Over all starts 0.68 to 0.71."""
    problem = reference_problem(MONDAY, hours=HOURS_OF_WEEK + 48)
    best = {(s.name, g.name): _best_modes(problem, s, g) for s in problem.fleet.sites for g in s.asic_groups}
    blocks = {(s.name, g.name): g.blocks for s in problem.fleet.sites for g in s.asic_groups}
    shares = [
        sum(blocks[key] for key, modes in best.items() if len(set(modes[start : start + 48])) > 1) / sum(blocks.values())
        for start in range(HOURS_OF_WEEK)
    ]
    assert min(shares) == pytest.approx(0.68, abs=0.01)
    assert max(shares) == pytest.approx(0.71, abs=0.01)


def test_prices_cross_break_evens_often_in_every_market():
    problem = reference_problem(MONDAY, hours=HOURS_OF_WEEK)
    xp = next(g for g in GROUPS if g.model == "Bitmain Antminer S19 XP")
    break_even = break_even_usd_per_mwh(problem.hashprice_usd_per_ph_day[0], xp.modes[0].efficiency_j_per_th, xp.paid_share)
    for name, prices in problem.prices_usd_per_mwh.items():
        above = [price > break_even for price in prices]
        crossings = sum(a != b for a, b in pairwise(above))
        assert crossings >= 7, f"{name}: {crossings}"


def test_the_tables_are_what_the_market_files_say(larger_data: Path):
    pandas = pytest.importorskip("pandas")
    sources = {
        "ERCOT_HB_WEST": ("ercot_rt_15min_hubs_2020_2024", "HB_WEST", "America/Chicago"),
        "ERCOT_HB_NORTH": ("ercot_rt_15min_hubs_2020_2024", "HB_NORTH", "America/Chicago"),
        "PJM_DOM": ("pjm_rt_hourly_dom_2020_2024", "DOM", "America/New_York"),
        "NYISO_NORTH": ("nyiso_rt_hourly_zones_2020_2023", "NORTH", "America/New_York"),
    }
    for name, (file, column, zone) in sources.items():
        frame = pandas.read_parquet(larger_data / "prices" / f"{file}.parquet").set_index("ts_utc")[column]
        week = frame.tz_convert(zone).loc["2022-10-03":"2022-10-09"].resample("1h").mean()
        assert list(week) == pytest.approx(week_table("prices.csv")[name], abs=0.006)


def _normal(group: AsicGroup):
    return group.modes[1]


def _normal_draw_w(site: Site) -> float:
    miners = sum(g.blocks * g.block_power_w(_normal(g)) * g.cooling.base_pue_milli for g in site.asic_groups)
    nodes = sum(p.nodes * (p.node_fixed_w + p.node_span_w) * p.pue_milli(20.0) for p in site.gpu_pools)
    return (miners + nodes) / 1000 + site.base_load_w


def _best_modes(problem: Problem, site: Site, group: AsicGroup) -> list[int]:
    prices = problem.energy_price_usd_per_mwh(site)
    best = []
    for t, price in enumerate(prices):
        per_ph_h = problem.hashprice_usd_per_ph_day[t] * group.paid_share / 24
        pue = group.cooling.pue_milli(problem.ambient_c[site.ambient][t]) / 1000
        earned = [-group.block_sleep_w * pue * price / 1e6]
        for mode in group.modes:
            earned.append(group.block_hash_ph_per_s(mode) * per_ph_h - group.block_power_w(mode) * pue * price / 1e6)
        best.append(earned.index(max(earned)))
    return best
