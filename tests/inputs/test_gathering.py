"""What a plan is made of is what was told: limits hold in every moment, and nothing is held, filled or left out unsaid."""

from datetime import timedelta

import pytest
from seams.fleets import NOON, post_series, small_fleet

from models.time_grid import TimeGrid, hourly
from scenarios.reference import reference_fleet
from service.cli.fleet import series_missing
from service.inputs import NoInputError, gather
from service.store import open_store
from service.store.records import SeriesDeclaration, SeriesPoint

HOUR = timedelta(hours=1)
FLEET = small_fleet(2)
FULL = FLEET.sites[0].connection_limit_w
GRID = hourly(NOON, 6)


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    post_series(opened, NOON, 30)
    yield opened
    opened.close()


def tell(store, kind, subject, values, *, name=None, start=NOON, step_s=3600, known_at=NOON, **words):
    units = {"limit": "W", "price": "USD/MWh", "hashprice": "USD/PH/day"}
    declaration = SeriesDeclaration(
        name=name or f"{kind}-new", kind=kind, subject=subject, unit=units[kind], zone="UTC", resolution_s=step_s,
        source="a test", curve_type=words.pop("curve_type", "A01"), **words,
    )  # fmt: skip
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


def test_curve_type_a03_is_not_held_beyond_the_end_that_was_declared(store):
    fleet = FLEET.model_copy(
        update={
            "sites": (FLEET.sites[0].model_copy(update={"contract": FLEET.sites[0].contract.model_copy(update={"index": "n"})}),)
        }
    )
    tell(store, "price", "n", [30.0, 30.0, 30.0], curve_type="A03")
    found = gathered(store, fleet=fleet)
    assert found.excluded["pecos"].startswith("series price-new has no value for 2026-11-22T15:00:00Z")


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
