"""What a plan is made of is what was told: limits hold in every moment, and nothing is held, filled or left out unsaid."""

from datetime import UTC, datetime, timedelta

import pytest
from seams.fleets import NOON, small_fleet

from models.time_grid import TimeGrid, hourly
from scenarios.reference import reference_fleet
from service.cli.fleet import series_missing
from service.inputs import NoInputError, gather
from service.store import open_store
from service.store.series_records import SeriesDeclaration, SeriesPoint

HOUR = timedelta(hours=1)
FLEET = small_fleet(2)
FULL = FLEET.sites[0].connection_limit_w
GRID = hourly(NOON, 6)


def tell(store, kind, subject, values, *, name=None, start=NOON, step_s=3600, known_at=NOON, **words):
    units = {"limit": "W", "price": "USD/MWh", "hashprice": "USD/PH/day"}
    words = {"zone": "UTC", "curve_type": "A01", "source": "a test"} | words
    declaration = SeriesDeclaration(
        name=name or f"{kind}-new", kind=kind, subject=subject, unit=units[kind], resolution_s=step_s, **words
    )
    store.series.declare(declaration, at=known_at)
    points = [
        SeriesPoint(start=start + timedelta(seconds=step_s * n), value=float(v), known_at=known_at) for n, v in enumerate(values)
    ]
    store.series.add(declaration.name, points)


def gathered(store, grid=GRID, now=NOON, fleet=FLEET):
    return gather(store, fleet, grid, now=now)


def notes(found, code):
    return [note for note in found.notes if note.startswith(code)]


def test_inputs_that_are_whole_need_no_note(store):
    assert gathered(store).notes == ()


def test_a_limit_inside_a_step_binds_all_of_it(store):
    tell(store, "limit", "pecos", [FULL, FULL, 500_000, FULL] + [FULL] * 20, step_s=900)
    found = gathered(store)
    assert found.limit_w["pecos"] == (500_000, *(FULL,) * 5)
    assert found.notes == ()


def test_a_limit_that_ends_early_still_binds_where_it_was_told(store):
    tell(store, "limit", "pecos", [500_000, 500_000, FULL])
    found = gathered(store)
    assert found.limit_w["pecos"] == (500_000, 500_000, *(FULL,) * 4)
    assert notes(found, "limit_missing") == [
        "limit_missing: 3 step(s) that series limit-new of pecos does not cover take the lower of the values around them"
    ]


@pytest.mark.parametrize(("low_at", "expected"), [(-9, (700_000,) * 6), (3, (700_000,) * 6)])
def test_a_gap_keeps_to_the_lower_of_what_was_told_before_and_after_it(store, low_at, expected):
    tell(store, "limit", "pecos", [FULL], start=NOON - 10 * HOUR)
    tell(store, "limit", "pecos", [700_000], start=NOON + low_at * HOUR)
    assert gathered(store).limit_w["pecos"] == expected


def test_the_lowest_of_several_limits_counts(store):
    tell(store, "limit", "pecos", [500_000, FULL] + [900_000] * 6, name="transformer")
    tell(store, "limit", "pecos", [FULL, 600_000] + [FULL] * 6, name="outages")
    assert gathered(store).limit_w["pecos"] == (500_000, 600_000, *(900_000,) * 4)


def test_an_overdue_limit_is_kept_to_and_named(store):
    tell(store, "limit", "pecos", [500_000] * 200, known_at=NOON, late_after_s=3600)
    later = NOON + 3 * HOUR
    found = gathered(store, hourly(later, 6), later)
    assert found.limit_w["pecos"] == (500_000,) * 6
    assert len(notes(found, "limit_overdue")) == 1


def test_a_partial_first_step_reads_its_own_part(store):
    tell(store, "limit", "pecos", [500_000, FULL, FULL, FULL] + [FULL] * 40, step_s=900)
    grid = TimeGrid(start=NOON + timedelta(minutes=20), step_s=(2400, 3600))
    assert gathered(store, grid).limit_w["pecos"] == (FULL, FULL)


def test_a_hashprice_that_fell_silent_is_held_with_a_note(store):
    later = NOON + timedelta(days=40)
    post = gathered(store, hourly(later, 6), later)
    assert post.hashprice_usd_per_ph_day == (46.0,) * 6
    assert len(notes(post, "hashprice_missing: stale") + notes(post, "hashprice_missing: series")) == 1


def test_a_fleet_without_any_hashprice_is_not_planned(tmp_path):
    empty = open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(NoInputError, match="hashprice"):
        gathered(empty)
    empty.close()


def fleet_with_index(name):
    """The first site alone, at prices of its own series."""
    site = FLEET.sites[0]
    return FLEET.model_copy(
        update={"sites": (site.model_copy(update={"contract": site.contract.model_copy(update={"index": name})}),)}
    )


def test_curve_type_a03_is_not_known_beyond_the_end_that_was_declared(store):
    tell(store, "price", "n", [30.0, 31.0, 32.0], curve_type="A03")
    found = gathered(store, fleet=fleet_with_index("n"))
    assert (found.excluded, found.prices_usd_per_mwh["n"]) == ({}, (30.0, 31.0, 32.0, 32.0, 32.0, 32.0))
    assert notes(found, "price") == [
        "price_forecast: series price-new is known until 2026-11-22T15:00:00Z; 3 step(s) after it take the last value known, 32"
    ]


def test_day_ahead_prices_are_used_as_known_and_go_on_with_the_same_hours_of_their_last_day(store):
    known = [float(n) for n in range(36)]  # from midnight to noon of the day after, as seen at 12:00
    tell(store, "price", "n", known, start=NOON - 12 * HOUR)
    found = gathered(store, hourly(NOON, 48), fleet=fleet_with_index("n"))
    assert found.excluded == {}
    assert found.prices_usd_per_mwh["n"] == (*known[12:], *known[12:])
    assert found.labels == ("forecast",)
    rule = "24 step(s) after it take the value of the same hour in UTC of the last 24 h known"
    assert notes(found, "price") == [f"price_forecast: series price-new is known until 2026-11-23T12:00:00Z; {rule}"]


def test_the_same_hour_is_that_of_the_local_clock(store):
    begins = datetime(2026, 10, 24, 0, tzinfo=UTC)  # Berlin's clock goes back in the night after: 02:00 summer time is 00:00 UTC
    tell(store, "price", "n", range(24), start=begins - 2 * HOUR, known_at=begins, zone="Europe/Berlin")
    tell(store, "hashprice", None, [46.0], start=begins, known_at=begins)
    found = gathered(store, hourly(begins, 48), begins, fleet_with_index("n"))
    values = found.prices_usd_per_mwh["n"]  # value n is that of local hour n
    assert values[:22] == tuple(map(float, range(2, 24)))
    assert values[22:28] == (0.0, 1.0, 2.0, 2.0, 3.0, 4.0), "the hour from 02:00 comes twice"


def test_steps_finer_and_coarser_than_the_plan_s_go_on_too(store):
    tell(store, "price", "n", [10.0, 20.0, 30.0, 40.0] * 26, step_s=900, start=NOON - 20 * HOUR)
    assert gathered(store, hourly(NOON, 30), fleet=fleet_with_index("n")).prices_usd_per_mwh["n"] == (25.0,) * 30
    tell(store, "price", "day", [10.0, 20.0], step_s=86_400, start=NOON - 36 * HOUR, name="daily")
    assert gathered(store, hourly(NOON, 30), fleet=fleet_with_index("day")).prices_usd_per_mwh["day"] == (20.0,) * 30


@pytest.mark.parametrize(("hours", "known"), [(1, True), (0, False), (-3, False)])
def test_a_forecast_needs_the_first_hour(store, hours, known):
    tell(store, "price", "n", [30.0] * (30 + hours), start=NOON - 30 * HOUR)
    found = gathered(store, fleet=fleet_with_index("n"))
    assert (found.excluded == {}) == known
    if not known:
        assert found.excluded == {"pecos": "series price-new has no value for 2026-11-22T12:00:00Z"}
        assert notes(found, "price") == [f"price_missing: {found.excluded['pecos']}; 30 stands in at pecos"]


@pytest.mark.parametrize(("fill", "absent", "whole"), [("previous", 2, True), ("previous", 3, False), ("none", 1, False)])
def test_a_gap_inside_is_filled_by_the_declared_rule_or_the_site_is_held(store, fill, absent, whole):
    tell(store, "price", "n", [30.0, 31.0], fill=fill)
    tell(store, "price", "n", [40.0, 41.0], start=NOON + (2 + absent) * HOUR, fill=fill)
    found = gathered(store, hourly(NOON, 10), fleet=fleet_with_index("n"))
    assert (found.excluded == {}) == whole
    if whole:
        assert found.prices_usd_per_mwh["n"] == (30.0, 31.0, 31.0, 31.0, *(40.0, 41.0), *(41.0,) * 4)
        assert notes(found, "price_filled") == ["price_filled: 2 interval(s) of series price-new take the value before them"]
        assert len(notes(found, "price_forecast")) == 1
    else:
        assert list(found.excluded) == ["pecos"]
        assert len(notes(found, "price_missing")) == 1


def test_hashprice_temperature_and_demand_go_on_by_the_same_rule(store):
    late = NOON + 10 * HOUR  # 20 of 30 hours are left
    found = gathered(store, hourly(late, 48), late)
    assert {note.split(":")[0] for note in found.notes} == {f"{k}_forecast" for k in ("hashprice", "price", "ambient", "demand")}
    assert found.ambient_c["air"][20] == found.ambient_c["air"][44], "a day later"
    assert found.ambient_c["air"][19] != found.ambient_c["air"][20]
    assert found.demand_work_per_h["chat"][20:24] == found.demand_work_per_h["chat"][44:48]


def test_a_second_series_of_the_same_index_serves_while_the_first_is_silent(store):
    tell(store, "price", "hub", [99.0] * 30, name="zz-backup")
    assert notes(gathered(store), "price_several") == ["price_several: of price-hub, zz-backup, price-hub is used"]
    tell(store, "price", "hub", [99.0] * 10, name="aa-old", start=NOON - 20 * HOUR)
    found = gathered(store)
    assert found.excluded == {}, "the site has a price after all"
    assert notes(found, "price_several")[0].startswith("price_several: of aa-old, price-hub, zz-backup, price-hub is used (")


def test_an_imported_fleet_is_told_which_series_it_still_needs(store):
    posted = [{"declaration": d.model_dump(mode="json")} for d in store.series.declarations()]
    assert series_missing(FLEET, posted) == ""
    few = [item for item in posted if item["declaration"]["kind"] in ("price", "ambient")]
    assert series_missing(FLEET, few) == "demand chat, demand nightly, demand rented, hashprice"
    assert series_missing(reference_fleet(), []) == "", "its series are replayed"
