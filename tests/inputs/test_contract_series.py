"""Exchange rates, emissions and resale prices reach the plan as they were posted; what is missing excludes its site."""

from datetime import timedelta

from seams.fleets import NOON, small_fleet

from models.block_power import BlockPower
from models.carbon import Carbon
from models.contract import ForeignPrice
from models.time_grid import hourly
from scenarios.feed import initial_state
from service.inputs import gather
from service.store.series_records import SeriesDeclaration, SeriesPoint

HOUR = timedelta(hours=1)
UNITS = {"exchange": "USD/unit", "carbon": "kg/MWh", "price": "USD/MWh"}


def with_contracts():
    """Two sites; the first buys in EUR, pays for emissions by a series and has a block that it can resell."""
    fleet = small_fleet(2)
    first = fleet.sites[0].model_copy(
        update={
            "contract": ForeignPrice(currency="EUR", price_per_mwh=40.0),
            "carbon": Carbon(usd_per_t=30.0, intensity="grid"),
            "block_power": BlockPower(block_w=100_000, price_usd_per_mwh=25.0, resale_index="spot"),
        }
    )
    return fleet.model_copy(update={"sites": (first, *fleet.sites[1:])})


def tell(store, kind, subject, value):
    declaration = SeriesDeclaration(
        name=f"{kind}-{subject}", kind=kind, subject=subject, unit=UNITS[kind], zone="UTC", resolution_s=3600,
        source="a test", curve_type="A01",
    )  # fmt: skip
    store.series.declare(declaration, at=NOON)
    points = [SeriesPoint(start=NOON + n * HOUR, value=value + n, known_at=NOON) for n in range(8)]
    store.series.add(declaration.name, points)


def test_what_was_posted_is_planned_with(store):
    for kind, subject, value in (("exchange", "EUR", 1.0), ("carbon", "grid", 300.0), ("price", "spot", 50.0)):
        tell(store, kind, subject, value)
    fleet = with_contracts()
    found = gather(store, fleet, hourly(NOON, 4), now=NOON)
    assert found.excluded == {}
    problem = found.problem(initial_state(fleet, NOON))
    assert problem.usd_per_unit == {"EUR": (1.0, 2.0, 3.0, 4.0)}
    assert problem.carbon_kg_per_mwh == {"grid": (300.0, 301.0, 302.0, 303.0)}
    assert problem.prices_usd_per_mwh["spot"] == (50.0, 51.0, 52.0, 53.0)
    assert problem.energy_price_usd_per_mwh(fleet.sites[0]) == (40.0, 80.0, 120.0, 160.0)


def test_what_is_missing_excludes_the_site_that_needs_it_and_no_other(store):
    fleet = with_contracts()
    found = gather(store, fleet, hourly(NOON, 4), now=NOON)
    assert set(found.excluded) == {fleet.sites[0].name}
    for part in ("price for spot", "exchange for EUR", "carbon for grid"):
        assert part in found.excluded[fleet.sites[0].name]
